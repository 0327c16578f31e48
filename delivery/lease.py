"""Who may write for a table: fact 1 of docs/exactly-once.md."""

import secrets
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lease:
    """A table's lease as its owner holds it.

    The token is a fencing token: every transaction demands it. It is random, since a counter would be given
    out twice by a database that went back in time. `connection_id` is of the connection that holds
    the table's advisory lock.
    """

    table: str
    token: str
    connection_id: int


def new_token() -> str:
    return secrets.token_hex(16)
