"""`wattledger accept`: all that waits of one source for a person's word."""

from ingest.acceptances import AcceptError, accept_source
from ingest.home import Home, hold_lock
from ingest.stocktaking import accept_lost


def accept_all(home: Home, source_name: str, reason: str) -> list[str]:
    """Accept bills that shrink, rows in quarantine and rows that the lake lost; returns a line for each.

    Raises `AcceptError` when nothing of the source waits, or no reason is given.
    """
    with hold_lock(home):
        lost_count = accept_lost(home, source_name, reason) if reason.strip() else 0
        try:
            accepted = [str(item) for item in accept_source(home, source_name, reason)]
        except AcceptError:
            if not lost_count:
                raise
            accepted = []
    return [*accepted, *([f"{lost_count:,} object(s) of {source_name} that the lake lost"] if lost_count else [])]
