"""Every operation with everything that can be wrong with a request: a problem that says so, and nothing changed.

The operations are those of the OpenAPI document, so a new one is tried without being named here.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import jsonschema_rs
import pytest
from sqlalchemy import Engine, text
from starlette.applications import Starlette

from api.app import create_app
from database.commands import CommandKind, request
from database.schema import metadata
from operations.control import Patience
from tests.integration.api_worker import TABLES, make_tables, worker
from tests.unit.api.client import READ_TOKEN, TOKEN, call_path, settings

pytestmark = pytest.mark.integration

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE")
CONTROLLING = ("post", "delete")
JSON = {"Content-Type": "application/json"}
HUGE = 2**63

NOT_JSON: Mapping[str, bytes] = {
    "cut short": b'{"tables": ["logs"]',
    "a word": b"tables",
    "not UTF-8": b'{"tables": ["\xff"]}',
    "UTF-16": '{"tables": ["logs"]}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"tables": ["logs"]}',
    "nested deeply": b'{"tables": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "not closed, deeply": b"[" * 60_000,
    "not a number": b'{"tables": [NaN]}',
    "infinite": b'{"tables": [Infinity]}',
    "the same member twice": b'{"tables": ["logs"], "tables": ["summaries"]}',
    "the same inner member twice": b'{"tables": [{"a": 1, "a": 2}]}',
    "a number of many digits": b'{"tables": [' + b"9" * 10_000 + b"]}",
    "half a character": b'{"tables": ["\\ud800"]}',
    "a NUL": b'{"tables": ["\0"]}',
    "two documents": b"{}{}",
}
OF_ANOTHER_SHAPE: Mapping[str, object] = {
    "a list": ["logs"],
    "a number": 5,
    "null": None,
    "an unknown member": {"tabels": ["logs"]},
    "an unknown member beside": {"tables": ["logs"], "force": True},
    "no list": {"tables": "logs"},
    "a null list": {"tables": None},
    "an empty list": {"tables": []},
    "a list of numbers": {"tables": [1]},
    "an unknown table": {"tables": ["logs", "nothing"]},
    "a table in quotes": {"tables": ["logs`; DROP TABLE logs; -- "]},
    "a table in other letters": {"tables": ["LOGS"]},
    "very many tables": {"tables": ["x" * 60] * 1000},
}
OF_ITEMS: Mapping[str, object] = {
    "nothing said": {},
    "two things said": {"ids": [1], "all": True},
    "not all": {"all": False},
    "all as a number": {"all": 1},
    "an id as a text": {"ids": ["1"]},
    "a part of an id": {"ids": [1.5]},
    "true as an id": {"ids": [True]},
    "no id": {"ids": [0]},
    "a negative id": {"ids": [-1]},
    "a huge id": {"ids": [HUGE]},
    "an id far beyond": {"ids": [10**400]},
    "an id as a float beyond": {"ids": [1e300]},
    "no ids": {"ids": []},
    "too many ids": {"ids": list(range(1, 1002))},
}
QUERIES: Mapping[str, int] = {
    "limit=0": 422,
    "limit=1001": 422,
    "limit=-1": 422,
    "limit=ten": 422,
    "limit=1_0": 422,
    "limit=%D9%A3": 422,  # a digit, but not one of ours
    "limit=10&limit=20": 422,
    "limit=": 422,
    f"before={HUGE}": 422,
    f"before={10**400}": 422,
    "before=0": 422,
    "table=": 422,
    "table=nothing": 422,
    "table=logs&table=summaries": 422,
    "table=%FF%00": 422,
    "tables=logs": 422,
}
COMMANDS = ("0" * 32, "0" * 31, "0" * 33, "G" * 32, "..%2Fstatus", "%00", "%FF", "x" * 5_000, "'; DROP TABLE logs")


@dataclass(frozen=True)
class Case:
    what: str
    method: str
    path: str
    status: int
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    token: str | None = TOKEN


@pytest.fixture
def app(engine: Engine) -> Starlette:
    make_tables(engine)
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO bq_sync_queue (table_name, record_id, sync_status) VALUES (:table, 'a', :state)"),
            [{"table": table, "state": state} for table in TABLES for state in ("failed", "pending", "completed")],
        )
        connection.execute(text("INSERT INTO bq_sync_table (table_name) VALUES ('logs')"))
    chosen = settings(api_token=TOKEN, api_read_token=READ_TOKEN)
    return create_app(chosen, engine, patience=Patience(taken=2, done=2, look=0.01))


def checksums(engine: Engine) -> Sequence[object]:
    """Of everything in bq-sync's tables."""
    with engine.connect() as connection:
        return connection.execute(text(f"CHECKSUM TABLE {', '.join(metadata.tables)}")).all()


def document(app: Starlette) -> Mapping[str, Any]:
    described: Mapping[str, Any] = ask(app, Case("the document", "GET", "/api/bq-sync/openapi.json", 200)).json()
    return described


def ask(app: Starlette, case: Case) -> httpx.Response:
    token = {"Authorization": f"Bearer {case.token}"} if case.token else {}
    return call_path(app, case.method, case.path, headers={**token, **case.headers}, content=case.content)


def refusals(described: Mapping[str, Any]) -> Iterator[Case]:
    for template, operations in described["paths"].items():
        path = template.replace("{id}", "0" * 32)
        for method in METHODS:
            if method.lower() not in operations:
                yield Case("a wrong method", method, path, 405)
        for method, operation in operations.items():
            yield from _of_anybody(method, path, needs_token=bool(operation["security"]))
            if "requestBody" in operation:
                schema = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
                yield from _of_body(method.upper(), path, of_items=schema.endswith("/ItemsRequest"))
    for query, status in QUERIES.items():
        yield Case(f"the query {query}", "GET", f"/api/bq-sync/failed?{query}", status)
    for command in COMMANDS:
        yield Case("an unknown command", "GET", f"/api/bq-sync/commands/{command}", 404)
    yield Case("an unknown path", "POST", "/api/bq-sync/nothing", 404)
    yield Case("a slash too many", "POST", "/api/bq-sync/flush/", 404)


def _of_anybody(method: str, path: str, *, needs_token: bool) -> Iterator[Case]:
    verb = method.upper()
    yield Case("a foreign host", verb, path, 421, headers={"Host": "evil.example"})
    yield Case("an unknown parameter", verb, f"{path}?force=1", 422)
    if needs_token:
        yield Case("no token", verb, path, 401, token=None)
        yield Case("a wrong token", verb, path, 401, token="wrong-wrong-wrong-wrong")
        yield Case("half a token", verb, path, 401, token=TOKEN[:-1])
        yield Case("a wrong cookie", verb, path, 401, token=None, headers={"Cookie": f"bq_sync={TOKEN}"})
    if method in CONTROLLING:
        if needs_token:
            yield Case("the read token", verb, path, 403, token=READ_TOKEN)
        yield Case("a foreign origin", verb, path, 403, headers={"Origin": "https://evil.example"})
        yield Case("a form of a foreign page", verb, path, 403, headers={"Sec-Fetch-Site": "cross-site"})


def _of_body(method: str, path: str, *, of_items: bool) -> Iterator[Case]:
    for what, content in NOT_JSON.items():
        yield Case(what, method, path, 400, content, JSON)
    for what, value in {**OF_ANOTHER_SHAPE, **(OF_ITEMS if of_items else {})}.items():
        yield Case(what, method, path, 422, json.dumps(value).encode(), JSON)
    yield Case("a huge body", method, path, 413, b" " * 70_000, JSON)
    yield Case("a form", method, path, 415, b"tables=logs", {"Content-Type": "application/x-www-form-urlencoded"})
    yield Case("a body without a type", method, path, 415, b"{}")
    if of_items:
        yield Case("unknown ids", method, path, 404, json.dumps({"ids": [1, 4711]}).encode(), JSON)
        yield Case("the greatest id", method, path, 404, json.dumps({"ids": [HUGE - 1]}).encode(), JSON)
        yield Case("an id that hasn't failed", method, path, 409, json.dumps({"ids": [1, 2]}).encode(), JSON)


def test_what_is_refused_changes_nothing(app: Starlette, engine: Engine) -> None:
    described = document(app)
    is_problem = jsonschema_rs.validator_for(
        {"$ref": "#/components/schemas/ProblemAnswer", "components": described["components"]}
    )
    before, wrong = checksums(engine), []
    for case in refusals(described):
        response = ask(app, case)
        told = f"{case.method} {case.path[:60]}, {case.what}: {response.status_code}, not {case.status}"
        if response.status_code != case.status:
            wrong.append(told)
        elif response.headers["content-type"] != "application/problem+json" or not is_problem.is_valid(response.json()):
            wrong.append(f"{told}: no problem, but {response.text[:200]}")
        assert checksums(engine) == before, f"{told}, and the database changed"
    assert not wrong, "\n".join(wrong)


# What is good, where nothing isn't: each is answered at once, since somebody is there to do it.
GOOD: Mapping[str, tuple[object, ...]] = {
    "post /api/bq-sync/flush": (None, {}, {"tables": ["logs"]}),
    "post /api/bq-sync/retention": (None, {"dryRun": True}, {"tables": ["logs"], "dryRun": False}),
    "post /api/bq-sync/pause": ({"tables": ["logs"]}, None),
    "post /api/bq-sync/resume": ({"tables": ["logs"]}, None),
    "post /api/bq-sync/retry": ({"ids": [1]}, {"tables": ["logs"]}, {"all": True}),
    "post /login": ({"token": TOKEN},),
    "delete /api/bq-sync/failed": ({"ids": [4.0]}, {"tables": ["logs"]}, {"all": True}, None),
}


def test_what_is_good_is_answered_as_the_document_says(app: Starlette, engine: Engine) -> None:
    described = document(app)
    with engine.begin() as connection:
        command = request(connection, CommandKind.FLUSH, TABLES)
    report = '{"flushedCount": 3, "deleted": 1, "wouldDelete": 1, "finished": true}'
    with worker(engine, *TABLES, end=lambda _: report):
        for template, operations in described["paths"].items():
            for method, operation in sorted(operations.items(), reverse=True):  # a POST before a DELETE
                for value in GOOD.get(f"{method} {template}", (None,)):
                    path = template.replace("{id}", command)
                    content = None if value is None else json.dumps(value).encode()
                    headers = {} if value is None else JSON
                    with engine.begin() as connection:
                        connection.execute(text("UPDATE bq_sync_queue SET sync_status = 'failed' WHERE id IN (1, 4)"))
                    response = ask(app, Case("good", method.upper(), path, 200, content, headers))
                    expected = 503 if template.endswith("/health") else 200  # its worker owns nothing
                    assert response.status_code in (expected, 204), (method, path, response.text)
                    answers = operation["responses"][str(response.status_code)].get("content")
                    if answers is None:
                        assert response.content == b""
                        continue
                    assert response.headers["content-type"] == "application/json"
                    schema = answers["application/json"]["schema"] | {"components": described["components"]}
                    jsonschema_rs.validate(schema, response.json())


def test_head_and_options(app: Starlette) -> None:
    for template, operations in document(app)["paths"].items():
        path = template.replace("{id}", "0" * 32)
        allowed = ask(app, Case("options", "OPTIONS", path, 204))
        assert allowed.status_code == 204
        assert set(allowed.headers["allow"].lower().split(", ")) >= {*operations, "options"}
        if "get" in operations:
            head, get = (ask(app, Case("head", method, path, 200)) for method in ("HEAD", "GET"))
            assert head.status_code == get.status_code
