"""What the server does with a commit when the power is cut: fact 7 of docs/exactly-once.md."""

from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Durability:
    """The server's settings, by the names it gives them."""

    flush_at_commit: int  # innodb_flush_log_at_trx_commit; 1: every commit is on the disk before it is answered
    flush_seconds: float  # innodb_flush_log_at_timeout: else about so often
    binary_log: bool  # log_bin
    sync_binlog: int  # 1: the binary log is on the disk before a commit is answered

    @property
    def new_stream_seconds(self) -> float:
        """How long to wait until the row of a new stream is on the disk."""
        return 0.0 if self.flush_at_commit == 1 else self.flush_seconds + 1.0

    @property
    def may_undo_commits(self) -> bool:
        """After a crash the server rolls back what its binary log lacks: any number of commits, however old."""
        return self.binary_log and self.sync_binlog != 1


def read_durability(connection: Connection) -> Durability:
    row = connection.execute(
        text("SELECT @@innodb_flush_log_at_trx_commit, @@innodb_flush_log_at_timeout, @@log_bin, @@sync_binlog")
    ).one()
    return Durability(int(row[0]), float(row[1]), bool(row[2]), int(row[3]))
