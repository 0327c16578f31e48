"""Failed items: shown, tried again, given up."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, WithJsonSchema, model_validator

from api.models.base import GREATEST_ID, Answer, InQuery, ItemId, Request, TableName
from database.failed import FailedItem

PAGE = 100
LARGEST_PAGE = 1000
MOST_IDS = 1000


class FailedQuery(Request):
    """Which failed items, and how many of them: those with ids below `before`."""

    table: TableName = Field(default_factory=str, min_length=1)  # left out: of all
    limit: Annotated[int, InQuery] = Field(PAGE, ge=1, le=LARGEST_PAGE)
    before: Annotated[int, InQuery] = Field(GREATEST_ID, ge=1, le=GREATEST_ID)


class Failed(Answer):
    id: int
    table: str
    record_id: str
    operation: str
    error: str | None
    retry_count: int
    created_at: datetime

    @classmethod
    def of(cls, item: FailedItem) -> Self:
        return cls(
            id=item.id,
            table=item.table,
            record_id=item.record_id,
            operation=item.operation,
            error=item.error,
            retry_count=item.retry_count,
            created_at=item.created_at,
        )


class FailedAnswer(Answer):
    """A page, the newest first; `next` is where the next one is."""

    failed: tuple[Failed, ...]
    next: str | None


class ItemsRequest(Request):
    """Failed items: those with these ids, those of these tables, or all."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["ids"]}, {"required": ["tables"]}, {"required": ["all"]}]}
    )

    # Exactly one of them is there. None is ever null; what stands for one that isn't there doesn't matter.
    ids: tuple[ItemId, ...] = Field(default_factory=tuple, min_length=1, max_length=MOST_IDS)
    tables: tuple[TableName, ...] = Field(default_factory=tuple, min_length=1)
    all: Annotated[bool, WithJsonSchema({"const": True})] = Field(default_factory=lambda: True)

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if len(self.model_fields_set) != 1 or not self.all:
            raise ValueError('it has to be one of {"ids": [...]}, {"tables": [...]} and {"all": true}')
        return self


class RetryAnswer(Answer):
    ok: Literal[True] = True
    retried_count: int


class ClearAnswer(Answer):
    ok: Literal[True] = True
    cleared_count: int
