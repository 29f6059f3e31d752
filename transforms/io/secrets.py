"""Secrets are never part of a job: they stay names, and the process that connects looks them up.

A setting NAME is written as NAME=${VARIABLE}, or as NAME.file=PATH.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from schemas.errors import WrongCall

_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}")


class SettingsError(WrongCall, ValueError):
    """Settings that can't reach a server: the message says which and why, and shows no secret."""


def variable_in(value: str) -> str:
    """The environment variable that ${VARIABLE} names; '' of any other text."""
    found = _VARIABLE.fullmatch(value)
    return found["name"] if found else ""


def check_secret(name: str, settings: Mapping[str, str]) -> None:
    """Refuse a secret that is written down, or given twice. Raises SettingsError."""
    if name in settings and not variable_in(settings[name]):
        raise SettingsError(
            f"{name} must not be written down: give ${{VARIABLE}}, or {name}.file=PATH"
        )
    if name in settings and f"{name}.file" in settings:
        raise SettingsError(f"{name} is given twice")


def read_secret(name: str, settings: Mapping[str, str]) -> bytes | None:
    """Look a secret up, here; None where the settings name none.

    Raises SettingsError where it isn't there."""
    if name in settings:
        variable = variable_in(settings[name])
        if variable not in os.environ:
            raise SettingsError(f"{name}: the environment variable {variable} is not set here")
        return os.fsencode(os.environ[variable])
    if path := settings.get(f"{name}.file"):
        return content(path, f"{name}.file").rstrip(b"\r\n")
    return None


def content(path: str, setting: str) -> bytes:
    """What is in the file that a setting names. Raises SettingsError."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise SettingsError(f"{setting}={path}: {error.strerror}") from error
