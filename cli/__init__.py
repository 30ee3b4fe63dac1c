"""The command line: parses and prints. The library below it raises and never does either.

Gets: argv, bytes on stdin. Gives: text, JSON, exit codes. Touches: stdin, stdout, stderr, and the
files that a command names. Never: ranks, SQL, numpy.
"""
