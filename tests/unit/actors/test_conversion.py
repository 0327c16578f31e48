"""Conversion: a row that can't be taken fails alone, and its reason says why."""

from actors.conversion import Conversion
from delivery.finding import Found
from delivery.settle import RowRef
from tests.fakes.mapping import sample_mapping


def test_a_key_that_is_no_text_fails_its_row_alone() -> None:
    broken = "sp\udced"
    pieces = Conversion(sample_mapping(), "logs").of_rows([Found(broken, values=(1, "a")), Found("x", values=(2, "b"))])
    assert pieces.bad == {"its key isn't valid Unicode text (a lone surrogate)": [RowRef(broken)]}
    assert [key for piece in pieces.good for key in piece.outgoing.rows.keys] == ["x"]
