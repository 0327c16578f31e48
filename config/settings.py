"""The settings of bq-sync, typed: the environment over the YAML file.

`load()` is the only way in. What is wrong is said all at once, each with its name, the problem and the fix.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

CHECKOUT_FILE = Path(__file__).with_name("bq_sync.yaml")
SYSTEM_FILE = Path("/etc/bq-sync/bq_sync.yaml")

# Settings whose environment variable isn't BQ_SYNC_<NAME>.
ENVIRONMENT_NAMES = {"credentials_path": "BQ_CREDENTIALS_PATH"}

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class SettingsError(Exception):
    """One or more settings are wrong; `problems` has a line for each: name, problem, fix."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class FromColumn(_Strict):
    """A BigQuery column that carries a source column."""

    column: str


class FromTemplate(_Strict):
    """A BigQuery column made from a text with `{source_column}` and `{site_id}` in it, such as `det_{id}`."""

    template: str


class FromValue(_Strict):
    """A BigQuery column with the same value in every row; a text may contain `{site_id}`."""

    value: str | int | float | bool


class JsonMember(_Strict):
    """A member of a JSON object: a text column that holds JSON, although the catalogue doesn't say so."""

    json_column: str = Field(alias="json")


class FromObject(_Strict):
    """A JSON column built from several source columns: {member: source column}."""

    object: dict[str, str | JsonMember]


ColumnOrigin = FromColumn | FromTemplate | FromValue | FromObject


def _column_origin(origin: object) -> object:
    return {"column": origin} if isinstance(origin, str) else origin


class TableSettings(_Strict):
    """How one source table is carried: what its rows are known by, and which column goes where."""

    destination: str
    primary_key: str
    columns: dict[str, Annotated[ColumnOrigin, BeforeValidator(_column_origin)]] = Field(min_length=1)
    synced_flag: str | None = "synced_to_bq"
    synced_at: str | None = None
    identity: tuple[str, ...] = ()  # empty: see identity_columns
    age_column: str | None = None
    settle_seconds: float = Field(0, ge=0)
    retention_days: int | None = Field(60, ge=1)

    @property
    def identity_columns(self) -> tuple[str, ...]:
        """The BigQuery columns that a row is known by: as configured, else what carries the primary key, with tid and fid."""
        if self.identity:
            return self.identity
        return (*self.key_columns, *(name for name in ("tid", "fid") if name in self.columns))

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The BigQuery columns that carry the primary key, by name or in a template."""
        return tuple(name for name, origin in self.columns.items() if self._carries_key(origin))

    def _carries_key(self, origin: ColumnOrigin) -> bool:
        match origin:
            case FromColumn(column=column):
                return column == self.primary_key
            case FromTemplate(template=template):
                return f"{{{self.primary_key}}}" in template
            case _:
                return False

    @model_validator(mode="after")
    def _identity_is_mapped(self) -> Self:
        unmapped = [name for name in self.identity if name not in self.columns]
        if unmapped:
            raise ValueError(f"identity names {', '.join(unmapped)}, which `columns` doesn't map: map it, or take it out of identity")
        if not self.identity_columns:
            raise ValueError(f"no BigQuery column carries the primary key {self.primary_key}: map it, or name identity columns")
        if self.settle_seconds and not self.age_column:
            raise ValueError("settle_seconds needs age_column, the column that says how old a row is")
        return self


class Settings(_Strict):
    """Everything that can be set; the names are those of the YAML file and, as BQ_SYNC_<NAME>, of the environment."""

    enabled: bool = False
    project_id: str
    dataset_id: str
    location: str | None = None
    credentials_path: Path | None = None
    storage_endpoint: str | None = None  # host:port of an emulator's gRPC server

    database_url: SecretStr | None = None
    database_timezone: str | None = None
    site_id: str = Field("", pattern=r"^[A-Za-z0-9_.-]{0,64}$")
    on_unsafe_durability: Literal["refuse", "lookup_first"] = "refuse"

    batch_size: int = Field(100, ge=1)
    interval_seconds: float = Field(30, gt=0)
    max_batch_rows: int = Field(10_000, ge=1, le=50_000)
    max_batch_bytes: int = Field(8_000_000, ge=100_000, le=9_500_000)  # the service refuses requests over 10 MB
    max_upload_kbps: int | None = Field(None, ge=8)
    compression: Literal["none", "gzip"] = "none"
    stream_settle_seconds: float = Field(600, ge=0)
    lookup_max_bytes: int = Field(10_000_000_000, ge=10_000_000)  # what one look-up may scan

    api_host: str = "127.0.0.1"
    api_port: int = Field(8322, ge=0, le=65535)
    api_token: SecretStr | None = None
    api_read_token: SecretStr | None = None

    tables: dict[str, TableSettings] = Field(min_length=1)

    @field_validator("database_timezone")
    @classmethod
    def _zone_exists(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError) as error:
                raise ValueError(f"{name!r} is no time zone: use a name such as Asia/Tokyo or UTC") from error
        return name

    @field_validator("database_url")
    @classmethod
    def _url_is_mysql(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not url.get_secret_value().startswith("mysql+pymysql://"):
            raise ValueError("must look like mysql+pymysql://user:password@host/database")
        return url

    @field_validator("api_token", "api_read_token")
    @classmethod
    def _token_is_long(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and len(token.get_secret_value()) < 16:
            raise ValueError("a token needs 16 characters or more: make one with `openssl rand -hex 32`")
        return token

    @model_validator(mode="after")
    def _strangers_need_a_token(self) -> Self:
        if self.api_host not in LOOPBACK and self.api_token is None:
            raise ValueError(f"api_host is {self.api_host}, which others can reach: set BQ_SYNC_API_TOKEN, or use 127.0.0.1")
        return self

    @property
    def zone(self) -> ZoneInfo | None:
        """The zone that DATETIME columns are in, where the configuration says so."""
        return ZoneInfo(self.database_timezone) if self.database_timezone else None


def find_file(environment: Mapping[str, str]) -> Path:
    """The configuration file: BQ_SYNC_CONFIG, else the checkout's, else the system's."""
    if chosen := environment.get("BQ_SYNC_CONFIG"):
        return Path(chosen)
    return CHECKOUT_FILE if CHECKOUT_FILE.exists() else SYSTEM_FILE


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the file and the environment (default: the process's own).

    Raises:
        SettingsError: with a line for each setting that is wrong, or for the file that can't be read.
    """
    environment = os.environ if environment is None else environment
    path = find_file(environment)
    values = _read(path)
    values.update(_from_environment(environment))
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError([_explain(problem, path) for problem in error.errors()]) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError([f"{path}: can't be read ({error.strerror}): set BQ_SYNC_CONFIG to the configuration file"]) from error
    except yaml.YAMLError as error:
        raise SettingsError([f"{path}: is not valid YAML: {error}"]) from error
    values = document.get("bq_sync") if isinstance(document, dict) else None
    if not isinstance(values, dict):
        raise SettingsError([f"{path}: has no `bq_sync:` section: start from the shipped config/bq_sync.yaml"])
    return dict(values)


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What the environment sets; an empty variable sets nothing."""
    named = {name: ENVIRONMENT_NAMES.get(name, f"BQ_SYNC_{name.upper()}") for name in Settings.model_fields if name != "tables"}
    return {name: environment[variable] for name, variable in named.items() if environment.get(variable)}


def _explain(problem: Any, path: Path) -> str:
    name = ".".join(str(part) for part in problem["loc"] if not str(part).startswith("From")) or "bq_sync"
    known = problem["loc"] and problem["loc"][0] in Settings.model_fields
    where = f"{path}, or {ENVIRONMENT_NAMES.get(name, f'BQ_SYNC_{name.upper()}')}" if known and "." not in name else str(path)
    text = {
        "extra_forbidden": "no such setting: remove it, or mend its spelling",
        "missing": "is missing: add it",
    }.get(problem["type"], problem["msg"].removeprefix("Value error, "))
    return f"{name}: {text} (in {where})"
