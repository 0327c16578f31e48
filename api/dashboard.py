"""The dashboard's files: one page at `/`, and what it is made of under `/static/`.

There is nothing to build: the files are served as they stand. The page asks the REST API for all that it shows.
"""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FILES = Path(__file__).parent / "static"

# Nothing from elsewhere, nothing inline, no frame around it; and no script may turn text into markup, not even ours.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",  # kept, but asked about each time: one whose ETag still holds costs a 304
}


def dashboard_routes() -> list[BaseRoute]:
    """The page and its parts."""
    files = _Files(directory=FILES)

    async def page(request: Request) -> Response:
        return await files.get_response("page.html", request.scope)

    return [Route("/", page, methods=["GET"], include_in_schema=False), Mount("/static", files)]


class _Files(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response
