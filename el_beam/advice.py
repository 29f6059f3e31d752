"""Commands as messages print them: a shell gives each argument back as it went in.

What a path has in it may be anything: spaces, quotes, backquotes, `$`, newlines, bytes of another
encoding. A message passes `printable`, and has its commands in backquotes, so neither of these
may change a command: such characters are written as `$'\\n'`, which bash, zsh and ksh read.
"""

import shlex


def command(*words: str, **options: str) -> str:
    """A command, for a shell: `el` with these words, and with options by their names. One whose
    name is a word of Python has a `_` behind it."""
    named = (
        f"--{name.rstrip('_').replace('_', '-')}={quoted(value)}"
        if value.startswith("-")
        else f"--{name.rstrip('_').replace('_', '-')} {quoted(value)}"
        for name, value in options.items()
    )
    return " ".join(["el", *map(quoted, words), *named])


def typed(path: str) -> str:
    """A path as people type it: commands would take `${NAME}` for a variable, `-x` for an
    option, `~/` for a home."""
    path = path.replace("${", "${$}{")
    return f"./{path}" if path.startswith(("-", "~")) else path


def typed_uri(scheme: str, path: str) -> str:
    """The URI of files at a path, as people type it."""
    path = f"./{path}" if path.startswith("~") else path
    return f"{scheme}:{path.replace('${', '${$}{').replace('?', '${?}')}"


def quoted(word: str) -> str:
    """A word for a shell, in characters that `printable` leaves alone, without a backquote."""
    if word.isprintable() and "`" not in word:
        return shlex.quote(word)
    return "$'" + "".join(map(_escaped, word)) + "'"


def _escaped(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character.isprintable() and character != "`":
        return character
    of_names = "surrogateescape" if "\udc80" <= character <= "\udcff" else "surrogatepass"
    return "".join(f"\\{byte:03o}" for byte in character.encode("utf-8", of_names))
