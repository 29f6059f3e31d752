"""Stored events as they were before they were stored."""

import json
import re
from fractions import Fraction
from typing import Any

from schemas.storage.columns import Column, Kind, needs_quotes


def read_back(columns: tuple[Column, ...], row: dict[str, Any]) -> dict[str, Any]:
    """The event that columns hold, RESCUED not yet laid over it."""
    event = {}
    for column in columns:
        value = row[column.name]
        if value is None:
            continue
        if column.kind is Kind.STRUCT:
            value = read_back(column.children, value)
        elif column.kind is Kind.JSON and needs_quotes(value):
            value = json.loads(value)
        event[column.key] = value
    return event


def overlaid(event: dict[str, Any], rescued: str | None) -> dict[str, Any]:
    for path, value in json.loads(rescued or "{}").items():
        *above, last = [
            re.sub(r"\\(.)", r"\1", key, flags=re.S)
            for key in re.findall(r"(?:^|\.)((?:\\.|[^\\.])*)", path, flags=re.S)
        ]
        place = event
        for key in above:
            place = place.setdefault(key, {})
        place[last] = value
    return event


def canonical(value: Any) -> Any:
    """For comparing: 5 is 5.0, True isn't 1, and a null is the same as an absent value."""
    if isinstance(value, dict):
        return {key: canonical(one) for key, one in sorted(value.items()) if one is not None}
    if isinstance(value, list):
        return [canonical(one) for one in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Fraction(value)
    return (type(value), value)
