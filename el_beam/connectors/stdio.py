"""Standard input and output of the process that runs the job, for people and pipes."""

from el_beam.connectors.contract import Connector, Role, Use
from el_beam.uris import Uri, UriError
from schemas.registry import Registry
from transforms.read.lines import Source, StdinSource
from transforms.write.sink import Sink
from transforms.write.stdout import StdoutSink


class StdioConnector(Connector):
    uses = (
        Use("source", "stdin", "", "standard input, to its end", one_process=True),
        Use("sink", "stdout", "", "an event a line, as JSON", one_process=True),
    )

    def check(self, role: Role, uri: Uri) -> None:
        if uri.rest:
            raise UriError(f"{uri.scheme}: takes no path")

    def source(self, uri: Uri) -> Source:
        return StdinSource()

    def sink(self, uri: Uri, registry: Registry, job_id: str) -> Sink:
        return StdoutSink()
