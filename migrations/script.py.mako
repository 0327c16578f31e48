"""${message}.

A revision is run again from its start when it was cut: MariaDB commits each DDL statement by itself. So each step looks
first whether it was done.
"""

from alembic import context

from database.changes import Changes

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    changes: Changes = context.config.attributes["changes"]
    ${upgrades if upgrades else "raise NotImplementedError"}


def downgrade() -> None:
    changes: Changes = context.config.attributes["changes"]
    ${downgrades if downgrades else "raise NotImplementedError"}
