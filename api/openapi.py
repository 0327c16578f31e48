"""The OpenAPI 3.1 document, made from the operations as they are declared, so that it can't say anything else."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from api.models.base import TABLE_NAME
from api.models.problem import ProblemAnswer
from api.operation import Operation
from api.roles import COOKIE, needs_token
from config.settings import Settings

# Of any operation; and of those that take a body, or need a token.
ALWAYS = (HTTPStatus.MISDIRECTED_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)
OF_BODY = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
)
OF_TOKEN = (HTTPStatus.UNAUTHORIZED,)

Mode = Literal["validation", "serialization"]


class _Untitled(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  pydantic's own
        return False  # a name in other letters tells nothing


def document(operations: Sequence[Operation], settings: Settings, version: str | None) -> Mapping[str, Any]:
    """Of these operations, on a site with these tables, and with tokens or without."""
    tokens = needs_token(settings)
    schemas, components = _schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _describe(
            operation, schemas, components, tokens
        )
    written = {
        "openapi": "3.1.0",
        "info": {
            "title": "bq-sync",
            "version": version or "unknown",
            "description": "Sight and control of bq-sync. docs/api.md says more.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": COOKIE},
            },
        },
    }
    told: dict[str, Any] = _with_tables(written, tuple(settings.tables))
    return told


def _with_tables(node: Any, tables: Sequence[str]) -> Any:
    """As it is, with the tables' names wherever one is meant."""
    match node:
        case dict():
            told = {key: _with_tables(value, tables) for key, value in node.items()}
            return told | {"enum": list(tables)} if TABLE_NAME.items() <= node.items() else told
        case list():
            return [_with_tables(value, tables) for value in node]
        case _:
            return node


def _describe(
    operation: Operation, schemas: Mapping[Any, Any], components: Mapping[str, Any], tokens: bool
) -> dict[str, Any]:
    needs_one = tokens and not operation.is_open
    summary, _, description = (operation.handle.__doc__ or "").partition("\n\n")
    described: dict[str, Any] = {
        "operationId": operation.handle.__name__,
        "summary": summary.strip().rstrip("."),
        "parameters": [
            *_parameters("path", operation.place, schemas, components),
            *_parameters("query", operation.query, schemas, components),
        ],
        "responses": _responses(operation, schemas, needs_one),
        "security": [{"token": []}, {"cookie": []}] if needs_one else [],
    }
    if description:
        described["description"] = description.strip()
    if operation.body is not None:
        described["requestBody"] = {
            "required": operation.without_body is None,
            "content": {"application/json": {"schema": schemas[operation.body, "validation"]}},
        }
    return described


def _responses(operation: Operation, schemas: Mapping[Any, Any], needs_token: bool) -> dict[str, Any]:
    responses: dict[HTTPStatus, dict[str, Any]] = {}
    for status, model in operation.answers.items():
        responses[status] = {"description": status.phrase}
        if model is not None:
            responses[status]["content"] = {"application/json": {"schema": schemas[model, "serialization"]}}
        if status is HTTPStatus.ACCEPTED and "command" in getattr(model, "model_fields", {}):
            location = {"description": "Where to ask what has become of it.", "schema": {"type": "string"}}
            responses[status]["headers"] = {"Location": location}
    for status in _problems(operation, needs_token):
        response = responses.setdefault(status, {"description": status.phrase})
        problem = {"schema": schemas[ProblemAnswer, "serialization"]}
        response.setdefault("content", {})["application/problem+json"] = problem
    return {str(status.value): responses[status] for status in sorted(responses)}


def _problems(operation: Operation, needs_token: bool) -> set[HTTPStatus]:
    found = {*ALWAYS, *operation.problems}
    if operation.body is not None:
        found.update(OF_BODY)
    if needs_token:
        found.update(OF_TOKEN)
    return found


def _parameters(
    where: str, model: type[BaseModel] | None, schemas: Mapping[Any, Any], components: Mapping[str, Any]
) -> list[dict[str, Any]]:
    if model is None:
        return []
    schema = components[schemas[model, "validation"]["$ref"].rpartition("/")[2]]
    required = schema.get("required", ())
    return [
        {"name": name, "in": where, "required": name in required, "schema": each}
        for name, each in schema.get("properties", {}).items()
    ]


def _schemas(operations: Sequence[Operation]) -> tuple[Mapping[Any, Any], dict[str, Any]]:
    """What refers to each model's schema, and those schemas."""
    wanted: dict[tuple[type[BaseModel], Mode], None] = {(ProblemAnswer, "serialization"): None}
    for operation in operations:
        asked = (operation.body, operation.query, operation.place)
        wanted.update({(model, "validation"): None for model in asked if model is not None})
        wanted.update({(model, "serialization"): None for model in operation.answers.values() if model is not None})
    schemas, definitions = models_json_schema(
        list(wanted), ref_template="#/components/schemas/{model}", schema_generator=_Untitled
    )
    return schemas, dict(definitions["$defs"])
