"""What BigQuery says about a bad row, without the row's values.

The service's texts quote what it couldn't take ("Value: ...", 'got "..."'). A reason goes into logs, alerts and the
queue's last_error, where row values have no business; the column and the kind of error stay.
"""

import re
from collections.abc import Collection

LONGEST = 300  # characters of a reason
GONE = "..."

# A quote within a word is an apostrophe; one that isn't closed goes on to the end.
_QUOTED = re.compile(r"""(?<!\w)(["'`])(?:(.*?)\1(?!\w)|.*)""", re.DOTALL)
_NAMED_VALUE = re.compile(r"\b(value|got|input)\s*[:=]\s.*", re.IGNORECASE | re.DOTALL)
_LONG_NUMBER = re.compile(r"-?\d[\d.,:+-]{3,}\d")  # also dates and times; a length limit of up to four digits stays


def without_values(message: str, columns: Collection[str]) -> str:
    """The message with quoted texts, named values and long numbers taken out, unless they name a column."""

    def keep_column(quoted: re.Match[str]) -> str:
        name = (quoted[2] or "").rpartition(".")[2]  # "root.tid" is column tid
        return quoted[0] if name in columns else f"{quoted[1]}{GONE}{quoted[1]}"

    message = _QUOTED.sub(keep_column, message)
    message = _NAMED_VALUE.sub(rf"\1: {GONE}", message)
    return _LONG_NUMBER.sub(GONE, message)[:LONGEST]


def of_cell(location: str, message: str, columns: Collection[str]) -> str:
    """What insertAll says about a row, as `column: what is wrong`; empty where it says nothing.

    `location` is the column where the service knows it. What stands behind a colon is the value, or the column.
    """
    wrong, _, rest = message.partition(":")
    column = next((name for name in map(_name, (location, rest)) if name in columns), None)
    return ": ".join(part for part in (column, without_values(wrong, columns)) if part)


def _name(said: str) -> str:
    """The column's own name: "Field:tags[2]" and "Msg_0.tags." are column tags."""
    return re.sub(r"^Field:|\[\d+\]", "", said).strip(" .\"'`").rpartition(".")[2]
