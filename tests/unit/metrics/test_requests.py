"""API requests are counted by route, and no caller can make up a label."""

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from metrics.instruments import Instruments
from metrics.requests import MeasuredRequests
from tests.unit.metrics.asking import get


async def answer(request: Request) -> Response:
    if request.path_params["id"] == "0":
        raise HTTPException(404)
    if request.path_params["id"] == "1":
        raise RuntimeError("unforeseen")
    return Response("fine")


def test_by_route_and_never_by_path() -> None:
    registry = CollectorRegistry()
    routes = [Route("/things/{id}", answer, methods=["GET"])]
    measured = Middleware(MeasuredRequests, instruments=Instruments(registry), routes=routes)
    app = Starlette(routes=routes, middleware=[measured])
    for path in ("/things/7", "/things/8", "/things/0", "/things/1", "/nowhere/1", "/nowhere/2"):
        get(app, path)
    get(app, "/things/7", method="BREW")

    def count(**labels: str) -> float | None:
        return registry.get_sample_value("bq_sync_api_requests_total", labels)

    assert count(method="GET", route="/things/{id}", status="2xx") == 2
    assert count(method="GET", route="/things/{id}", status="4xx") == 1
    assert count(method="GET", route="/things/{id}", status="5xx") == 1
    assert count(method="GET", route="unknown", status="4xx") == 2
    assert count(method="other", route="/things/{id}", status="4xx") == 1
    took = registry.get_sample_value("bq_sync_api_request_duration_seconds_count", {"route": "/things/{id}"})
    assert took == 5
