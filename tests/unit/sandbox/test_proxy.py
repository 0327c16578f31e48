"""The proxy that makes lines bad, before a server that echoes."""

import socket
import threading
import time
from collections.abc import Iterator
from random import Random

import pytest

from sandbox.child import free_port
from sandbox.proxy import Proxy

SOON = 5.0


class Echo:
    """A server that sends back what it gets, and keeps it."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.got = b""
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._echo, args=(connection,), daemon=True).start()

    def _echo(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65_536):
                    self.got += data
                    connection.sendall(data)
            except ConnectionError:
                pass


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    with Proxy("127.0.0.1", echo.port, Random(1)) as proxy:
        yield proxy


def connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=SOON)


def ask(client: socket.socket, question: bytes) -> bytes:
    """What comes back of it before the connection ends."""
    client.sendall(question)
    return listen(client, len(question))


def listen(client: socket.socket, nbytes: int) -> bytes:
    answer = b""
    while len(answer) < nbytes and (data := client.recv(65_536)):
        answer += data
    return answer


def is_silent(client: socket.socket) -> bool:
    client.settimeout(0.2)
    try:
        return client.recv(1) is None
    except TimeoutError:
        return True
    finally:
        client.settimeout(SOON)


def until_got(echo: Echo, expected: bytes) -> None:
    deadline = time.monotonic() + SOON
    while echo.got != expected:
        assert time.monotonic() < deadline, echo.got
        time.sleep(0.01)


def test_everything_comes_through(proxy: Proxy) -> None:
    question = Random(2).randbytes(1_000_000)
    client = connected(proxy)
    answer: list[bytes] = []
    listener = threading.Thread(target=lambda: answer.append(listen(client, len(question))))
    listener.start()
    client.sendall(question)
    listener.join()
    assert answer == [question]
    client.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""  # the server's end comes through as well; by then all is counted
    assert (proxy.sent, proxy.received) == (1_000_000, 1_000_000)
    client.close()


def test_cut_and_restored(proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert ask(client, b"before") == b"before"
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    with pytest.raises(ConnectionError), connected(proxy) as refused:
        refused.recv(1)
    proxy.restore()
    with connected(proxy) as client:
        assert ask(client, b"after") == b"after"


def test_a_black_hole_delivers_once_it_ends(proxy: Proxy, echo: Echo) -> None:
    with connected(proxy) as old:
        assert ask(old, b"before,") == b"before,"
        proxy.cut(black_hole=True)
        old.sendall(b"into it,")
        with connected(proxy) as new:
            assert is_silent(old)
            new.sendall(b"from new")
            assert is_silent(new)
            assert echo.got == b"before,"
            proxy.restore()
            assert listen(old, 8) == b"into it,"
            assert listen(new, 8) == b"from new"


def test_lost_answers(proxy: Proxy, echo: Echo) -> None:
    with connected(proxy) as client:
        proxy.drop_answers()
        client.sendall(b"written")
        until_got(echo, b"written")
        assert is_silent(client)
        proxy.restore()
        with pytest.raises(ConnectionResetError):  # rather than the rest of an answer
            client.recv(1)
    with connected(proxy) as client:
        assert ask(client, b"answered") == b"answered"


def test_half_closed(proxy: Proxy, echo: Echo) -> None:
    with connected(proxy) as client:
        assert ask(client, b"before, ") == b"before, "
        proxy.half_close()
        assert client.recv(1) == b""
        client.sendall(b"written")
        until_got(echo, b"before, written")
    with connected(proxy) as client:
        assert ask(client, b"new") == b"new"


def test_a_slow_line_is_shared(proxy: Proxy) -> None:
    proxy.kbps = 1_000
    question = bytes(25_000)
    began = time.monotonic()
    with connected(proxy) as one, connected(proxy) as other:
        other.sendall(question)
        assert ask(one, question) == question
        assert listen(other, len(question)) == question
    assert time.monotonic() - began >= 0.39  # 50 kB each way; a busy machine may take longer


def test_a_long_line(proxy: Proxy) -> None:
    proxy.delay = 0.1
    began = time.monotonic()
    with connected(proxy) as client:
        for _ in range(2):
            assert ask(client, b"there and back") == b"there and back"
    assert time.monotonic() - began >= 0.4


def test_a_share_of_new_connections_is_lost(proxy: Proxy) -> None:
    proxy.loss = 0.5
    question = bytes(40_000)
    broken = 0
    for _ in range(40):
        try:
            with connected(proxy) as client:
                broken += ask(client, question) != question
        except ConnectionError:
            broken += 1
    assert broken == proxy.lost
    assert 10 <= broken <= 30


def test_a_server_that_is_away() -> None:
    with Proxy("127.0.0.1", free_port()) as proxy, pytest.raises(ConnectionError), connected(proxy) as client:
        client.recv(1)
