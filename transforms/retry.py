"""Waiting for what is away: transient faults are retried with backoff, all others end at once."""

from __future__ import annotations

import logging
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


def _tell(state: RetryCallState) -> None:
    fault = state.outcome.exception() if state.outcome else None
    pause = state.upcoming_sleep
    logging.getLogger("el_beam").warning("waiting %.1f s, then trying again: %s", pause, fault)


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
        before_sleep=_tell,
        reraise=True,
    )
    return attempts(call)
