"""Alembic's way in: runs revisions on the connection that `operations.migrate` hands over, or writes them down.

In the configuration's attributes: `changes`, where the revisions' changes go (database.changes), `zone`, which DATETIME
columns are in, and in offline mode `script`, where Alembic writes its own statements.
"""

from alembic import context

from migrations import VERSION_TABLE

attributes = context.config.attributes

if context.is_offline_mode():
    context.configure(dialect_name="mysql", output_buffer=attributes["script"], version_table=VERSION_TABLE)
else:
    context.configure(connection=attributes["changes"].connection, version_table=VERSION_TABLE)

with context.begin_transaction():
    context.run_migrations()
