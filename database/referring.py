"""What may stand in the way of deleting a source table's rows: foreign keys of other tables, triggers, rights."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from database.grants import lacking_rights
from database.identifiers import quote

# Of tables that the user has some right on; the server shows no others.
_KEYS = """
SELECT constraint_name AS name, constraint_schema AS child_schema, table_name AS child, delete_rule AS rule
FROM information_schema.referential_constraints
WHERE unique_constraint_schema = DATABASE() AND referenced_table_name = :table ORDER BY constraint_name
"""

_TRIGGERS = """
SELECT trigger_name AS name FROM information_schema.triggers
WHERE event_object_schema = DATABASE() AND event_object_table = :table AND event_manipulation = 'DELETE'
ORDER BY trigger_name
"""


@dataclass(frozen=True, slots=True)
class ReferringKey:
    """A foreign key of another table that refers to the source table."""

    name: str
    child: str
    rule: str  # of ON DELETE

    @property
    def spreads(self) -> bool:
        """Whether deleting a row changes or deletes rows of the other table, which BigQuery may not have."""
        return self.rule.upper() not in {"RESTRICT", "NO ACTION"}

    @property
    def obstacle(self) -> str:
        return (
            f"foreign key {self.name} of {self.child} is ON DELETE {self.rule}, so that rows of {self.child} would be"
            " lost, which BigQuery may not have: make it ON DELETE RESTRICT, or set retention_days: null"
        )

    @property
    def note(self) -> str:
        return f"rows that the foreign key {self.name} of {self.child} refers to would stay"


def referring_keys(connection: Connection, table: str) -> Sequence[ReferringKey]:
    """The foreign keys that refer to the table."""
    rows = connection.execute(text(_KEYS), {"table": table})
    return [ReferringKey(row.name, row.child, row.rule) for row in rows]


def delete_triggers(connection: Connection, table: str) -> Sequence[str]:
    """Names of the table's DELETE triggers. They are only seen with the right TRIGGER on the table."""
    return connection.scalars(text(_TRIGGERS), {"table": table}).all()


def lacks_delete(connection: Connection, table: str) -> Sequence[str]:
    """That the user may not delete rows of the table, with the fix; empty: it may."""
    return [how_to_grant(connection, table)] if lacking_rights(connection, table, {"DELETE": ()}) else []


def how_to_grant(connection: Connection, table: str) -> str:
    name, user = connection.execute(text("SELECT DATABASE(), CURRENT_USER()")).one()
    account = "@".join(f"'{part}'" for part in user.rsplit("@", 1))
    return (
        f"the database user may not delete rows of {table}: GRANT DELETE ON {quote(name)}.{quote(table)} TO {account};"
        " or set retention_days: null"
    )
