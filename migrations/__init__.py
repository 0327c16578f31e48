"""bq-sync's own tables, by Alembic. `operations.migrate` runs the revisions; nothing else does."""

VERSION_TABLE = "bq_sync_alembic_version"  # the camera server may have an alembic_version of its own

_MADE_BY = {"0002": frozenset({"bq_sync_incident"})}  # what revisions after the first add


def tables_made_after(revision: str) -> frozenset[str]:
    """The tables of ours that a database of that revision doesn't have yet."""
    return frozenset().union(*(tables for made_by, tables in _MADE_BY.items() if made_by > revision))
