"""One POST at a time: whether it went out at all is known, it ends when it is told to, and then arrives no more.

insertAll has no offsets that would shut out a request which comes late. So what is given up here is cut off: its
socket is closed in such a way that the kernel drops what it hasn't sent yet.
"""

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any, ClassVar

import requests
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.transport.requests import AuthorizedSession, Request
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.util.ssltransport import SSLTransport

from bigquery.append_call import NoAnswer

CONNECT_SECONDS = 15.0
TOKEN_SECONDS = 15.0
IDLE_SECONDS = 4.0  # servers close quiet connections after 5 s or more, and routers forget them

UNSENT_MS = 60_000

SOCKET_OPTIONS: list[tuple[int, int, int | bytes]] = [
    # Closed, by us or by the kernel of a process that was killed, the socket forgets what it hasn't sent. Otherwise the
    # kernel would go on sending for minutes, and the rest of a request could arrive after its rows had been looked up.
    (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)),
    # A process may also be frozen, and its line dead: what the other side hasn't acknowledged is then given up too.
    *([(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNSENT_MS)] if hasattr(socket, "TCP_USER_TIMEOUT") else []),
]


class NotSentError(Exception):
    """Nothing of the request went out; `error` says why."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class Posting:
    """Posts with credentials, one request at a time. `close` comes from any thread, and is final.

    The connection stays open while requests follow each other. None is made on one that was quiet for long: it may be
    gone without our knowing, and the request with it.
    """

    def __init__(self, credentials: Credentials) -> None:
        self._line = _Line()
        self._adapter = _Adapter(self._line)
        self._session = AuthorizedSession(
            credentials,
            # After a 401, and with a new token: this machine's clock may have been wrong about the old one's end.
            max_refresh_attempts=0 if isinstance(credentials, AnonymousCredentials) else 1,
            auth_request=_token_request(),
        )
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, self._adapter)
        self._used_at = float("-inf")

    def post(self, url: str, body: bytes, headers: dict[str, str], deadline_seconds: float) -> requests.Response:
        """The answer, whatever its status; a redirect isn't followed.

        Raises:
            NotSentError: nothing went out.
            NoAnswer: the deadline passed, or `close` was called; the request may have had its effect.
            requests.RequestException: so it may, too.
        """
        if time.monotonic() - self._used_at > IDLE_SECONDS:
            self._adapter.close()
        overdue = threading.Timer(
            deadline_seconds,
            self._line.cut,
            [f"no answer within {deadline_seconds:.1f} s: the network or BigQuery is slow"],
        )
        overdue.daemon = True
        overdue.start()
        try:
            self._line.begin()
            answer: requests.Response = self._session.request(
                "POST",
                url,
                data=body,
                headers=headers,
                timeout=(CONNECT_SECONDS, deadline_seconds),
                allow_redirects=False,
            )
        except Exception as error:
            if not self._line.went_out:
                raise NotSentError(error) from error
            if self._line.was_cut is not None:
                raise NoAnswer(self._line.was_cut) from error
            raise
        finally:
            overdue.cancel()
            self._line.end()
            self._used_at = time.monotonic()
        if answer.status_code != HTTPStatus.OK:
            self._adapter.close()  # who refuses a request may have left a part of it unread
        return answer

    def close(self) -> None:
        """End the request under way, if there is one; none goes out after that."""
        self._line.close()
        self._session.close()


class _Line:
    """The one request that may be under way: whether it went out, and how others end it."""

    def __init__(self) -> None:
        self.went_out = False
        self.was_cut: str | None = None  # why
        self._closed: str | None = None
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def begin(self) -> None:
        """
        Raises:
            NoAnswer: it is closed.
        """
        with self._lock:
            self.went_out, self.was_cut = False, self._closed
        self._go_on()

    def go_out(self, sock: socket.socket | SSLTransport) -> None:
        """The request is about to be written to the socket.

        Raises:
            NoAnswer: it was cut before that.
        """
        with self._lock:
            self._go_on()
            self.went_out = True
            # To a proxy that is itself reached by TLS it is an object with the socket inside.
            self._socket = sock.socket if isinstance(sock, SSLTransport) else sock

    def end(self) -> None:
        with self._lock:
            self._socket = None

    def cut(self, reason: str) -> None:
        """Who reads from the socket, or writes to it, fails at once, and closes it."""
        with self._lock:
            self.was_cut = self.was_cut or reason
            if self._socket is not None:
                with suppress(OSError):
                    # Not by the method of a TLS socket: it makes it a plain one first, under the other thread's hands.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        with self._lock:
            self._closed = "the connection was closed"
        self.cut(self._closed)

    def _go_on(self) -> None:
        if self.was_cut is not None:
            raise NoAnswer(self.was_cut)


class _Adapter(HTTPAdapter):
    """What `requests` sends through, on connections that tell the line of what goes out; also behind a proxy."""

    def __init__(self, line: _Line) -> None:
        self._line = line
        super().__init__(max_retries=0)

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> HTTPConnectionPool:
        pool = super().get_connection_with_tls_context(*args, **kwargs)
        if not issubclass(pool.ConnectionCls, _Connection):
            pool.ConnectionCls = type("Connection", (_Connection, pool.ConnectionCls), {"line": self._line})
        return pool


class _Connection(HTTPConnection):
    line: ClassVar[_Line]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.socket_options = [*(self.socket_options or ()), *SOCKET_OPTIONS]

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is None:
            self.connect()
        self.line.go_out(self.sock)
        self.timeout = None  # it was for connecting; a large request may take as long as its deadline lets it
        super().request(*args, **kwargs)


def _token_request() -> Callable[..., Any]:
    """What fetches tokens, with a deadline of its own: a token is small, whatever is sent with it."""
    request = Request(requests.Session())
    return lambda *args, **kwargs: request(*args, **{**kwargs, "timeout": TOKEN_SECONDS})
