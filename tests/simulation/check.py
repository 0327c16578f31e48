"""What must hold at every moment of a history, and at its end."""

from delivery.ledger import OPEN as OPEN_BATCH
from delivery.ledger import ItemStatus
from delivery.rows import Key
from tests.fakes.database import StoredItem
from tests.simulation.bigquery import REFUSED
from tests.simulation.mapping import event_id
from tests.simulation.violation import Violation
from tests.simulation.worker import SimSite

OPEN = frozenset({ItemStatus.PENDING, ItemStatus.SYNCING})
BAD_LABELS = frozenset({None, "", REFUSED})


def check_now(site: SimSite) -> None:
    """Nothing is in BigQuery twice (it would have said so), and no flag says what isn't so."""
    copies = site.bigquery.copies
    for key in site.database.flags:
        if not copies[event_id(key)]:
            raise Violation(f"flagged, but not in BigQuery: {key}")


def check_end(site: SimSite) -> str | None:
    """What is left to do, or wrong, when nothing hinders any more; None: every row has arrived, and all says so."""
    db, copies = site.database, site.bigquery.copies
    inserts: dict[Key, list[StoredItem]] = {}
    for item in db.items.values():
        if item.status in OPEN:
            return f"item {item.id} of row {item.record_id} is {item.status} for ever"
        if item.operation == "INSERT" and item.record_id.isdigit():
            inserts.setdefault(int(item.record_id), []).append(item)
            if (
                item.status is ItemStatus.COMPLETED
                and item.batch_id is not None
                and not copies[event_id(int(item.record_id))]
            ):
                return f"item {item.id} says that row {item.record_id} was sent, and it isn't in BigQuery"
    for id_, batch in db.batches.items():
        if batch.state in OPEN_BATCH:
            return f"batch {id_} is {batch.state} for ever"
    for key, (_, label, _) in db.values.items():
        items = inserts.get(key, [])
        bad = label in BAD_LABELS or any(item.payload in ("", REFUSED) for item in items)
        given_up = any(item.status in (ItemStatus.FAILED, ItemStatus.ABANDONED) for item in items)
        if given_up and not bad and not copies[event_id(key)]:
            return f"row {key} was failed, and nothing is wrong with it"
        if key not in db.flags and not given_up and (key not in db.history or items):
            return f"row {key} waits for ever"
    if db.lookups.first:
        return "rows are looked up for ever"
    if "taken" in db.commands.values():
        return "a command has no result"
    return None
