"""What stands in for the compiled mapping, of which only the protocol's part matters here: it is light."""

from collections.abc import Sequence

from delivery.rows import Converted, Key, SentRow, SentRows
from delivery.source import ReadByColumns
from mapping.row import BadRow, Row
from mapping.values import Unfit
from tests.simulation.bigquery import COLUMNS, OWN_SITE, SimRows

OF_PAYLOADS = (*COLUMNS, "extra")  # rows of another shape


def event_id(key: Key) -> str:
    return f"det_{key}"


class SimMapping:
    """Source rows are (key, label, day); a payload is a label. A row without label can't be encoded."""

    identity_columns = COLUMNS[:2]
    partition_column = COLUMNS[2]

    def row(self, values: Sequence[object]) -> Row:
        key, label, day = values
        return _row(COLUMNS, key, label, day)

    def payload(self, key: Key, text: str) -> Row:
        return _row(OF_PAYLOADS, key, text or None, 0)

    def of_columns(self, read: ReadByColumns) -> Converted:
        try:
            rows = [self.row(values) for values in read.rows()]
        except BadRow as bad:
            raise Unfit(str(bad)) from None
        sent = (SentRow(key, row.identity, row.partition) for key, row in zip(read.keys, rows, strict=True))
        sent_rows = SentRows(self.identity_columns, self.partition_column, tuple(sent))
        return Converted(COLUMNS, sent_rows, self.encode(read.keys, rows), [row.nbytes for row in rows])

    def encode(self, keys: Sequence[Key], rows: Sequence[Row]) -> SimRows:
        return SimRows(tuple(row.values[:4] for row in rows))  # type: ignore[misc]  # made by _row


def _row(shape: tuple[str, ...], key: object, label: object, day: object) -> Row:
    if label is None:
        raise BadRow("label", "is NULL, but the column is REQUIRED")
    id_ = f"det_{key}"
    return Row(shape, (id_, OWN_SITE, day, label), (id_, OWN_SITE), day, 100)
