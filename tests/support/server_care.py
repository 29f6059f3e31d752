"""What tests ask of servers, and do to them: who listens to more than this machine, who is dead."""

import os
import re
import signal
from contextlib import suppress

import psutil

from runners.local_stack import Component

_LOOPBACK = re.compile(r"127\.|::1$|::ffff:127\.")


def exposed(variable: str, value: str) -> set[str]:
    """The processes with this variable in their environment that listen on more than loopback:
    where, and the end of their command lines."""
    found = set()
    for each in psutil.net_connections("tcp"):
        if each.status != psutil.CONN_LISTEN or not each.pid:
            continue
        address = each.laddr.ip  # type: ignore[union-attr]  # only others have none
        if not _LOOPBACK.match(address):
            with suppress(psutil.Error, OSError):
                process = psutil.Process(each.pid)
                if process.environ().get(variable) == value:
                    found.add(f"{address} {' '.join(process.cmdline())[-300:]}")
    return found


def ails(component: Component) -> bool:
    """Whether a part of it should run, for somebody started it and nobody stopped it, and doesn't
    run or doesn't answer."""
    return any(each.pid_file.exists() and not each.is_ready for each in component.processes)


def dead(component: Component) -> bool:
    """Whether a process of it that should run has ended, or a signal has stopped it: `ails` but for
    what only an answer would show, and much sooner known."""
    for each in component.processes:
        if each.pid_file.exists():
            if (pid := each.pid) is None:
                return True
            with suppress(psutil.NoSuchProcess):
                if psutil.Process(pid).status() == psutil.STATUS_STOPPED:
                    return True
    return False


def restore(component: Component) -> None:
    """Bring back what was killed or stopped by a signal. Raises StackError."""
    for process in component.processes:
        if (pid := process.pid) is not None:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGCONT)
    if ails(component):
        component.stop()
        component.start()
