"""What all of the API's models share: spelling (camelCase, RFC 3339 in UTC), and the types of names and ids."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

GREATEST_ID = 2**63 - 1  # of a BIGINT

# Which tables there are is configuration: the application checks it, and the OpenAPI document lists them.
TABLE_NAME = {"type": "string", "format": "table"}
TableName = Annotated[str, WithJsonSchema(TABLE_NAME)]


class Request(BaseModel):
    """What the API takes. A member that it doesn't know is an error: it might be a misspelled one."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)


class Nothing(Request):
    """A query without any parameters."""


class Answer(BaseModel):
    """What the API gives."""

    model_config = ConfigDict(
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
        serialize_by_alias=True,
        json_schema_serialization_defaults_required=True,
    )


def _whole(text: object) -> object:
    """In a query all is text; int() would also take '1_000', ' 7' and '٣'."""
    if isinstance(text, str) and not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ValueError("has to be a whole number, 1 or more")
    return text


InQuery = BeforeValidator(_whole)  # for whole numbers above 0


def _without_point(number: object) -> object:
    """JSON has one kind of numbers: 7.0 is 7, and some languages write it so."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


ItemId = Annotated[int, Field(ge=1, le=GREATEST_ID), BeforeValidator(_without_point)]


class TablesRequest(Request):
    """For some tables; for all where it names none."""

    tables: tuple[TableName, ...] = Field(default_factory=tuple, min_length=1)
