"""Parses schema documents, as people write them in files and wikis answer them.

EventLogging read each file as YAML (BEHAVIOUR 8), also those named `.json`: what it loaded is
loaded here, or an error says what is wrong and where. But a document is JSON in the end: names are
texts as they are written (`on` is not a boolean), and a date is a text.
"""

import json
import math
import re
from typing import Any, Final, NoReturn

import yaml

LARGEST_SCHEMA: Final = 1 << 20  # bytes
LARGEST_YAML: Final = 1 << 17  # characters: to read them takes 3 s and 100 MB
_TEXT: Final = "tag:yaml.org,2002:str"
_SLIP: Final = re.compile(r'"|(?:^|\s)/[/*]')  # a comma is missing, or it is a comment
_LONGEST_NUMBER: Final = 1000  # characters: some take time by the square of them
_NO_JSON: Final = ("binary", "omap", "pairs", "set")  # YAML's types that JSON hasn't


class BadDocument(ValueError):
    """A text that is not a document; the message says what is wrong, and where."""


def parse_file(data: bytes, suffix: str) -> Any:
    """Parses a file of schemas, by the ending of its name. Raises BadDocument.

    What takes much more memory than its bytes is refused, as aliases of YAML may."""
    try:
        text = data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        byte = f"byte {data[error.start]:#04x} at {error.start}"
        raise BadDocument(f"not UTF-8 ({byte}): save it as UTF-8") from error
    if suffix != ".json":
        return _yaml(text)
    try:
        return _json(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        if text.startswith(("//", "/*"), error.pos):  # YAML would take it for a name
            raise BadDocument(f"{place}: JSON has no comments") from error
        try:
            return _yaml(text, strict=True)
        except BadDocument as no_yaml:
            why = f"neither JSON ({place}: {error.msg}) nor YAML ({no_yaml})"
            raise BadDocument(why) from error


class NotJson(BadDocument):
    """An answer that isn't JSON at all, or not all of it."""


def parse_answer(data: bytes) -> Any:
    """Parses the answer of a wiki. Raises NotJson; BadDocument for what Python's JSON has more."""
    try:
        return _json(data.decode())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        begin = data.lstrip()[:1]
        kind = "a page, not JSON" if begin == b"<" else f"not JSON: {error}"
        raise NotJson(kind if begin else "empty") from error


def _json(text: str) -> Any:
    """Raises json.JSONDecodeError or BadDocument."""
    try:
        return json.loads(text, parse_constant=_no_json, parse_float=_number)
    except json.JSONDecodeError:
        raise
    except RecursionError as error:
        raise BadDocument("nested too deep") from error
    except BadDocument:
        raise
    except ValueError as error:  # Python reads no integers of thousands of digits
        raise BadDocument("an integer of thousands of digits") from error


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise BadDocument(f"{text[:40]} is too large for a number")
    return value


def _no_json(constant: str) -> NoReturn:
    raise BadDocument(f"{constant} is not JSON")


class _Loader(yaml.SafeLoader):
    """YAML as EventLogging read it, but for what JSON hasn't."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
        if isinstance(node, yaml.MappingNode):  # else it has the tag of one only
            self.flatten_mapping(node)
            node.value = [(_as_text(name), value) for name, value in node.value]
        return super().construct_mapping(node, deep=deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Raises ConstructorError."""
        kind = node.tag.rpartition(":")[2]
        if kind in ("int", "float") and len(node.value) > _LONGEST_NUMBER:
            raise _error(f"a number of {len(node.value)} characters", node)
        try:
            return super().construct_object(node, deep=deep)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise _error(f"{node.value!r:.60} is not a value of the type {kind}", node) from error

    def construct_date(self, node: yaml.ScalarNode) -> Any:
        """A text, as it is written."""
        return self.construct_scalar(node)

    def construct_number(self, node: yaml.ScalarNode) -> float:
        """Raises ConstructorError for .inf and .nan."""
        value = float(self.construct_yaml_float(node))
        if not math.isfinite(value):
            raise _error(f"{node.value[:40]} is not a number in JSON", node)
        return value

    def refuse(self, node: yaml.Node) -> NoReturn:
        """Raises ConstructorError."""
        raise _error(f"!!{node.tag.rpartition(':')[2]} is not JSON", node)


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _Loader.construct_date)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_number)
for _type in _NO_JSON:
    _Loader.add_constructor(f"tag:yaml.org,2002:{_type}", _Loader.refuse)


def _as_text(name: yaml.Node) -> yaml.Node:
    if not isinstance(name, yaml.ScalarNode):
        raise _error("the name of a property is a text, not a list or an object", name)
    return yaml.ScalarNode(_TEXT, name.value, name.start_mark, name.end_mark)


def _error(what: str, node: yaml.Node) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, what, node.start_mark)


def _yaml(text: str, *, strict: bool = False) -> Any:
    """Raises BadDocument; if `strict`, also for what looks like a mistake in JSON."""
    if len(text) > LARGEST_YAML:
        raise BadDocument(f"larger than {LARGEST_YAML} characters, for YAML")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            raise BadDocument("there is nothing in it")
        if _length(node, {}) > 2 * LARGEST_SCHEMA:  # a file of that size may seem a bit longer
            raise BadDocument(f"larger than {LARGEST_SCHEMA} bytes with its aliases written out")
        if strict:
            _check_slips(node)
        return _joined(loader.construct_document(node))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise BadDocument(f"{where}{error.problem or error.context}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise BadDocument(f"line {line}: the character U+{error.character:04X}") from error
    except BadDocument:
        raise
    except (ArithmeticError, ValueError) as error:  # PyYAML's own code fails: "\\U00110000"
        line = loader.line + 1
        raise BadDocument(f"line {line}: a character or a number out of range") from error
    except RecursionError as error:
        raise BadDocument("nested too deep") from error


def _parts(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _length(node: yaml.Node, known: dict[int, int]) -> int:
    """How long a document is with its aliases written out, at least; `known` are lengths of nodes
    by their ids. Raises BadDocument if a part is within itself."""
    if isinstance(node, yaml.ScalarNode):
        return max(len(node.value), 1) + 1
    length = known.get(id(node))
    if length is None:
        known[id(node)] = 0
        length = known[id(node)] = 1 + sum(_length(part, known) for part in _parts(node))
    elif not length:
        line = node.start_mark.line + 1
        raise BadDocument(f"line {line}: an alias leads to what it is a part of, without end")
    return length


def _check_slips(node: yaml.Node) -> None:
    """Raises BadDocument for what no text without quotes has in braces, if it is meant so."""
    braces = isinstance(node, yaml.CollectionNode) and node.flow_style
    for part in _parts(node):
        plain = isinstance(part, yaml.ScalarNode) and not part.style
        if braces and plain and (slip := _SLIP.search(part.value)):
            mark, what = part.start_mark, slip[0].strip()
            raise BadDocument(
                f"line {mark.line + 1}, column {mark.column + 1}: {what} is in a text"
            )
        _check_slips(part)


def _joined(value: Any) -> Any:
    """Joins the halves of characters that are written as in JSON: `\\ud83e\\udd86`."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    if isinstance(value, list):
        return [_joined(each) for each in value]
    if isinstance(value, dict):
        return {_joined(name): _joined(each) for name, each in value.items()}
    return value
