"""Real servers on this machine, on loopback, from packages alone: for trying things, and for tests.

Behind `el stack`; the tests' fixtures use the same code.
"""

from runners.local_stack.component import Component, ServerProcess, StackError
from runners.local_stack.stack import Stack

__all__ = ["Component", "ServerProcess", "Stack", "StackError"]
