"""Clients that never finish what they say: answered, or left, in time."""

import socket
import time
from collections.abc import Iterator

import pytest

from api import body, protocol
from api.app import create_app
from api.serve import ApiServer
from tests.unit.api.client import settings

pytestmark = pytest.mark.integration

SECONDS = 0.3


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    monkeypatch.setattr(body, "BODY_SECONDS", SECONDS)
    monkeypatch.setattr(protocol, "HEAD_SECONDS", SECONDS)
    server = ApiServer(create_app(settings(), None), "127.0.0.1", 0)
    server.start(lambda: None)
    yield server
    server.stop()


def talk(server: ApiServer, *parts: bytes) -> bytes:
    """Say this, and return all that is said until the connection is closed."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(0.01)
        said = b""
        while more := connection.recv(65_536):
            said += more
        return said


def test_a_body_that_doesnt_come(server: ApiServer) -> None:
    head = b"POST /api/bq-sync/flush HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
    said = talk(server, head, b'{"')
    assert said.startswith(b"HTTP/1.1 408 ")
    assert b"application/problem+json" in said


def test_a_body_in_chunks_that_dont_end(server: ApiServer) -> None:
    head = b"POST /api/bq-sync/flush HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert talk(server, head, *[b"1\r\n \r\n"] * 5).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("said", [b"", b"GET /livez HTTP/1.1\r\n", b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: "])
def test_a_head_that_doesnt_come(server: ApiServer, said: bytes) -> None:
    assert talk(server, said) == b""


def test_a_second_head_that_doesnt_come(server: ApiServer) -> None:
    said = talk(server, b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /livez HT")
    assert said.count(b"HTTP/1.1 200 ") == 1


def test_whoever_is_slow_but_gets_there_is_answered(server: ApiServer) -> None:
    said = talk(server, b"GET /livez HTTP/1.1\r\nHo", b"st: localhost\r\nConnection: close\r\n", b"\r\n")
    assert said.startswith(b"HTTP/1.1 200 ")
