"""What works but may surprise: conversions in which some rows may fail or lose something; each in a sentence."""

import re
from collections.abc import Iterator

from config.settings import FromColumn, TableSettings
from mapping.from_source import Family, family
from mapping.origins import SITE_ID, reads
from mapping.schema import BigQueryColumn, BigQueryTable, SourceColumn, SourceTable

_DIGITS = {"INT64": (18, 0), "NUMERIC": (38, 9), "BIGNUMERIC": (76, 38)}  # all digits, and those after the point
_DECIMAL = re.compile(r"\((\d+)(?:,(\d+))?\)")


def surprises(settings: TableSettings, source: SourceTable, destination: BigQueryTable) -> Iterator[str]:
    """The warnings for settings without problems."""
    for name, origin in settings.columns.items():
        column = destination.columns[name]
        if isinstance(origin, FromColumn):
            described = source.columns[origin.column]
            yield from (f"column {name}: {warning}" for warning in _of_conversion(described, column))
        if column.mode == "REQUIRED":
            for read in reads(origin):
                if source.columns[read].nullable:
                    yield f"column {name}: is REQUIRED, but {read} may be NULL: rows where it is will be failed"
    if SITE_ID in source.columns and any(f"{{{SITE_ID}}}" in str(origin) for origin in settings.columns.values()):
        yield f"{{{SITE_ID}}} in a template is the site's id, not the source column of that name"
    partition = destination.columns.get(destination.partition_column or "")
    if partition is not None and partition.name not in settings.columns:
        where = "a look-up has to scan all of them" if partition.has_default else "all rows go to the NULL partition"
        yield f"column {partition.name}: partitions BigQuery's table but isn't mapped: {where}"


def _of_conversion(source: SourceColumn, column: BigQueryColumn) -> Iterator[str]:
    found = family(source)
    what = f"{source.name} of type {source.column_type}"
    if found is Family.DECIMAL and not _fits(source, column):
        yield f"{what} may hold numbers that {column.type} can't: rows with one will be failed"
    if found is Family.INTEGER and source.data_type == "bigint" and source.is_unsigned and column.type == "INT64":
        yield f"{what} may hold numbers over 9223372036854775807, which INT64 can't: rows with one will be failed"
    if found in {Family.SINGLE, Family.DOUBLE} and column.type in {"NUMERIC", "BIGNUMERIC"}:
        yield f"{what} is rounded to {column.type}"
    if found is Family.TIMESTAMP and column.type == "DATETIME":
        yield f"{what} becomes a DATETIME without zone: it is in UTC"
    if found in {Family.DATETIME, Family.TIMESTAMP} and column.type == "DATE":
        day = "UTC" if found is Family.TIMESTAMP else "the database's zone"
        yield f"{what} loses its time: the DATE is the day in {day}"


def _fits(source: SourceColumn, column: BigQueryColumn) -> bool:
    declared = _DECIMAL.search(source.column_type)
    if column.type not in _DIGITS or declared is None:
        return True
    digits, decimals = int(declared[1]), int(declared[2] or 0)
    room, fraction = _DIGITS[column.type]
    return decimals <= fraction and digits - decimals <= room - fraction
