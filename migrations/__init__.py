"""bq-sync's own tables, by Alembic. `operations.migrate` runs the revisions; nothing else does."""

VERSION_TABLE = "bq_sync_alembic_version"  # the camera server may have an alembic_version of its own
