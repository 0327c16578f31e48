"""One POST at a time, over real sockets: what went out is known, and what is given up doesn't arrive later."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from typing import ClassVar, Self

import pytest
from google.auth.credentials import AnonymousCredentials
from urllib3.connection import HTTPConnection
from urllib3.util.ssltransport import SSLTransport

from bigquery import posting
from bigquery.append_call import NoAnswer
from bigquery.posting import NotSentError, Posting

SECONDS = 20.0  # until what should have happened counts as never happening
LARGE = b"x" * 20_000_000  # more than any socket buffer takes
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
REFUSED = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"

Handle = Callable[[socket.socket], None]


class Server:
    """Listens on a port of 127.0.0.1, and handles one connection after another, each on a thread of its own."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self.connections: list[socket.socket] = []
        self.accepted = threading.Semaphore(0)

    def __enter__(self) -> Self:
        self._listening = socket.create_server(("127.0.0.1", 0))
        # Little is taken before it is read, so that what is left to send waits on the other side.
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()
        for connection in self.connections:
            connection.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/insertAll"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            connection.settimeout(SECONDS)
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()
            self.accepted.release()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):  # the client has left
            self._handle(connection)


@pytest.fixture
def post() -> Iterator[Posting]:
    with closing(Posting(AnonymousCredentials())) as posting:
        yield posting


def send(post: Posting, url: str, body: bytes = b"{}", deadline_seconds: float = SECONDS) -> int:
    return post.post(url, body, {}, deadline_seconds).status_code


def read_request(connection: socket.socket) -> bytes:
    """The body of the next request."""
    with connection.makefile("rb") as file:
        headers = iter(file.readline, b"\r\n")
        length = next(int(line.partition(b":")[2]) for line in headers if line.lower().startswith(b"content-length"))
        for _ in headers:
            pass
        return file.read(length)


def answering(*answers: bytes) -> Handle:
    def handle(connection: socket.socket) -> None:
        for answer in answers:
            read_request(connection)
            connection.sendall(answer)

    return handle


def read_until_the_body(connection: socket.socket) -> None:
    while not connection.recv(1000).endswith(b"x"):
        pass


def leave(_: socket.socket) -> None:
    """Neither read nor answer."""


def read_to_the_end(connection: socket.socket) -> tuple[int, bool]:
    """How many bytes come, and whether the connection was reset."""
    nbytes = 0
    try:
        while read := connection.recv(1_000_000):
            nbytes += len(read)
    except ConnectionResetError:
        return nbytes, True
    return nbytes, False


class Deadline:
    """Stands for the timer of a request: it passes when the test says so."""

    def __init__(self, seconds: float, passed: Callable[[str], None], arguments: list[str]) -> None:
        Deadline.latest = self
        self.seconds = seconds
        self._passed = partial(passed, *arguments)

    latest: ClassVar["Deadline"]

    def start(self) -> None: ...

    def cancel(self) -> None: ...

    @classmethod
    def passes(cls) -> None:
        cls.latest._passed()


@pytest.fixture
def deadline(monkeypatch: pytest.MonkeyPatch) -> type[Deadline]:
    monkeypatch.setattr(threading, "Timer", Deadline)
    return Deadline


# nothing went out


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_refused_connection_sends_nothing(post: Posting) -> None:
    with pytest.raises(NotSentError):
        send(post, f"http://127.0.0.1:{free_port()}/")


def test_a_name_that_is_unknown_sends_nothing(post: Posting, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_args: object, **_kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(NotSentError):
        send(post, "https://bigquery.googleapis.com/")


@pytest.mark.parametrize("handle", [socket.socket.close, leave])
def test_a_tls_handshake_that_fails_sends_nothing(
    post: Posting, handle: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "CONNECT_SECONDS", 0.2)
    with Server(handle) as server, pytest.raises(NotSentError):
        send(post, server.url.replace("http:", "https:"))


def test_a_proxy_that_refuses_sends_nothing(post: Posting, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(connection: socket.socket) -> None:
        connection.recv(10_000)
        connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
        connection.close()

    with Server(refuse) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(NotSentError, match="407"):
            send(post, "https://bigquery.googleapis.com/")


def test_a_deadline_that_passes_while_connecting_lets_nothing_out_later(
    post: Posting, deadline: type[Deadline], monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = HTTPConnection.connect

    def connect_late(connection: HTTPConnection) -> None:
        deadline.passes()
        connect(connection)

    monkeypatch.setattr(HTTPConnection, "connect", connect_late)
    with Server(answering(OK)) as server, pytest.raises(NotSentError, match=r"no answer within 20\.0 s"):
        send(post, server.url)


# it went out, and may have had its effect


def test_a_connection_that_ends_without_an_answer_says_nothing(post: Posting) -> None:
    def read_and_close(connection: socket.socket) -> None:
        read_request(connection)
        connection.close()

    with Server(read_and_close) as server, pytest.raises(Exception, match="aborted") as raised:
        send(post, server.url)
    assert not isinstance(raised.value, NotSentError)


def test_an_answer_that_doesnt_come_is_given_up_at_the_deadline(post: Posting, deadline: type[Deadline]) -> None:
    def handle(connection: socket.socket) -> None:
        read_request(connection)
        deadline.passes()

    with Server(handle) as server, pytest.raises(NoAnswer, match=r"no answer within 7\.0 s"):
        send(post, server.url, deadline_seconds=7.0)
    assert deadline.latest.seconds == 7.0


def test_an_answer_that_stops_in_the_middle_is_given_up_at_the_deadline(
    post: Posting, deadline: type[Deadline]
) -> None:
    def handle(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        deadline.passes()

    with Server(handle) as server, pytest.raises(NoAnswer):
        send(post, server.url)


def test_what_is_given_up_is_cut_off(post: Posting, deadline: type[Deadline]) -> None:
    """The rest of a request doesn't follow when the line is free again."""

    def handle(connection: socket.socket) -> None:
        read_until_the_body(connection)
        deadline.passes()

    with Server(handle) as server:
        with pytest.raises(NoAnswer):
            send(post, server.url, LARGE)
        nbytes, was_reset = read_to_the_end(server.connections[0])
    assert was_reset
    assert nbytes < len(LARGE)


def test_what_is_given_up_behind_a_proxy_that_speaks_tls_is_cut_off() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        transport = SSLTransport.__new__(SSLTransport)  # without its handshakes, which need two certificates
        transport.socket = ours
        line = posting._Line()
        line.begin()
        line.go_out(transport)
        line.cut("no answer")
        theirs.settimeout(SECONDS)
        assert theirs.recv(1) == b""


def test_a_large_request_may_take_longer_than_connecting_may(post: Posting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "CONNECT_SECONDS", 0.5)

    def take_time(connection: socket.socket) -> None:
        time.sleep(0.7)
        read_request(connection)
        connection.sendall(OK)

    with Server(take_time) as server:
        assert send(post, server.url, LARGE) == 200


def test_what_a_killed_process_was_sending_is_cut_off() -> None:
    program = (
        "import sys; from google.auth.credentials import AnonymousCredentials; from bigquery.posting import Posting;"
        f"Posting(AnonymousCredentials()).post(sys.argv[1], b'x' * {len(LARGE)}, {{}}, {SECONDS})"
    )
    with Server(leave) as server:
        child = subprocess.Popen([sys.executable, "-c", program, server.url])
        assert server.accepted.acquire(timeout=SECONDS)
        read_until_the_body(server.connections[0])
        os.kill(child.pid, signal.SIGKILL)
        child.wait(SECONDS)
        nbytes, was_reset = read_to_the_end(server.connections[0])
    assert was_reset
    assert nbytes < len(LARGE)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system has no such option")
def test_what_isnt_acknowledged_is_given_up_by_the_system_itself(
    post: Posting, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = []

    def look(line: object, sock: socket.socket) -> None:
        options.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))

    monkeypatch.setattr(posting._Line, "go_out", look)
    with Server(answering(OK)) as server:
        assert send(post, server.url) == 200
    assert options == [posting.UNSENT_MS]


# close


def test_close_ends_what_is_under_way_and_lets_nothing_follow(post: Posting) -> None:
    def handle(connection: socket.socket) -> None:
        read_request(connection)
        post.close()

    with Server(handle) as server:
        with pytest.raises(NoAnswer, match="was closed"):
            send(post, server.url)
        with pytest.raises(NotSentError, match="was closed"):
            send(post, server.url)
    assert len(server.connections) == 1


# one connection after another


def test_requests_that_follow_each_other_share_a_connection(post: Posting) -> None:
    with Server(answering(OK, OK, OK)) as server:
        assert [send(post, server.url) for _ in range(3)] == [200, 200, 200]
        assert len(server.connections) == 1


def test_a_connection_that_was_quiet_isnt_used_again(post: Posting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "IDLE_SECONDS", 0.0)
    with Server(answering(OK, OK)) as server:
        assert [send(post, server.url) for _ in range(2)] == [200, 200]
        assert len(server.connections) == 2


def test_a_connection_with_an_error_isnt_used_again(post: Posting) -> None:
    with Server(answering(REFUSED, OK)) as server:
        assert [send(post, server.url) for _ in range(2)] == [503, 503]
        assert len(server.connections) == 2


def test_after_what_was_given_up_the_next_request_goes_through(post: Posting, deadline: type[Deadline]) -> None:
    def handle(connection: socket.socket) -> None:
        read_request(connection)
        if len(server.connections) == 1:
            deadline.passes()
        else:
            connection.sendall(OK)

    with Server(handle) as server:
        with pytest.raises(NoAnswer):
            send(post, server.url)
        assert send(post, server.url) == 200


def test_a_redirect_isnt_followed(post: Posting) -> None:
    with Server(answering(b"HTTP/1.1 307 Gone\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n", OK)) as server:
        assert send(post, server.url) == 307
