"""By which of its numbers the driver tells what a column is; where that says more than the value it hands over."""

from pymysql.constants import FIELD_TYPE

from mapping.schema import SourceColumn

# Texts and bytes share their numbers with one another, and differ from server to server.
_NUMBERS = {
    "tinyint": FIELD_TYPE.TINY,
    "smallint": FIELD_TYPE.SHORT,
    "mediumint": FIELD_TYPE.INT24,
    "int": FIELD_TYPE.LONG,
    "bigint": FIELD_TYPE.LONGLONG,
    "float": FIELD_TYPE.DOUBLE,  # as it is read: `database.source`
    "double": FIELD_TYPE.DOUBLE,
    "decimal": FIELD_TYPE.NEWDECIMAL,
    "date": FIELD_TYPE.DATE,
    "time": FIELD_TYPE.TIME,
    "datetime": FIELD_TYPE.DATETIME,
    "timestamp": FIELD_TYPE.TIMESTAMP,
    "year": FIELD_TYPE.YEAR,
}


def wire_type(column: SourceColumn) -> int | None:
    """The number that a column has on the wire if it is as the catalogue says; None: that can't be told."""
    return _NUMBERS.get(column.data_type)
