"""Found rows as pieces of batches: by columns where they were read so, else one by one, which shows the bad ones."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import structlog

from actors.waiting import Piece
from delivery.finding import Found
from delivery.rows import Outgoing, SentRow, SentRows
from delivery.settle import RowRef
from delivery.source import ReadByColumns
from mapping.compile import TableMapping
from mapping.row import BadRow, Row
from mapping.values import Unfit, text


@dataclass(slots=True)
class Pieces:
    """What was made of some rows: what is to be sent, and by reason the rows that can't be."""

    good: list[Piece] = field(default_factory=list)
    bad: dict[str, list[RowRef]] = field(default_factory=dict)


class Conversion:
    """Converts the rows of one table."""

    def __init__(self, mapping: TableMapping, table: str) -> None:
        self._mapping = mapping
        self._log = structlog.get_logger(__name__).bind(table=table)

    def of_columns(self, read: ReadByColumns) -> Pieces:
        """Rows that were read by columns, one at least."""
        try:
            converted = self._mapping.of_columns(read)
        except Unfit as unfit:
            self._log.info("rows are converted one by one", rows=len(read.keys), reason=str(unfit))
            return self._one_by_one(read)
        except Exception as error:  # noqa: BLE001  what nobody foresaw mustn't hold up rows that can be converted
            self._log.error("rows could not be converted by columns", rows=len(read.keys), exc_info=error)
            return self._one_by_one(read)
        since_when = {place: instant.timestamp() for place, instant in read.since.items()}
        outgoing = Outgoing(converted.rows, (None,) * len(read.keys), converted.encoded, since_when)
        return Pieces([Piece(converted.shape, outgoing, converted.row_bytes)])

    def _one_by_one(self, read: ReadByColumns) -> Pieces:
        """Which shows those that are bad."""
        since = read.since
        return self.of_rows(
            Found(key, values=values, since=since.get(place))
            for place, (key, values) in enumerate(zip(read.keys, read.rows(), strict=True))
        )

    def of_rows(self, rows: Iterable[Found]) -> Pieces:
        """Rows that were read one by one, or have payloads."""
        pieces = Pieces()
        converted: list[tuple[Found, Row]] = []
        for found in rows:
            try:
                converted.append((found, self._as_row(found)))
            except BadRow as error:
                pieces.bad.setdefault(str(error), []).append(RowRef(found.key, found.item))
            except Exception as error:  # noqa: BLE001  one row that nobody foresaw mustn't hold up the others
                self._log.error("a row could not be converted", exc_info=error)
                reason = f"could not be converted ({type(error).__name__}): please report it"
                pieces.bad.setdefault(reason, []).append(RowRef(found.key, found.item))
        for (_, suspect), alike in groupby(converted, lambda pair: (pair[1].shape, pair[0].suspect)):
            pieces.good.append(self._of_one_shape(list(alike), suspect=suspect))
        return pieces

    def _as_row(self, found: Found) -> Row:
        if isinstance(found.key, str):
            _demand_text(found.key)
        if found.payload is None:
            return self._mapping.row(found.values)
        return self._mapping.payload(found.key, found.payload)

    def _of_one_shape(self, rows: Sequence[tuple[Found, Row]], *, suspect: bool) -> Piece:
        outgoing = Outgoing(
            SentRows(
                self._mapping.identity_columns,
                self._mapping.partition_column,
                tuple(SentRow(found.key, row.identity, row.partition) for found, row in rows),
            ),
            tuple(found.item for found, _ in rows),
            self._mapping.encode([found.key for found, _ in rows], [row for _, row in rows]),
            {place: found.since.timestamp() for place, (found, _) in enumerate(rows) if found.since is not None},
        )
        return Piece(rows[0][1].shape, outgoing, [row.nbytes for _, row in rows], suspect)


def _demand_text(key: str) -> None:
    """The ledger keeps the key, whether it is sent or not."""
    try:
        text(key)
    except Unfit as unfit:
        raise BadRow(None, f"its key {unfit}") from None
