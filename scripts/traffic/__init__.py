"""Traffic for tests, benches and soaks: lines as browsers send them, jobs that work on them, the
truth about what must come of it."""

from traffic.database import Database
from traffic.feed import Feed, feed, lines, put
from traffic.import_job import ImportJob
from traffic.import_kills import IMPORT_KILLS, forks
from traffic.importing import Importing
from traffic.job import CHECKPOINTS, StreamJob, wait_for
from traffic.truth import Landed, delivered, raw_line, truth

__all__ = [
    "CHECKPOINTS",
    "IMPORT_KILLS",
    "Database",
    "Feed",
    "ImportJob",
    "Importing",
    "Landed",
    "StreamJob",
    "delivered",
    "feed",
    "forks",
    "lines",
    "put",
    "raw_line",
    "truth",
    "wait_for",
]
