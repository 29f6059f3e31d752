"""The encoding of this process: for the entries of processes of our own."""

import os
import sys


def in_utf8() -> None:
    """Begin this process anew, unless names of files are in UTF-8: files of ours are called after
    them, whatever the locale is. What people see stays in the encoding of their terminal."""
    if sys.getfilesystemencoding() == "utf-8" or sys.flags.utf8_mode:
        return
    os.environ |= {"PYTHONUTF8": "1", "PYTHONIOENCODING": getattr(sys.stderr, "encoding", "")}
    os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
