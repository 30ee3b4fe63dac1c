"""One file a command. Each has a click command called ``command`` that returns an `ExitCode`.

Gets: parsed options. Gives: an exit code. Touches: stdout and stderr through `cli.output`. Never:
exits; imports the library at its top, since ``echolens --help`` reads every one of these files.
"""
