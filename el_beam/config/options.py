"""Options: each is declared once, as a field of a frozen dataclass, and parsed once, into its type.

The command line, the YAML file and the table of `docs/running.md` are made from the declarations,
so a new option is a new field and nothing else.
"""

import argparse
import re
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from el_beam.uris import at_home
from schemas.errors import WrongCall
from transforms.io.files.filesystem import Modes

_KINDS = {str: "a text", int: "a number", bool: "true or false", list: "a list of texts"}
_DURATION = re.compile(r"(?P<number>\d{1,9}(?:\.\d+)?)(?P<unit>[smh]?)")
_LINK = re.compile(r" \(\[[^]]*\]\([^)]*\)\)|\[([^]]*)\]\([^)]*\)")  # an aside, or in the sentence
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_SHORT = reprlib.Repr()  # of values that may be much larger than their file: YAML has aliases
_SHORT.maxlevel, _SHORT.maxstring = 2, 100


class ConfigError(WrongCall, ValueError):
    """One or more mistakes in the options of a call, a sentence each."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes

    @property
    def sentences(self) -> Sequence[str]:
        """The mistakes, a line of the message each."""
        return self.mistakes


class Option(NamedTuple):
    """What an option is, beside its name, type and default."""

    parse: Callable[[str], Any]  # from one text; its ValueError is a sentence for people
    says: str = ""  # what it does, as Markdown: in the docs, and without marks in --help
    metavar: str = ""
    kind: type = str  # in YAML: str, int, bool, or list of texts
    flag: str = "--{}"  # on the command line; "" where its place says what it is
    missing: Callable[[], str] | None = None  # the sentence that says that it must be given
    identity: bool | None = True  # a job with another value is another job; None, as new options
    # have it: the default is left out, so that jobs of earlier versions keep their identity


class Given(NamedTuple):
    """The value of an option before it is parsed."""

    label: str  # what people call it: `--only`, or `job.yaml: only`
    value: object


def option(parse: Callable[[str], Any], says: str = "", **more: Any) -> dict[str, Option]:
    """The metadata of a field that is an option: see Option."""
    return {"option": Option(parse, says, **more)}


def declared(config: type[Any]) -> Iterator[tuple[str, str, Option]]:
    """List the options of a dataclass: the field's name, the name in YAML, what it is."""
    for each in fields(config):
        yield each.name, each.name.rstrip("_"), each.metadata["option"]


def flag_of(name: str, option: Option) -> str:
    """Write an option as on the command line: `--on-expired`."""
    return option.flag.format(name.replace("_", "-"))


def add_options(parser: argparse.ArgumentParser, config: type[Any]) -> None:
    """Add the options of a dataclass that have a flag to a command."""
    for field_name, name, option in declared(config):
        flag = flag_of(name, option)
        help_text = _LINK.sub(r"\1", option.says).replace("`", "").replace("%", "%%")
        if option.kind is bool:
            parser.add_argument(
                flag, dest=field_name, action="store_true", default=None, help=help_text
            )
        elif flag.startswith("--") and flag != "--":
            parser.add_argument(flag, dest=field_name, metavar=option.metavar, help=help_text)


def from_arguments(args: argparse.Namespace, config: type[Any]) -> dict[str, Given]:
    """Take the options that the command line gives, by the fields of a dataclass."""
    found = {name: Given(flag_of(key, option), getattr(args, name, None))
             for name, key, option in declared(config)}  # fmt: skip
    return {name: given for name, given in found.items() if given.value not in (None, [])}


def from_yaml(path: str, config: type[Any]) -> dict[str, Given]:
    """Read the options in a YAML file, by the fields of a dataclass. Raises ConfigError."""
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError([f"cannot read {path}: {' '.join(str(error).split())}"]) from error
    if not isinstance(content, dict):
        raise ConfigError([f"{path} must have options as `name: value`"])
    known = {key: (name, option) for name, key, option in declared(config)}
    mistakes, found = [], {}
    for key, value in content.items():
        if key not in known:
            mistakes.append(f"{path}: unknown option {key!r}; there are {', '.join(sorted(known))}")
        elif not _is(value, kind := known[key][1].kind):
            mistakes.append(f"{path}: {key} must be {_KINDS[kind]}, not {_SHORT.repr(value)}")
        else:
            found[known[key][0]] = Given(f"{path}: {key}", value)
    if mistakes:
        raise ConfigError(mistakes)
    return found


def _is(value: object, kind: type) -> bool:
    if isinstance(value, list):
        return kind is list and all(isinstance(each, str) for each in value)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def parsed(config: type[Any], given: Mapping[str, Given]) -> tuple[dict[str, Any], list[str]]:
    """Parse the options given. Returns the values of those that are right, and a sentence for each
    that is wrong."""
    values, mistakes = {}, []
    for name, _, option in declared(config):
        if name not in given:
            mistakes += [option.missing()] if option.missing else []
            continue
        label, value = given[name]
        try:
            values[name] = _value(option, value)
        except ValueError as error:
            mistakes.append(f"{label}: {error}" if label else str(error))
    return values, mistakes


def _value(option: Option, value: object) -> object:
    if option.kind is bool:
        return value
    if isinstance(value, (list, tuple)):
        return tuple(map(option.parse, value))
    if value == "":  # most likely a variable that isn't set
        raise ValueError("the value is empty: write one, or leave the option out")
    return option.parse(str(value))


def table(*configs: type[Any]) -> Iterator[str]:
    """Make the table of options in the docs, a line of Markdown each, `--` last."""
    yield "| option | |"
    yield "|---|---|"
    options = [(flag_of(name, option), option) for each in configs
               for _, name, option in declared(each)]  # fmt: skip
    for flag, option in sorted(options, key=lambda each: each[0] == "--"):
        if flag:
            yield f"| `{f'{flag} {option.metavar}'.strip()}` | {option.says} |"


def text(value: str) -> str:
    """Take any text."""
    return value


def local_path(value: str) -> str:
    """Take a local path. Raises UriError."""
    return at_home(value)


def pattern(value: str) -> re.Pattern[str]:
    """Parse a regular expression."""
    try:
        return re.compile(value)
    except re.error as error:
        raise ValueError(f"{value!r} is not a valid regular expression: {error}") from error


def one_of(*words: str) -> Callable[[str], str]:
    """Make a parser that takes a few words."""

    def parse(value: str) -> str:
        if value not in words:
            raise ValueError(f"must be {' or '.join(words)}, not {value!r}")
        return value

    return parse


def modes(value: str) -> Modes:
    """Parse the bits of new files: events=0644,private=0640, or one of them."""
    found: dict[str, int] = {}
    for part in value.split(","):
        name, _, bits = part.partition("=")
        if name not in Modes._fields or name in found or not re.fullmatch(r"0?[0-7]{3}", bits):
            raise ValueError(f"{part!r} is not a mode: write events=0644,private=0640, in octal")
        found[name] = int(bits, 8)
        if found[name] & 0o111 or found[name] & 0o600 != 0o600:
            raise ValueError(
                f"{part!r}: files are written and read by their owner, and not executed; folders "
                "can be entered by those who may read them"
            )
    return Modes(**found)


def count(value: str) -> int:
    """Parse a number from 1."""
    if not re.fullmatch(r"0*[1-9]\d{0,8}", value, re.ASCII):
        raise ValueError(f"must be a number from 1, not {value!r}")
    return int(value)


def duration(value: str) -> float:
    """Parse `60s`, `10m`, `1h` or `60` into seconds."""
    match = _DURATION.fullmatch(value)
    if not match or float(match["number"]) <= 0:
        raise ValueError(f"{value!r} is not a valid time: write 60s, 10m or 1h")
    return float(match["number"]) * _SECONDS[match["unit"]]
