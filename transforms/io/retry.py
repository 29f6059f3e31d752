"""Transient errors are retried with backoff; all others end a call at once."""

import logging
from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential

from transforms.io.world import CLOCK, Clock

Result = TypeVar("Result")
_Errors = type[BaseException] | tuple[type[BaseException], ...]
_REPORT_EVERY = 10.0  # seconds
LONGEST_REQUEST = 15.0
"""Seconds without an answer after which a request to HDFS or to a broker has failed at the latest.
The holder of a lease must notice before others take it for dead: el_beam/books/state/lease.py."""


def retrying(
    call: Callable[[], Result],
    transient: _Errors,
    *,
    patience: float = 600.0,
    longest_pause: float = 30.0,
    clock: Clock = CLOCK,
) -> Result:
    """Call, again after each `transient` error, for `patience` seconds; returns what `call` does.

    While it waits its bundle waits, and with it the source: that is the backpressure. Then the
    last error is raised, the bundle fails and the runner's own retries take over. The log says what
    is waited for: at once, and again each ten seconds."""
    began, reported = clock.monotonic(), float("-inf")
    try:
        return call()  # most calls go well, and Retrying takes 50 microseconds
    except transient as error:
        failed: BaseException | None = error

    def again() -> Result:
        nonlocal failed
        if failed:
            error, failed = failed, None
            raise error
        return call()

    def report(state: RetryCallState) -> None:
        nonlocal reported
        if clock.monotonic() - reported >= _REPORT_EVERY:
            reported = clock.monotonic()
            error = state.outcome.exception() if state.outcome else None
            logging.getLogger("el_beam").warning("trying again: %s", error)

    attempts = Retrying(
        retry=retry_if_exception_type(transient),
        wait=wait_random_exponential(multiplier=0.2, max=longest_pause),
        stop=lambda _: clock.monotonic() - began >= patience,
        sleep=clock.sleep,
        before_sleep=report,
        reraise=True,
    )
    return attempts(again)


def patiently(
    call: Callable[[], Result],
    *,
    locked: tuple[_Errors, float],
    away: tuple[_Errors, float],
    longest_pause: float = 2.0,
    clock: Clock = CLOCK,
) -> Result:
    """Call a server; again while a part of it is locked, and again while the server is away.

    `locked` and `away` are errors and for how many seconds each is waited for. A server that was
    away starts the patience for locks anew: its own restart took them."""

    def unlocked() -> Result:
        return retrying(
            call, locked[0], patience=locked[1], longest_pause=longest_pause, clock=clock
        )

    return retrying(unlocked, away[0], patience=away[1], clock=clock)
