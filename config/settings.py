"""The settings of bq-sync, typed: the environment over the YAML file.

`load()` is the only way in. What is wrong is said all at once, each with its name, the problem and the fix.
docs/configuration.md explains every setting.
"""

import os
import re
import string
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from config.database_url import URL_FORM, problem_of
from config.explain import explain
from config.files import SettingsError, find_file, read_file

__all__ = [
    "ColumnOrigin",
    "FromColumn",
    "FromObject",
    "FromTemplate",
    "FromValue",
    "JsonMember",
    "Settings",
    "SettingsError",
    "TableSettings",
    "environment_name",
    "is_loopback",
    "load",
]


_SCHEDULE = re.compile(r"([01]\d|2[0-3]):[0-5]\d(-([01]\d|2[0-3]):[0-5]\d)?")


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)


class FromColumn(_Strict):
    """A BigQuery column that carries a source column."""

    column: str


class FromTemplate(_Strict):
    """A BigQuery column made from a text with `{source_column}` and `{site_id}` in it, such as `det_{id}`."""

    template: str

    @property
    def pieces(self) -> list[tuple[str, str | None]]:
        """The template as texts, each with the name that stands in braces behind it; None behind the last text."""
        return _pieces(self.template)

    @property
    def names(self) -> tuple[str, ...]:
        """What stands in its braces: source columns, and site_id."""
        return tuple(name for _, name in self.pieces if name is not None)

    @field_validator("template")
    @classmethod
    def _braces_match(cls, template: str) -> str:
        _pieces(template)
        return template


def _pieces(template: str) -> list[tuple[str, str | None]]:
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError:
        raise ValueError("its braces don't match: write {column}, and {{ for a brace itself") from None
    if any(name == "" or format_ or conversion for _, name, format_, conversion in parsed):
        raise ValueError("takes {column} with a column's name, and nothing else, between its braces")
    return [(text, name) for text, name, _, _ in parsed]


def _plain(value: object) -> object:
    if not isinstance(value, str | int | float):
        raise ValueError("must be a text, a number, true or false: put a date or the like in quotes")
    return value


class FromValue(_Strict):
    """A BigQuery column with the same value in every row; a text may contain `{site_id}`."""

    value: Annotated[str | int | float | bool, BeforeValidator(_plain)]


class JsonMember(_Strict):
    """A member of a JSON object: a text column that holds JSON, although the catalogue doesn't say so."""

    json_column: str = Field(alias="json")


def _kind_of_member(member: object) -> str | None:
    if isinstance(member, str):
        return "column"
    return "json" if isinstance(member, dict | JsonMember) else None


class FromObject(_Strict):
    """A JSON column built from several source columns: {member: source column}."""

    object: dict[
        str,
        Annotated[
            Annotated[str, Tag("column")] | Annotated[JsonMember, Tag("json")],
            Discriminator(
                _kind_of_member,
                custom_error_type="member",
                custom_error_message="must be a source column, or {json: a text column that holds JSON}",
            ),
        ],
    ] = Field(min_length=1)


ColumnOrigin = FromColumn | FromTemplate | FromValue | FromObject

_KINDS: dict[str, type[BaseModel]] = {
    "column": FromColumn,
    "template": FromTemplate,
    "value": FromValue,
    "object": FromObject,
}


def _kind_of_origin(origin: object) -> str | None:
    """What decides how an origin is read, so that only that one reading is complained about."""
    if isinstance(origin, str):
        return "column"
    for kind, model in _KINDS.items():
        if isinstance(origin, model) or (isinstance(origin, dict) and kind in origin):
            return kind
    return None


def _named_column(origin: object) -> object:
    return {"column": origin} if isinstance(origin, str) else origin


class TableSettings(_Strict):
    """How one source table is carried: what its rows are known by, and which column goes where."""

    destination: str = Field(pattern=r"^[\w -]+$", max_length=1024)
    primary_key: str
    columns: dict[
        str,
        Annotated[
            Annotated[FromColumn, BeforeValidator(_named_column), Tag("column")]
            | Annotated[FromTemplate, Tag("template")]
            | Annotated[FromValue, Tag("value")]
            | Annotated[FromObject, Tag("object")],
            Discriminator(
                _kind_of_origin,
                custom_error_type="origin",
                custom_error_message="must be a source column, {template: ...}, {value: ...} or {object: ...}",
            ),
        ],
    ] = Field(min_length=1)
    synced_flag: str | None = "synced_to_bq"
    synced_at: str | None = None
    identity: tuple[str, ...] = Field((), validate_default=True)  # empty: see identity_columns
    age_column: str | None = None
    settle_seconds: float = Field(0, ge=0)
    retention_days: int | None = Field(60, ge=1)

    @property
    def identity_columns(self) -> tuple[str, ...]:
        """The BigQuery columns that a row is known by: as configured, else what carries the key, with tid and fid."""
        if self.identity:
            return self.identity
        return (*self.key_columns, *(name for name in ("tid", "fid") if name in self.columns))

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The BigQuery columns that carry the primary key, by name or in a template."""
        return tuple(name for name, origin in self.columns.items() if _carries(origin, self.primary_key))

    @field_validator("identity")
    @classmethod
    def _identity_is_mapped(cls, identity: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        columns, key = info.data.get("columns"), info.data.get("primary_key")
        if columns is None or key is None:
            return identity  # what is wrong there is said there
        if unmapped := [name for name in identity if name not in columns]:
            raise ValueError(f"{', '.join(unmapped)} isn't mapped: add it to columns, or take it out of identity")
        if not identity and not any(_carries(origin, key) for origin in columns.values()):
            raise ValueError(f"no column carries the primary key {key}: add one to columns, or name identity columns")
        return identity

    @field_validator("settle_seconds")
    @classmethod
    def _age_is_known(cls, seconds: float, info: ValidationInfo) -> float:
        if seconds and not info.data.get("age_column", True):
            raise ValueError("needs age_column, the column that says how old a row is: set it too")
        return seconds


def _carries(origin: ColumnOrigin, primary_key: str) -> bool:
    match origin:
        case FromColumn(column=column):
            return column == primary_key
        case FromTemplate():
            return primary_key in origin.names
        case _:
            return False


def _listed(value: object) -> object:
    """A list; in the environment it is a text with spaces or line ends between its parts."""
    return tuple(value.split()) if isinstance(value, str) else value


WriteMethod = Literal["storage_write", "insert_all"]

INSERT_ALL_ROWS = 500  # of a request, at most: what BigQuery advises; it takes 50,000


class Settings(_Strict):
    """Everything that can be set; the names are those of the YAML file and, as BQ_SYNC_<NAME>, of the environment."""

    enabled: bool = False
    project_id: str = Field(pattern=r"^[A-Za-z0-9_.:-]+$")
    dataset_id: str = Field(pattern=r"^[A-Za-z0-9_]+$", max_length=1024)
    location: str | None = None
    credentials_path: Path | None = None
    storage_endpoint: str | None = None  # host:port of an emulator's gRPC server

    database_url: SecretStr | None = None
    database_timezone: str | None = None
    site_id: str = Field("", pattern=r"^[A-Za-z0-9_.-]{0,64}$")
    database_share: float = Field(0.1, ge=0.001, le=1)  # of the time, while others work on the server
    on_unsafe_durability: Literal["refuse", "lookup_first"] = "refuse"

    write_method: WriteMethod = "storage_write"
    batch_size: int = Field(100, ge=1)
    interval_seconds: float = Field(30, gt=0)
    max_batch_rows: int = Field(10_000, ge=1, le=50_000)
    max_batch_bytes: int = Field(4_000_000, ge=100_000, le=9_500_000)  # the service refuses requests over 10 MB
    max_upload_kbps: int | None = Field(None, ge=8)
    compression: Literal["none", "gzip"] = "none"
    stream_settle_seconds: float = Field(600, ge=0)
    lookup_settle_seconds: float = Field(150, ge=0)  # of insert_all: a request's deadline and the insertId window
    lookup_max_bytes: int = Field(10_000_000_000, ge=10_485_760)  # what one look-up may scan

    verify_before_delete: Literal["bigquery", "ledger"] = "bigquery"
    retention_schedule: str | None = Field("03:30", validate_default=True)  # a time of day, or a window; None: never
    retention_chunk_rows: int = Field(200, ge=1, le=1000)
    verify_days: int = Field(7, ge=0, le=366)  # how many days before today are compared every day; 0: none
    keep_completed_days: int = Field(7, ge=1)
    keep_ledger_days: int = Field(30, ge=1)

    api_host: str = Field("127.0.0.1", min_length=1)
    api_port: int = Field(8322, ge=0, le=65535)
    api_token: SecretStr | None = Field(None, validate_default=True)
    api_read_token: SecretStr | None = None

    pending_threshold: int = Field(1000, ge=0)
    failed_threshold: int = Field(10, ge=0)
    oldest_pending_threshold_seconds: float = Field(300, gt=0)
    log_format: Literal["auto", "human", "json"] = "auto"
    alert_urls: Annotated[tuple[SecretStr, ...], BeforeValidator(_listed)] = ()  # of Apprise; they hold secrets
    heartbeat_table: str | None = Field(None, pattern=r"^[\w -]+$", max_length=1024)
    metrics_directory: Path | None = None  # where the processes of a box put their figures together

    tables: dict[str, TableSettings] = Field(min_length=1)

    @field_validator("database_timezone")
    @classmethod
    def _zone_exists(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError, OSError) as error:
                raise ValueError(f"{name!r} is no time zone: use a name such as Asia/Tokyo or UTC") from error
        return name

    @field_validator("retention_schedule", mode="before")
    @classmethod
    def _schedule_is_a_time(cls, schedule: object) -> object:
        if schedule is None or schedule == "never":
            return None
        if not isinstance(schedule, str) or not _SCHEDULE.fullmatch(schedule):
            raise ValueError('must be a time such as "03:30", a window such as "22:00-04:00", or never; in quotes')
        return schedule

    @field_validator("database_url")
    @classmethod
    def _url_is_mysql(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and (problem := problem_of(url.get_secret_value())):
            raise ValueError(problem)
        return url

    @field_validator("alert_urls")
    @classmethod
    def _urls_name_a_service(cls, urls: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        """Whether Apprise knows the service is a matter of `check`: it takes long to ask."""
        form = re.compile(r"[A-Za-z0-9+.-]+://.")
        if wrong := [str(place) for place, url in enumerate(urls, 1) if not form.match(url.get_secret_value())]:
            raise ValueError(
                f"number {', '.join(wrong)} is no Apprise URL: write service://..., such as ntfys://host/topic"
            )
        return urls

    @field_validator("api_token", "api_read_token")
    @classmethod
    def _token_is_long(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and len(token.get_secret_value()) < 16:
            raise ValueError("a token needs 16 characters or more: make one with `openssl rand -hex 32`")
        return token

    @field_validator("api_token")
    @classmethod
    def _strangers_need_a_token(cls, token: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        host = info.data.get("api_host", "localhost")
        if token is None and not is_loopback(host):
            raise ValueError(
                f"is missing, and others can reach api_host {host}: set BQ_SYNC_API_TOKEN, or api_host to 127.0.0.1"
            )
        return token

    @property
    def most_rows(self) -> int:
        """The most rows of a batch, by the settings and by what the way of writing takes well."""
        return min(self.max_batch_rows, INSERT_ALL_ROWS) if self.write_method == "insert_all" else self.max_batch_rows

    @property
    def zone(self) -> ZoneInfo | None:
        """The zone that DATETIME columns are in, where the configuration says so."""
        return ZoneInfo(self.database_timezone) if self.database_timezone else None

    def require_database_url(self) -> str:
        """The database's URL, password and all.

        Raises:
            SettingsError: it isn't set.
        """
        if self.database_url is None:
            raise SettingsError([f"database_url: is missing: set BQ_SYNC_DATABASE_URL={URL_FORM}"])
        return self.database_url.get_secret_value()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def environment_name(setting: str) -> str:
    """The environment variable that wins over the file's setting."""
    return "BQ_CREDENTIALS_PATH" if setting == "credentials_path" else f"BQ_SYNC_{setting.upper()}"


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the file and the environment (default: the process's own). An empty variable sets nothing.

    Raises:
        SettingsError: with a line for each setting that is wrong, or for the file that can't be read.
    """
    environment = os.environ if environment is None else environment
    path = find_file(environment)
    variables = {name: environment_name(name) for name in Settings.model_fields if name != "tables"}
    chosen = {name: environment[variable] for name, variable in variables.items() if environment.get(variable)}
    try:
        return Settings.model_validate(read_file(path) | chosen)
    except ValidationError as error:
        names = {1: Settings.model_fields, 3: TableSettings.model_fields}
        explained = (explain(problem, names) for problem in error.errors(include_input=False))
        raise SettingsError(
            [f"{name}: {text} ({_where(name, path, variables, chosen)})" for name, text in explained]
        ) from None


def _where(name: str, path: Path, variables: Mapping[str, str], chosen: Mapping[str, str]) -> str:
    if name in chosen:
        return f"from {variables[name]}"
    return f"in {path}, or {variables[name]}" if name in variables else f"in {path}"
