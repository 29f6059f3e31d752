"""Secrets are never part of a job: they stay names, and the process that connects looks them up.

A setting NAME is written as NAME=${VARIABLE}, or as NAME.file=PATH.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from schemas.errors import WrongCall

_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}")


class SecretError(WrongCall, ValueError):
    """A secret that is written down, given twice, or isn't there; the message never shows it."""


def variable_in(value: str) -> str:
    """The environment variable that ${VARIABLE} names; '' of any other text."""
    found = _VARIABLE.fullmatch(value)
    return found["name"] if found else ""


def check_secret(name: str, settings: Mapping[str, str]) -> None:
    """Refuse a secret that is written down, or given twice. Raises SecretError."""
    if name in settings and not variable_in(settings[name]):
        raise SecretError(
            f"{name} must not be written down: give ${{VARIABLE}}, or {name}.file=PATH"
        )
    if name in settings and f"{name}.file" in settings:
        raise SecretError(f"{name} is given twice")


def read_secret(name: str, settings: Mapping[str, str]) -> bytes | None:
    """Look a secret up, here; None where the settings name none.

    Raises SecretError where it isn't there."""
    if name in settings:
        variable = variable_in(settings[name])
        value = os.environ.get(variable)
        if value is None:
            raise SecretError(f"{name}: the environment variable {variable} is not set here")
        return os.fsencode(value)
    if path := settings.get(f"{name}.file"):
        try:
            return Path(path).read_bytes().rstrip(b"\r\n")
        except OSError as error:
            raise SecretError(f"{name}.file={path}: {error.strerror}") from error
    return None
