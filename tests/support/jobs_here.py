"""Jobs of scripts/traffic whose `el` is called within this process: one of its own shows nothing
more, and takes seconds to begin."""

import json
from typing import Any

from in_process import call

from traffic.importing import Importing
from traffic.job import StreamJob
from traffic.started import ROOT


class StreamJobHere(StreamJob):
    """A continuous job."""

    def start(self, *options: str, **more: Any) -> None:
        done = call(*self.arguments("--detach", *options, **more), environment=self.where())
        assert done.code == 0, done.err
        self.job = json.loads(done.out)["job"]


class ImportingHere(Importing):
    """An import; what was killed is finished here, unless by the code of another checkout."""

    def once(self, *options: str) -> dict[str, object]:
        if self.code != ROOT:
            return super().once(*options)
        done = call(*self.arguments("--once", *options), environment=self.environment)
        assert done.code == 0, done.err
        return dict(json.loads(done.out.splitlines()[-1]))
