"""The encoding and the streams of this process: for the entries of processes of our own."""

import os
import sys


def in_utf8() -> None:
    """Begin this process anew, unless names of files are in UTF-8: files of ours are called after
    them, whatever the locale is. What people see stays in the encoding of their terminal."""
    if sys.getfilesystemencoding() == "utf-8" or sys.flags.utf8_mode:
        return
    os.environ |= {"PYTHONUTF8": "1", "PYTHONIOENCODING": getattr(sys.stderr, "encoding", "")}
    os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def open_streams() -> None:
    """Open what a caller has closed of the standard streams, as `>&-` does: else a file of ours
    gets its number, and what libraries print there. What is read from it, or printed as a result,
    fails; what is for people goes nowhere."""
    for name, access in (("stdin", os.O_WRONLY), ("stdout", os.O_RDONLY), ("stderr", os.O_WRONLY)):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, access)  # the first that is free
            os.set_inheritable(number, True)
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
