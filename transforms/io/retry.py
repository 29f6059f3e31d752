"""Waiting for what is away: transient faults are retried with backoff, all others end at once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

Result = TypeVar("Result")
_TELL_EVERY = 10.0  # seconds


class _Teller:
    """Says what is waited for: at once, and again each ten seconds."""

    def __init__(self) -> None:
        self._told = float("-inf")

    def __call__(self, state: RetryCallState) -> None:
        now = time.monotonic()
        if now - self._told >= _TELL_EVERY:
            self._told = now
            fault = state.outcome.exception() if state.outcome else None
            logging.getLogger("el_beam").warning("waiting for it: %s", fault)


def retrying(
    call: Callable[[], Result],
    transient: type[BaseException] | tuple[type[BaseException], ...],
    *,
    patience: float = 600.0,
    longest_pause: float = 30.0,
) -> Result:
    """The result of `call`, tried again after each `transient` fault for `patience` seconds.

    While it waits its bundle waits, and with it the source: that is the backpressure. Then the
    last fault is raised, the bundle fails and the runner's own retries take over."""
    attempts = Retrying(
        retry=retry_if_exception_type(transient),
        wait=wait_random_exponential(multiplier=0.2, max=longest_pause),
        stop=stop_after_delay(patience),
        before_sleep=_Teller(),
        reraise=True,
    )
    return attempts(call)
