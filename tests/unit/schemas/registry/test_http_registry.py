"""The wiki's registry: what is asked for, what is remembered and what is tried again."""

import io
import json
import pickle
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request

import pytest

from schemas.registry import (
    HttpRegistry,
    InvalidSchema,
    RegistryError,
    RegistryUnavailable,
    UnknownSchema,
)
from schemas.registry.documents import LARGEST_SCHEMA

STRING = {"type": "string"}
BASE = "https://wiki.invalid/w/api.php"


class Wiki:
    """An opener that answers from a list, and remembers what it was asked."""

    def __init__(self, *answers: bytes | BaseException) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def open(self, fullurl: Request, *, timeout: float) -> io.BytesIO:
        assert timeout > 0
        self.asked.append(fullurl.full_url)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return io.BytesIO(answer)


def status(code: int) -> HTTPError:
    return HTTPError(BASE, code, "said the wiki", Message(), None)


def registry_of(wiki: Wiki, **options: Any) -> HttpRegistry:
    return HttpRegistry(BASE, opener=wiki, backoff=0, **options)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("schemas.registry.mediawiki.time.monotonic", lambda: now[0])
    return now


def test_the_url_is_that_of_the_original() -> None:
    wiki = Wiki(b'{"title": "Lies", "type": "string"}')
    registry = registry_of(wiki)
    assert registry.list() == []
    assert registry.get("TestSchema", 123)["type"] == "string"
    assert wiki.asked == [
        f"{BASE}?action=jsonschema&title=TestSchema&revid=123&formatversion=2&format=json"
    ]
    assert registry.list() == [("TestSchema", 123)]


def test_a_name_is_quoted() -> None:
    wiki = Wiki(b"{}")
    registry_of(wiki).get("a/b&revid=1#?\n☆\ud800", 5)
    assert wiki.asked[0].count("&") == 4
    assert "title=a%2Fb%26revid%3D1%23%3F%0A%E2%98%86%3F&revid=5&" in wiki.asked[0]


def test_a_schema_is_asked_for_once() -> None:
    wiki = Wiki(b"{}")
    registry = registry_of(wiki)
    assert registry.get("S", 1) is registry.get("S", 1)
    assert len(wiki.asked) == 1


def test_the_cache_is_bounded_and_drops_the_longest_unused() -> None:
    wiki = Wiki(b"{}")
    registry = registry_of(wiki, max_schemas=2)
    for revision in (1, 2, 1, 3, 1):
        registry.get("S", revision)
    assert registry.list() == [("S", 1), ("S", 3)]
    assert len(wiki.asked) == 3


UNKNOWN = [
    b'{"error": {"code": "nosuchrevid", "info": "There is no revision with ID 5."}}',
    b"[]",
    b"null",
    b'"text"',
    status(404),
    status(400),
    status(410),
    b'{"error": {"code": "apierror-revwrongpage", "info": "another page"}}',
    b'{"error": {"code": "badinteger", "info": "out of range"}}',
]
INVALID = [b'{"type": 5}', b'{"minimum": NaN}', b"[" * 100_000]
ODD = [
    *(b"", b" ", b"<html>", b'{"type": "str', b"\xff", b"\x1f\x8b", b"\xef\xbb\xbf{}", status(401)),
    *(status(403), status(302), status(451)),
    b'{"error": {"code": "readapidenied", "info": "log in"}}',
    b'{"error": {"code": "unheard-of", "info": "?"}}',
    *(b'{"errors": [{"code": "nosuchrevid"}]}', b'{"message": "later"}', b'{"error": "x"}'),
]


@pytest.mark.parametrize("answer", [*UNKNOWN, *INVALID], ids=lambda each: repr(each)[:30])
def test_what_is_no_schema_is_remembered_for_a_while(
    answer: bytes | HTTPError, clock: list[float]
) -> None:
    wiki = Wiki(answer, b"{}")
    registry = registry_of(wiki)
    kind = UnknownSchema if answer in UNKNOWN else InvalidSchema
    for _ in range(3):
        with pytest.raises(kind, match="'S' revision 1") as caught:
            registry.get("S", 1)
        assert "\n" not in str(caught.value)
    assert len(wiki.asked) == 1
    clock[0] += 61
    assert registry.get("S", 1) == {}
    assert len(wiki.asked) == 2


@pytest.mark.parametrize("answer", ODD, ids=lambda each: repr(each)[:30])
def test_an_odd_answer_means_that_the_wiki_is_away(
    answer: bytes | HTTPError, clock: list[float]
) -> None:
    registry = registry_of(Wiki(answer, b'{"type": "string"}'), attempts=1)
    with pytest.raises(RegistryUnavailable, match="'S' revision 1") as caught:
        registry.get("S", 1)
    assert "\n" not in str(caught.value)
    assert registry.get("S", 1) == STRING
    wiki = Wiki(answer)  # for ever, whatever is asked
    registry = registry_of(wiki, attempts=1)
    for _ in range(20):
        with pytest.raises(RegistryUnavailable):
            registry.get("S", 1)
        clock[0] += 30


@pytest.mark.parametrize("proper", [b"{}", UNKNOWN[0]], ids=repr)
def test_a_question_that_alone_gets_odd_answers_stops_nothing(
    proper: bytes, clock: list[float]
) -> None:
    """For a minute it may be an accident; then, if the wiki answers another one, it isn't."""

    class Proxy(Wiki):
        def open(self, fullurl: Request, *, timeout: float) -> io.BytesIO:
            self.answers = [status(403) if "passwd" in fullurl.full_url else proper]
            return super().open(fullurl, timeout=timeout)

    wiki = Proxy()
    registry = registry_of(wiki, attempts=1)
    for _ in range(2):
        for _ in range(3):
            with pytest.raises(RegistryUnavailable):
                registry.get("../etc/passwd", 1)
            clock[0] += 29
        clock[0] += 3600  # nobody asks: it begins anew
    for _ in range(3):
        with pytest.raises(RegistryUnavailable):
            registry.get("../etc/passwd", 1)
        clock[0] += 20
    asked = len(wiki.asked)
    for _ in range(2):
        with pytest.raises(InvalidSchema, match="HTTP 403"):
            registry.get("../etc/passwd", 1)
    assert len(wiki.asked) == asked + 2  # it, and the other one; the answer is remembered
    clock[0] += 100
    with pytest.raises(InvalidSchema, match="HTTP 403"):
        registry.get("../etc/passwd", 1)
    assert len(wiki.asked) == asked + 4  # without another minute


def test_an_answer_that_was_odd_once_is_asked_for_again() -> None:
    wiki = Wiki(b"<html>", b"", status(403), b"{}")
    assert registry_of(wiki, attempts=4).get("S", 1) == {}


def test_a_schema_may_have_an_error_of_its_own() -> None:
    document = {"error": {"x": 1}, "properties": {}}
    assert registry_of(Wiki(json.dumps(document).encode())).get("S", 1) == document


def test_the_negative_cache_is_bounded() -> None:
    wiki = Wiki(b"[]")
    registry = registry_of(wiki, max_negative=10)
    for revision in range(50):
        with pytest.raises(UnknownSchema):
            registry.get("S", revision)
    assert len(registry._failures) == 10
    kept = [part for failure in registry._failures.values() for part in failure]
    assert not any(isinstance(part, BaseException) for part in kept)  # nor its traceback's answers
    with pytest.raises(UnknownSchema):
        registry.get("S", 49)
    assert len(wiki.asked) == 50


@pytest.mark.parametrize(
    "answer",
    [
        status(500),
        status(503),
        status(429),
        URLError("no route"),
        TimeoutError("timed out"),
        ConnectionResetError("reset"),
    ],
    ids=repr,
)
def test_a_wiki_that_fails_is_tried_again(answer: BaseException) -> None:
    wiki = Wiki(answer, answer, b"{}")
    assert registry_of(wiki).get("S", 1) == {}
    assert len(wiki.asked) == 3
    wiki = Wiki(answer)
    registry = registry_of(wiki)
    with pytest.raises(RegistryUnavailable, match="3 attempts"):
        registry.get("S", 1)
    assert len(wiki.asked) == 3
    wiki.answers = [b"{}"]
    assert registry.get("S", 1) == {}  # not remembered


def test_attempts_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("schemas.registry.mediawiki.time.sleep", waits.append)
    registry = HttpRegistry(BASE, attempts=4, backoff=0.5, opener=Wiki(status(500)))
    with pytest.raises(RegistryUnavailable):
        registry.get("S", 1)
    assert waits == [0.5, 1.0, 2.0]


@pytest.mark.parametrize("code", ["ratelimited", "maxlag", "internal_api_error_DBQueryError"])
def test_an_error_that_passes_is_no_unknown_schema(code: str) -> None:
    wiki = Wiki(json.dumps({"error": {"code": code, "info": "later"}}).encode(), b"{}")
    registry = registry_of(wiki)
    with pytest.raises(RegistryUnavailable, match=code):
        registry.get("S", 1)
    assert registry.get("S", 1) == {}


def test_an_answer_is_bounded() -> None:
    wiki = Wiki(b" " * (LARGEST_SCHEMA + 1) + b"{}")
    with pytest.raises(InvalidSchema, match="larger than"):
        registry_of(wiki).get("S", 1)


def test_a_slow_answer_is_given_up(clock: list[float]) -> None:
    class Dripping(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            del size
            clock[0] += 1
            return b" "

    class Drip(Wiki):
        def open(self, fullurl: Request, *, timeout: float) -> io.BytesIO:
            super().open(fullurl, timeout=timeout)
            return Dripping()

    with pytest.raises(RegistryUnavailable, match="no whole answer within 5"):
        registry_of(Drip(b""), timeout=5).get("S", 1)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y", "data:,x", "http:///x", "x"])
def test_only_http(url: str) -> None:
    with pytest.raises(RegistryError, match="http"):
        HttpRegistry(url)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if "title=Redirected" in self.path:
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
            self.end_headers()
        elif "title=ToFile" in self.path:
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()
        elif "title=ToNowhere" in self.path:
            self.send_response(302)
            self.send_header("Location", "http://[::1")
            self.end_headers()
        elif "title=SlowHeaders" in self.path:
            with suppress(OSError):
                self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                for _ in range(90):
                    self.wfile.write(b"X-More: y\r\n")
                    time.sleep(0.1)
        elif "title=Cut" in self.path:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"type": ')
        else:
            self.send_response(404 if "title=Nope" in self.path else 200)
            self.end_headers()
            self.wfile.write(b'{"type": "string"}')

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/w/api.php"
        server.shutdown()
        thread.join()


def test_over_a_real_connection(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    registry = HttpRegistry(server, attempts=1)
    assert registry.get("S", 1) == STRING
    assert registry.get("Redirected", 1) == STRING
    with pytest.raises(UnknownSchema, match="HTTP 404"):
        registry.get("Nope", 1)
    with pytest.raises(RegistryUnavailable, match="HTTP 302"):
        registry.get("ToFile", 1)
    with pytest.raises(RegistryUnavailable, match="Invalid IPv6 URL"):
        registry.get("ToNowhere", 1)
    with pytest.raises(RegistryUnavailable, match="1 attempts"):
        registry.get("Cut", 1)
    assert pickle.loads(pickle.dumps(registry)).get("S", 1) == STRING


def test_slow_headers_are_given_up(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time, and all of them take long."""
    monkeypatch.setenv("no_proxy", "*")
    begun = time.monotonic()
    with pytest.raises(RegistryUnavailable, match="no whole answer within 1 s"):
        HttpRegistry(server, attempts=1, timeout=1).get("SlowHeaders", 1)
    assert time.monotonic() - begun < 5


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(RegistryUnavailable):
        HttpRegistry("http://127.0.0.1:9/w/api.php", attempts=1, timeout=2).get("S", 1)
