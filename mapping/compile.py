"""Settings, catalogue and BigQuery's schema, compiled into a mapping; or all that is wrong with them at once."""

from collections.abc import Iterator, Mapping
from datetime import UTC
from zoneinfo import ZoneInfo

from config.settings import ColumnOrigin, TableSettings, WriteMethod
from mapping.arrow import ArrowEncoding
from mapping.by_columns import ColumnConverter, ColumnMaker
from mapping.checks import destination_problems, nearest, source_problems
from mapping.encoding import Encoding
from mapping.from_source import SourceValues
from mapping.insert_ids import InsertIds
from mapping.json_rows import JsonEncoding
from mapping.key import key_of
from mapping.origins import Impossible, Make, Maker, reads
from mapping.payload import PayloadReader
from mapping.row import Layout
from mapping.schema import BigQueryTable, SourceTable
from mapping.surprises import surprises
from mapping.table import RowReader, TableMapping
from mapping.values import TYPES

__all__ = ["MappingError", "TableMapping", "compile_mapping"]


class MappingError(Exception):
    """A table can't be carried as the settings say. Each of `problems` names table and column, and the fix."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def compile_mapping(
    name: str,
    settings: TableSettings,
    source: SourceTable,
    destination: BigQueryTable,
    zone: ZoneInfo | None,
    site_id: str,
    write_method: WriteMethod = "storage_write",
) -> TableMapping:
    """The mapping of the source table `name`.

    Args:
        zone: what DATETIME columns are in; None is UTC.
        site_id: what `{site_id}` stands for; insertIds are made of it too.
        write_method: what the rows are encoded for.

    Raises:
        MappingError: with everything that is wrong.
    """
    moments = UTC if zone is None or zone.key == "UTC" else zone
    source_columns = _source_columns(settings, source)
    places = {column: place for place, column in enumerate(source_columns)}
    makers: dict[str, Make] = {}
    problems = [*source_problems(settings, source), *destination_problems(settings, destination)]
    maker = Maker(source.columns, places, SourceValues(moments), site_id)
    for column_name, origin in settings.columns.items():
        try:
            missing = list(_missing(origin, source))
            column = destination.columns.get(column_name)
            if not missing and column is not None and column.type in TYPES:
                makers[column_name] = maker.make(origin, column)
            problems += [f"column {column_name}: {problem}" for problem in missing]
        except Impossible as impossible:
            problems.append(f"column {column_name}: {impossible}")
    if problems:
        raise MappingError(tuple(f"table {name}: {problem}" for problem in problems))

    columns = [column for column in destination.columns.values() if column.name in makers]
    partition_column = _partition_column(settings, destination)
    encoding = _encoding(write_method, destination, site_id, name)
    layout = Layout(columns, settings.identity_columns, partition_column, encoding.row_bytes(columns))
    payloads = PayloadReader(
        destination,
        mapped=layout.shape,
        from_key=_from_key(settings, makers),
        constants=_constant_identity(settings, makers),
        identity_columns=settings.identity_columns,
        partition_column=partition_column,
        zone=moments,
        encoding=encoding,
    )
    column_maker = ColumnMaker(maker)
    by_columns = ColumnConverter(
        [(column, column_maker.make(settings.columns[column.name], column)) for column in columns],
        settings.identity_columns,
        partition_column,
    )
    own = {settings.synced_flag, settings.synced_at}
    return TableMapping(
        name=name,
        key_column=settings.primary_key,
        source_columns=source_columns,
        identity_columns=settings.identity_columns,
        partition_column=partition_column,
        unmapped_source_columns=tuple(column for column in source.columns if column not in {*places, *own}),
        unmapped_destination_columns=tuple(
            column.name
            for column in destination.columns.values()
            if column.name not in makers and not column.has_default
        ),
        warnings=tuple(f"table {name}: {warning}" for warning in surprises(settings, source, destination)),
        destination=destination,
        read_key=key_of(source.columns[settings.primary_key]),
        read_row=RowReader(layout, [makers[column.name] for column in columns]).row,
        read_payload=payloads.row,
        encoding=encoding,
        read_columns=by_columns.convert if write_method == "storage_write" else None,
    )


def _encoding(write_method: WriteMethod, destination: BigQueryTable, site_id: str, name: str) -> Encoding:
    match write_method:
        case "storage_write":
            return ArrowEncoding(destination)
        case "insert_all":
            return JsonEncoding(destination, InsertIds(site_id, name))


def _source_columns(settings: TableSettings, source: SourceTable) -> tuple[str, ...]:
    """The primary key, and what the origins read as far as it is there, each once."""
    named = {settings.primary_key: None}
    for origin in settings.columns.values():
        named.update(dict.fromkeys(reads(origin)))
    return tuple(column for column in named if column in source.columns)


def _missing(origin: ColumnOrigin, source: SourceTable) -> Iterator[str]:
    for column in reads(origin):
        if column not in source.columns:
            near = nearest(column, source.columns)
            yield f"the source table has no column {column}: {near}name one that it has, or take this out of `columns`"


def _partition_column(settings: TableSettings, destination: BigQueryTable) -> str | None:
    """The partitioning column, where rows say what stands in it: not where BigQuery fills in a default."""
    column = destination.columns.get(destination.partition_column or "")
    if column is None or (column.has_default and column.name not in settings.columns):
        return None
    return column.name


def _from_key(settings: TableSettings, makers: Mapping[str, Make]) -> dict[str, Make]:
    """The columns that the primary key alone decides."""
    return {
        name: makers[name]
        for name in settings.key_columns
        if {*reads(settings.columns[name])} == {settings.primary_key}
    }


def _constant_identity(settings: TableSettings, makers: Mapping[str, Make]) -> dict[str, object]:
    """The identity columns that are the same in every row, with their values."""
    return {name: makers[name](()) for name in settings.identity_columns if not reads(settings.columns[name])}
