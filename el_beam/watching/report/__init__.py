"""The report of a run: one self-contained HTML page of what was read, kept, refused and written."""

from el_beam.watching.report.contents import RunFacts, RunReport, contents
from el_beam.watching.report.page import render

__all__ = ["RunFacts", "RunReport", "contents", "render"]
