"""How much to send at once: batches grow with the backlog, as far as the line and the quota let them."""

from dataclasses import dataclass, replace

APPEND_SECONDS = 10.0  # an append on a slow line takes about this long at most
FEWEST_BYTES = 16_000  # even on the slowest line
FIRST_BYTES = 500_000  # before anything is known of the line: ten seconds of one of 400 kbit/s
SLOWEST_INTERVAL = 16.0  # times the configured one, while a quota is exceeded


@dataclass(frozen=True, slots=True)
class Pace:
    """The size of the next batch in rows and bytes, and how much longer than configured to wait for more rows.

    `most_rows` and `most_bytes` are the configured limits; `bytes_per_second` is what the line has shown so far.
    """

    rows: int
    bytes: int
    most_rows: int
    most_bytes: int
    stretch: float = 1.0
    bytes_per_second: float | None = None

    @classmethod
    def start(cls, batch_size: int, most_rows: int, most_bytes: int) -> "Pace":
        return cls(min(batch_size, most_rows), min(FIRST_BYTES, most_bytes), most_rows, most_bytes)

    def measured(self, rows: int, nbytes: int, seconds: float) -> "Pace":
        """After an append that went through: as large as the line carries in good time, rows doubled if it was full."""
        rate = nbytes / max(seconds, 0.001)
        rate = rate if self.bytes_per_second is None else 0.5 * rate + 0.5 * self.bytes_per_second
        return replace(
            self,
            rows=min(self.most_rows, self.rows * 2) if rows >= self.rows else self.rows,
            bytes=int(min(self.most_bytes, max(FEWEST_BYTES, rate * APPEND_SECONDS))),
            stretch=max(1.0, self.stretch / 2),
            bytes_per_second=rate,
        )

    def eased(self) -> "Pace":
        """After an exceeded quota: half as much, and more patience."""
        return replace(self, rows=max(1, self.rows // 2), stretch=min(SLOWEST_INTERVAL, self.stretch * 2))
