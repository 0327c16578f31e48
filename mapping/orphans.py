"""Items that an older program left in the middle of sending, read as the rows they would be."""

from collections.abc import Sequence
from dataclasses import dataclass

from delivery.ledger import ItemStatus, OrphanItem
from delivery.recovery import Adopted
from delivery.rows import Key, SentRow, SentRows
from delivery.source import QueuedItem, Source
from delivery.triage import Item
from mapping.row import BadRow, Row
from mapping.table import TableMapping


@dataclass(frozen=True, slots=True)
class Orphans:
    """Reads a table's, for `delivery.recovery`."""

    source: Source
    mapping: TableMapping

    def read(self, orphans: Sequence[OrphanItem]) -> Adopted:
        """Those that can be read and converted. Raises SourceError."""
        items = [
            QueuedItem(Item(orphan.id, orphan.operation, ItemStatus.SYNCING), orphan.record_id, orphan.payload)
            for orphan in orphans
            if orphan.operation == "INSERT"  # others are decided like any pending item: they are given up
        ]
        keys = self.source.resolve(items)
        values = {key: row.values for key, row in self.source.rows(set(keys.values())).items()}
        rows: list[SentRow] = []
        adopted: list[int] = []
        for item in items:
            key = keys.get(item.item.id)
            if key is None or (item.payload is None and key not in values):
                continue
            try:
                row = self._as_row(key, item.payload, values.get(key, ()))
            except BadRow:
                continue
            rows.append(SentRow(key, row.identity, row.partition))
            adopted.append(item.item.id)
        sent = SentRows(self.mapping.identity_columns, self.mapping.partition_column, tuple(rows))
        return Adopted(sent, tuple(adopted))

    def _as_row(self, key: Key, payload: str | None, values: Sequence[object]) -> Row:
        return self.mapping.row(values) if payload is None else self.mapping.payload(key, payload)
