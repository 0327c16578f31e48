"""Calls to the application without a socket."""

import asyncio
from typing import Any

import httpx
from starlette.types import ASGIApp

from config.settings import Settings

TOKEN = "control-control-control"
READ_TOKEN = "read-read-read-read-read"


def settings(**values: object) -> Settings:
    table = {"destination": "events", "primary_key": "id", "columns": {"id": "id"}}
    return Settings.model_validate(
        {
            "enabled": True,
            "project_id": "p",
            "dataset_id": "d",
            "site_id": "box",
            "tables": {"logs": table, "summaries": table},
        }
        | values
    )


def call(app: ASGIApp, method: str, path: str, **options: Any) -> httpx.Response:
    """One request to the API, from 127.0.0.1 unless the headers say otherwise."""
    return call_path(app, method, f"/api/bq-sync{path}", **options)


def call_path(app: ASGIApp, method: str, path: str, **options: Any) -> httpx.Response:
    """As `call`, to any path."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8322") as client:
            return await client.request(method, path, **options)

    return asyncio.run(ask())


def assert_problem(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert (response.status_code, problem["status"]) == (status, status)
    assert problem["detail"]
    return problem
