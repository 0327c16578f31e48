"""A scrape without a socket."""

import asyncio

import httpx
from starlette.types import ASGIApp


def get(app: ASGIApp, path: str = "/metrics", method: str = "GET", **headers: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8322") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(ask())
