"""URIs as people write them; what is unknown is told with what there is; secrets stay secret."""

from pathlib import Path

import pytest

from el_beam.uris import UriError, given_path, masked, parse_uri, path_of, size

KNOWN = {"file": frozenset({"split", "x"}), "stdin": frozenset[str](), "a+b": frozenset[str]()}


@pytest.mark.parametrize(
    ("text", "scheme", "rest", "parameters"),
    [
        ("file:a.log", "file", "a.log", {}),
        ("file:/a/b.log?split=1M", "file", "/a/b.log", {"split": "1M"}),
        ("file:a?.log", "file", "a?.log", {}),
        ("file:a?.log?split=1&x=a%20b", "file", "a?.log", {"split": "1", "x": "a b"}),
        ("file:a?split=", "file", "a", {"split": ""}),
        ("file:gs://b/c:d@e", "file", "gs://b/c:d@e", {}),
        ("stdin:", "stdin", "", {}),
        ("a+b:c", "a+b", "c", {}),
        ("file:a\nb", "file", "a\nb", {}),
    ],
)
def test_uris(text: str, scheme: str, rest: str, parameters: dict[str, str]) -> None:
    uri = parse_uri(text, KNOWN, "source")
    assert (uri.scheme, uri.rest, uri.parameters) == (scheme, rest, parameters)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a.log", "source 'a.log' has no scheme: write one of a+b: file: stdin:"),
        ("", "source '' has no scheme"),
        ("FILE:a", "has no scheme"),
        ("nope:a", "unknown source nope: there are a+b: file: stdin:"),
        ("file:a?splitt=3", "file: has no parameter splitt; there are split, x"),
        ("file:a?b=1&c=2", "file: has no parameter b, c; there are split, x"),
        ("stdin:?x=1", "stdin: has no parameter x; it takes none"),
        ("file:${NOPE_X}/a", "the environment variable NOPE_X is not set"),
        ("file:a?split=${NOPE_X}", "the environment variable NOPE_X is not set"),
        ("file:${}", "the environment variable  is not set"),
    ],
)
def test_mistakes_say_what_there_is(text: str, says: str) -> None:
    with pytest.raises(UriError) as caught:
        parse_uri(text, KNOWN, "source")
    assert str(caught.value).startswith(says) or says in str(caught.value)


def test_a_home_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell doesn't see it within a URI: it would be a folder called `~`."""
    monkeypatch.setenv("HOME", "/users/me")
    known = {"file": frozenset[str](), "parquet": frozenset[str]()}

    def path(text: str) -> str:
        return path_of(parse_uri(text, known, "sink"))

    assert path("parquet:~/x/~") == "/users/me/x/~"
    assert path("parquet:~") == "/users/me"
    assert path("parquet:~root/x") == f"{Path('~root').expanduser()}/x"
    assert given_path("~/x") == "/users/me/x"
    for name in ("~x.log", "./~/x", "a/~/x", "hdfs://h:1/~/x"):
        assert path(f"file:{name}") == name
    for name in ("~nobody-here/x", "~\n/x"):
        with pytest.raises(UriError, match=r"for a folder of this name write \./~"):
            path(f"parquet:{name}")
    with pytest.raises(UriError, match="is not a name in UTF-8"):
        path("parquet:\udcff/x")


def test_variables_are_filled_in_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "s3cr?t=${A_SECRET}")
    uri = parse_uri("file:${A_SECRET}/x?x=${A_SECRET}", KNOWN, "source")
    assert uri.rest == "s3cr?t=${A_SECRET}/x"  # once, and never taken for parameters
    assert uri.parameters == {"x": "s3cr?t=${A_SECRET}"}
    assert str(uri) == "file:${A_SECRET}/x?x=${A_SECRET}"
    assert "s3cr" not in f"{uri}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mysql://u:secret@h/db", "mysql://u:***@h/db"),
        ("mysql://u:secret@h:3306/db?x=1", "mysql://u:***@h:3306/db?x=1"),
        ("mysql://:secret@h", "mysql://:***@h"),
        ("mysql://u:se:c@ret@h", "mysql://u:***@h"),
        ("mysql://u:sec/ret@h/db", "mysql://u:***@h/db"),
        ("mysql://u:${PW}@h", "mysql://u:${PW}@h"),
        ("mysql://u:${PW}x@h", "mysql://u:***@h"),
        ("mysql://u:${PW}@h/db?ssl_ca=/a@b", "mysql://u:${PW}@h/db?ssl_ca=/a@b"),
        ("mysql://u:in?se@cret@h/db", "mysql://u:***@h/db"),
        ("mysql://u:12/secret@h/db", "mysql://u:***@h/db"),
        ("mysql:u:secret@h/db", "mysql:u:***@h/db"),
        ("mysql://u@h:3306/db", "mysql://u@h:3306/db"),
        ("mysql://h:3306/db", "mysql://h:3306/db"),
        ("parquet:hdfs://h:9870/a@b", "parquet:hdfs://h:9870/a@b"),
        ("kafka://b1:9092,b2:9092/?topics=a", "kafka://b1:9092,b2:9092/?topics=a"),
        ("file:a:b@c", "file:a:b@c"),
    ],
)
def test_passwords_are_not_shown(text: str, shown: str) -> None:
    assert masked(text) == shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1000", 1000), ("0", 0), ("64K", 2**16), ("64KiB", 2**16), ("1m", 2**20), ("2GB", 2**31)],
)
def test_sizes(text: str, expected: int) -> None:
    assert size(text) == expected


@pytest.mark.parametrize("text", ["", "K", "1.5M", "-1", "1T", "1 M", "one"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UriError, match="is not a valid size: write 64MiB"):
        size(text)
