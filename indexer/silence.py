"""Importing this points the process's stderr at nothing.

Gets and gives: nothing. Touches: file descriptor 2. Never: imported by a process that has something
to say; the server that decoding processes are forked from loads it first.

What goes wrong in a decoding process comes back as an exception. What else they write is noise: C
libraries on damaged files, and Python on a start that Ctrl-C overtook.
"""

import os

_nothing = os.open(os.devnull, os.O_WRONLY)
os.dup2(_nothing, 2)
os.close(_nothing)
