"""Troubles of a folder that somebody has found to be as they are for good."""

from el_beam.books.ledger.model import ACCEPTED, AcceptedTrouble, Ledger, LedgerError, note_name
from transforms.io.world import CLOCK

ACCEPTABLE = frozenset({"lost", "damaged", "surplus", "unknown", "nested"})


def settle_accepted(ledger: Ledger) -> None:
    """Take out the troubles that somebody has accepted. Raises OSError."""
    if names := ACCEPTED.names(ledger.root):
        ledger.accepted = [ACCEPTED.read(ledger.root, name) for name in names]
        known = {(each.kind, each.what) for each in ledger.accepted}
        ledger.troubles = [each for each in ledger.troubles if (each.kind, each.what) not in known]


def accept(ledger: Ledger, what: str, why: str) -> None:
    """Find a trouble to be as it is for good. Raises LedgerError, OSError."""
    lasting = {each.what: each for each in ledger.troubles if each.kind in ACCEPTABLE}
    if what not in lasting:
        raise LedgerError(
            f"{ledger.root} has no trouble of {what} that can be accepted; there are: "
            + (", ".join(sorted(lasting)) or "none")
        )
    trouble = lasting[what]
    note = AcceptedTrouble(trouble.kind, what, trouble.sentence, why, CLOCK.time())
    ACCEPTED.create(ledger.root, note_name(trouble.kind, what), note)
    settle_accepted(ledger)
