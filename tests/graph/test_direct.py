"""The graph on Beam's own runner."""

from graph_suite import GraphSuite


class TestDirect(GraphSuite):
    """One process, as in the demo."""


class TestDirectTwoWorkers(GraphSuite):
    """Two processes, which share the splits."""

    workers = 2
