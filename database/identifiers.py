"""Names of tables and columns in SQL text, for the DDL that SQLAlchemy has no construct for."""


def quote(name: str) -> str:
    """The name in backticks, whatever it holds."""
    return "`" + name.replace("`", "``") + "`"


def quote_text(value: str) -> str:
    """A text as an SQL literal. Needs a session without NO_BACKSLASH_ESCAPES, which is the server's default."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
