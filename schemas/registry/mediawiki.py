"""The API of a wiki as a registry.

It is the original's API, asked as the original asks (BEHAVIOUR 8). But the registry also remembers
for a bounded time that a schema is missing, so that one bad client doesn't stop all.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, fields
from functools import cache
from hashlib import sha256
from http.client import HTTPException, IncompleteRead
from typing import Any, Final, NamedTuple, Protocol
from urllib import request
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit

from schemas.bad_event import EVENT_ERROR
from schemas.event import Destination
from schemas.registry.base import (
    Destinations,
    InvalidSchema,
    Json,
    Registry,
    RegistryError,
    RegistryUnavailable,
    SchemaError,
    UnknownSchema,
)
from schemas.registry.documents import LARGEST_SCHEMA, BadDocument, NotJson, parse_answer
from schemas.registry.folder import one_line
from schemas.validation.documents import KEYWORDS, problem_with

META_WIKIMEDIA: Final = "https://meta.wikimedia.org/w/api.php"
_HEADERS: Final = {"User-Agent": "el_beam", "Accept": "application/json"}
_PASSING: Final = ("ratelimited", "maxlag", "readonly", "internal_api_error")
"""MediaWiki's error codes that mean "not now", as they begin."""
_NO_SUCH: Final = (
    *("nosuchrevid", "invalidtitle", "revwrongpage", "missing", "nosuch"),
    *("bad", "integeroutofrange", "paramvalidator", "invalid"),
)
"""Those that mean "there is no such schema", as they begin."""
_NO_SUCH_STATUS: Final = (400, 404, 410)  # of HTTP; the API has 400 beside its error codes
_ODD_TTL: Final = 60.0  # seconds for which an odd answer to one question is taken for an accident


class Opener(Protocol):
    """The part of an HTTP client that HttpRegistry needs (urllib's OpenerDirector, or a test's)."""

    def open(self, fullurl: request.Request, *, timeout: float) -> Any:
        """Returns the response, for the caller to read and close. Raises OSError (HTTPError for a
        bad status)."""


class _SafeRedirects(request.HTTPRedirectHandler):
    """Follows redirects within http and https, never from https to http."""

    def redirect_request(self, req: request.Request, *rest: Any) -> request.Request | None:
        scheme = urlsplit(rest[-1]).scheme
        if scheme != "https" and scheme != req.type:
            raise HTTPError(rest[-1], rest[1], f"redirected to {scheme}", rest[-2], rest[0])
        return super().redirect_request(req, *rest)


@cache
def _http_opener() -> request.OpenerDirector:
    """Makes urllib's opener without its handlers for files, FTP and data URLs; one a process."""
    opener = request.OpenerDirector()
    for handler in (
        *(request.ProxyHandler, request.HTTPHandler, request.HTTPSHandler, _SafeRedirects),
        *(request.HTTPDefaultErrorHandler, request.HTTPErrorProcessor, request.UnknownHandler),
    ):
        opener.add_handler(handler())
    return opener


class _OddAnswer(RegistryUnavailable):
    """An answer that is not the API's own: a page in HTML, nothing, a part, a refusal. A proxy may
    have given it, or the wiki to this question alone."""


class _Failure(NamedTuple):
    """The remembered error of a schema that the wiki can't give."""

    until: float
    kind: type[SchemaError]
    message: str


@dataclass(eq=False, repr=False)
class HttpRegistry(Registry):
    """The API of a MediaWiki with EventLogging's `jsonschema` action.

    A revision never changes, so a schema is requested once. A missing or invalid schema is
    remembered too, for `negative_ttl` seconds: an event of an unknown schema costs one request,
    not one for each event. An odd answer means that the wiki is away, unless for a minute this one
    question gets odd answers only, while the wiki answers another: else a client that names what a
    proxy forbids would stop all. Thread-safe; two threads may ask for the same at once."""

    url: str = META_WIKIMEDIA
    timeout: float = 5.0  # seconds of a whole request
    attempts: int = 3
    negative_ttl: float = 60.0
    max_negative: int = 10_000
    max_schemas: int = 10_000
    backoff: float = 0.5  # seconds before the second attempt; it doubles
    opener: Opener | None = None

    def __post_init__(self) -> None:
        """Raises RegistryError if the URL isn't one of http or https."""
        if urlsplit(self.url).scheme not in ("http", "https") or not urlsplit(self.url).netloc:
            raise RegistryError(f"{self.url}: a registry's URL starts with http:// or https://")
        self.attempts = max(1, self.attempts)
        self._lock = threading.Lock()
        self._schemas: OrderedDict[tuple[str, int], Json] = OrderedDict()
        # not the exceptions themselves: their tracebacks would keep whole answers alive
        self._failures: OrderedDict[tuple[str, int], _Failure] = OrderedDict()
        self._odd: OrderedDict[tuple[str, int], tuple[float, float]] = OrderedDict()  # first, last

    def __reduce__(self) -> tuple[type[Registry], tuple[Any, ...]]:
        return type(self), tuple(getattr(self, each.name) for each in fields(self))

    def __repr__(self) -> str:
        return f"HttpRegistry({self.url!r})"

    def get(self, schema: str, revision: int) -> Json:
        key = (schema, int(revision))
        with self._lock:
            if key in self._schemas:
                self._schemas.move_to_end(key)
                return self._schemas[key]
            failure = self._failures.get(key)
        if failure is not None and time.monotonic() < failure.until:
            raise failure.kind(failure.message)
        try:
            document = self._document(*key)
        except _OddAnswer as error:
            if not self._is_its_own(key):
                raise
            failure = _Failure(time.monotonic() + self.negative_ttl, InvalidSchema, str(error))
            self._remember(self._failures, key, failure)
            raise InvalidSchema(str(error)) from error
        except SchemaError as error:
            failure = _Failure(time.monotonic() + self.negative_ttl, type(error), str(error))
            self._remember(self._failures, key, failure)
            raise
        with self._lock:
            self._failures.pop(key, None)
            self._odd.pop(key, None)
            self._schemas[key] = document
            while len(self._schemas) > self.max_schemas:
                self._schemas.popitem(last=False)
        return document

    @property
    def lists(self) -> bool:
        return False

    def _remember(self, memory: OrderedDict[tuple[str, int], Any], key: Any, value: Any) -> None:
        with self._lock:
            memory[key] = value
            memory.move_to_end(key)
            while len(memory) > self.max_negative:
                memory.popitem(last=False)

    def _is_its_own(self, key: tuple[str, int]) -> bool:
        """Whether odd answers belong to this question, and the wiki isn't away."""
        now = time.monotonic()
        first, last = self._odd.get(key, (now, now))
        if now - last > _ODD_TTL and key not in self._failures:  # nobody has asked meanwhile
            first = now
        self._remember(self._odd, key, (first, now))
        if now - first < _ODD_TTL:
            return False
        try:
            self._document(*EVENT_ERROR)
        except RegistryUnavailable:
            return False
        except SchemaError:  # an answer, too
            pass
        return True

    def list(self) -> Destinations:
        """Returns the schemas that this process has asked for: the API has no list."""
        with self._lock:
            return sorted(Destination(*key) for key in self._schemas)

    def digest(self) -> str:
        """Returns the digest of the URL: a wiki's revisions never change, so it pins them."""
        return sha256(self.url.encode()).hexdigest()

    def _document(self, schema: str, revision: int) -> Json:
        """Asks for a schema. Raises SchemaError or RegistryUnavailable."""
        url = (
            f"{self.url}?action=jsonschema&title={quote(schema, safe='', errors='replace')}"
            f"&revid={revision}&formatversion=2&format=json"
        )
        name = f"schema {schema!r:.100} revision {revision}"
        document = self._ask(url, name)
        if not isinstance(document, dict):
            raise UnknownSchema(f"{name}: the answer is not an object")
        failure = document.get("error")
        if isinstance(failure, dict) and "properties" not in document:
            code = str(failure.get("code")).removeprefix("apierror-")
            info = f"{failure.get('code')}: {failure.get('info')}"
            if code.startswith(_NO_SUCH):
                raise UnknownSchema(f"{name}: {info!r:.300}")
            kind = RegistryUnavailable if code.startswith(_PASSING) else _OddAnswer
            raise kind(f"{name}: {self.url}: {info:.300}")
        if document and KEYWORDS.isdisjoint(document):  # a proxy's, or of another API
            raise _OddAnswer(f"{name}: {self.url}: the answer is not a schema")
        if problem := problem_with(document):
            raise InvalidSchema(f"{name}: {problem}")
        return document

    def _ask(self, url: str, name: str) -> Any:
        """Returns the JSON of the API's answer, after at most `attempts` requests."""
        why, kind = "", RegistryUnavailable
        for attempt in range(self.attempts):
            if attempt:
                time.sleep(self.backoff * 2 ** (attempt - 1))
            try:
                return parse_answer(_within(self.timeout, lambda: self._fetch(url)))
            except NotJson as error:
                why, kind = f"the answer is {error}", _OddAnswer
            except BadDocument as error:
                raise InvalidSchema(f"{name}: {error}") from error
            except HTTPError as error:
                error.close()
                if error.code in _NO_SUCH_STATUS:
                    raise UnknownSchema(f"{name}: HTTP {error.code}") from error
                passes = error.code >= 500 or error.code in (408, 429)
                why, kind = f"HTTP {error.code}", RegistryUnavailable if passes else _OddAnswer
            except (OSError, HTTPException) as error:
                why, kind = one_line(error), RegistryUnavailable
            except ValueError as error:  # redirected to what urllib can't parse
                why, kind = one_line(error), _OddAnswer
        raise kind(f"{name}: {url:.300}: {why} ({self.attempts} attempts)")

    def _fetch(self, url: str) -> bytes:
        """Sends one request. Raises OSError, HTTPException or ValueError; InvalidSchema for too
        large a body."""
        opener = self.opener or _http_opener()
        deadline = time.monotonic() + self.timeout
        wanted = request.Request(url, headers=_HEADERS)
        body = b""
        with opener.open(wanted, timeout=self.timeout) as response:
            while chunk := response.read1(65536):
                body += chunk
                if len(body) > LARGEST_SCHEMA:
                    raise InvalidSchema(f"{url:.300}: larger than {LARGEST_SCHEMA} bytes")
                if time.monotonic() > deadline:
                    raise TimeoutError(f"no whole answer within {self.timeout} s")
            if left := getattr(response, "length", None):  # read1 doesn't notice a cut answer
                raise IncompleteRead(body, left)
        return body


def _within(seconds: float, fetch: Callable[[], bytes]) -> bytes:
    """Returns what `fetch` does, if it takes no longer. Raises TimeoutError.

    urllib limits each wait for a byte: a server could send headers for days."""
    done: Future[bytes] = Future()

    def run() -> None:
        try:
            done.set_result(fetch())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return done.result(seconds)
    except TimeoutError as error:
        raise TimeoutError(str(error) or f"no whole answer within {seconds} s") from error
