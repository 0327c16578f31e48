"""What stands in for the compiled mapping, of which only the protocol's part matters here: it is light."""

from collections.abc import Sequence

from delivery.rows import Key
from mapping.row import BadRow, Row
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

    def encode(self, keys: Sequence[Key], rows: Sequence[Row]) -> SimRows:
        return SimRows(tuple(row.values[:4] for row in rows))  # type: ignore[misc]  # made by _row


def _row(shape: tuple[str, ...], key: object, label: object, day: object) -> Row:
    if label is None:
        raise BadRow("label", "is NULL, but the column is REQUIRED")
    id_ = f"det_{key}"
    return Row(shape, (id_, OWN_SITE, day, label), (id_, OWN_SITE), day, 100)
