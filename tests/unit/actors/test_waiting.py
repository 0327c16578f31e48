"""Rows that wait come out in their order, in batches of one shape that are as large as they may be."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from actors.waiting import Piece, Waiting
from delivery.rows import TIMED_ROWS, Outgoing
from tests.fakes.mapping import outgoing

PIECES = st.lists(
    st.tuples(st.sampled_from(["one", "another"]), st.lists(st.integers(1, 5), min_size=1, max_size=6), st.booleans()),
    max_size=6,
)


def pieces_of(described: Sequence[tuple[str, list[int], bool]]) -> list[Piece]:
    pieces, key = [], 0
    for shape, sizes, suspect in described:
        keys = range(key, key + len(sizes))
        pieces.append(Piece((shape,), outgoing(*keys), sizes, suspect))
        key += len(sizes)
    return pieces


@given(PIECES, st.integers(1, 8), st.integers(1, 12))
def test_batches_are_as_large_as_they_may_be(
    described: list[tuple[str, list[int], bool]], rows: int, nbytes: int
) -> None:
    pieces = pieces_of(described)
    told = [(piece.shape, size, piece.suspect) for piece in pieces for size in piece.row_bytes]  # by key
    waiting = Waiting()
    waiting.add(pieces)
    assert (len(waiting), waiting.nbytes) == (len(told), sum(size for _, size, _ in told))
    key = 0
    while waiting:
        batch, suspect = waiting.take(rows, nbytes)
        keys = [int(sent) for sent in batch.rows.keys]
        assert keys == list(range(key, key + len(keys)))
        assert [row["event_id"] for row in batch.encoded.record_batch.to_pylist()] == [f"det_{key}" for key in keys]  # type: ignore[attr-defined]  # ArrowRows
        of_batch = [told[key] for key in keys]
        assert len({shape for shape, _, _ in of_batch}) == 1
        assert len(keys) == 1 or (len(keys) <= rows and sum(size for _, size, _ in of_batch) <= nbytes)
        key += len(keys)
        if waiting:
            shape, size, _ = told[key]
            full = len(keys) == rows or sum(size for _, size, _ in of_batch) + size > nbytes
            assert full or shape != of_batch[0][0]
        assert suspect == any(suspect for _, _, suspect in of_batch)
        assert (len(waiting), waiting.nbytes) == (len(told) - key, sum(size for _, size, _ in told[key:]))
    assert key == len(told)


def test_joined_pieces_keep_items_and_some_of_the_times_since_which_rows_wait() -> None:
    first, second = outgoing((1, 10), 2), outgoing(3, (4, 40))
    timed = [
        Outgoing(piece.rows, piece.items, piece.encoded, since)
        for piece, since in ((first, {1: 5.0}), (second, {0: 6.0, 1: 7.0}))
    ]
    joined = Outgoing.join(timed)
    assert joined.rows.keys == (1, 2, 3, 4)
    assert joined.items == (10, None, None, 40)
    assert joined.since == {1: 5.0, 2: 6.0, 3: 7.0}
    many = outgoing(*range(TIMED_ROWS))
    often = Outgoing(many.rows, many.items, many.encoded, dict.fromkeys(range(len(many)), 1.0))
    assert len(Outgoing.join([often, often]).since) == TIMED_ROWS
