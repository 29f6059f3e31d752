"""Real servers on this machine, on loopback, from packages alone: for trying things, and for tests.

Behind `el stack`; the tests' fixtures use the same code.
"""

from runners.local_stack.component import Component, listens
from runners.local_stack.process import ServerProcess, StackError
from runners.local_stack.stack import COMPONENTS, Stack

__all__ = ["COMPONENTS", "Component", "ServerProcess", "Stack", "StackError", "listens"]
