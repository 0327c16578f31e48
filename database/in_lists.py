"""IN lists as the server serves them from an index."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

# MariaDB turns a list of 1000 or more into a join with a table of its own (in_predicate_conversion_threshold), which
# may read, and lock, everything; MySQL reads everything where a list needs more than range_optimizer_max_mem_size.
LONGEST = 500


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """The values in lists that are short enough."""
    return (values[start : start + LONGEST] for start in range(0, len(values), LONGEST))
