"""A TCP proxy in front of a server: a line that is cut, slow or lossy whenever a test wants it to be.

`with Proxy("127.0.0.1", port) as proxy:` listens on `proxy.port`. Its faults can be set from any thread, at any time:

    proxy.delay = 0.2; proxy.kbps = 500; proxy.loss = 0.2
    proxy.cut(); proxy.cut(black_hole=True); proxy.drop_answers(); proxy.half_close()
    proxy.restore()
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from random import Random
from types import TracebackType
from typing import Self

CHUNK = 64 * 1024
SLOW_CHUNK = 1460  # on a slow line connections take turns by packets
IN_FLIGHT = 256  # chunks on their way in one direction of a connection, while the line has a delay
RECEIVE_BUFFER = 64 * 1024  # as a router's: what the sender believes to be sent isn't far ahead of what is through
LOST_WITHIN = 64 * 1024  # bytes: a connection that is lost carries as many at most, and mostly far fewer

_UnderWay = asyncio.Queue[tuple[float, bytes]]  # when it arrives, and what
_RESET = struct.pack("ii", 1, 0)  # for SO_LINGER: close at once, and let the other side know it by a reset


class Proxy:
    """Connections to the server, both directions of each on a line that all of them share.

    Attributes:
        delay: seconds that each byte is under way, in each direction.
        kbps: kilobits a second of the line in each direction, over all connections together; None: as fast as it goes.
        loss: the share of new connections that are reset, before they have carried much.
        lost: how many were.
        sent, received: bytes that reached the server, and that reached the clients.
    """

    def __init__(self, host: str, target_port: int, random: Random | None = None) -> None:
        self._target = (host, target_port)
        self._random = random or Random()
        self.delay = 0.0
        self.kbps: float | None = None
        self.loss = 0.0
        self.lost = 0
        self._up, self._down = _Line(), _Line()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._is_cut = False
        self._answers_dropped = False
        self._connections: dict[asyncio.Task[None], _Connection] = {}
        # It listens for as long as it lives, also while the line is cut: nobody else gets the port.
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._start)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._do(self._close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def sent(self) -> int:
        return self._up.nbytes

    @property
    def received(self) -> int:
        return self._down.nbytes

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    def cut(self, *, black_hole: bool = False) -> None:
        """Reset all connections, and each new one, until `restore`.

        `black_hole`: they stay instead, new ones are accepted, and nothing comes through in either direction. What is
        under way then arrives after `restore`, as retransmitted packets do.
        """
        self._do(self._swallow if black_hole else self._cut)

    def drop_answers(self) -> None:
        """Requests arrive, and their answers are lost, until `restore`."""
        self._do(self._drop_answers)

    def half_close(self) -> None:
        """End the server's side of each open connection: clients may go on writing, which reaches the server."""
        self._do(self._half_close)

    def restore(self) -> None:
        """The line is there again; connections that lost something of an answer are reset. `delay` and such stay."""
        self._do(self._restore)

    def _do(self, what: Callable[[], Coroutine[None, None, None]]) -> None:
        """Do it on the loop's thread, and return when it is done."""
        asyncio.run_coroutine_threadsafe(what(), self._loop).result()

    # on the loop's thread

    async def _start(self) -> None:
        self._accepting = asyncio.create_task(self._accept())

    async def _cut(self) -> None:
        self._is_cut = True
        await _end(self._connections)

    async def _swallow(self) -> None:
        self._flowing.clear()

    async def _drop_answers(self) -> None:
        self._answers_dropped = True

    async def _half_close(self) -> None:
        for connection in self._connections.values():
            connection.half_close()

    async def _restore(self) -> None:
        self._is_cut = self._answers_dropped = False
        await _end(task for task, connection in self._connections.items() if connection.torn)
        self._flowing.set()

    async def _close(self) -> None:
        await _end([self._accepting, *self._connections])
        self._listener.close()

    async def _accept(self) -> None:
        while True:
            client, _ = await self._loop.sock_accept(self._listener)
            if self._is_cut:
                _reset(client)
                continue
            connection = _Connection(client)
            if self._random.random() < self.loss:
                connection.bytes_left = int(LOST_WITHIN ** self._random.random())
            task = self._loop.create_task(self._carry(connection))
            self._connections[task] = connection
            task.add_done_callback(lambda task: self._connections.pop(task).close())

    async def _carry(self, connection: "_Connection") -> None:
        """Until both sides have ended. Where one has broken off, or we do, both are reset."""
        try:
            await self._flowing.wait()
            await self._loop.sock_connect(connection.server, self._target)
            async with asyncio.TaskGroup() as directions:
                directions.create_task(self._pump(connection, connection.client, connection.server, self._up))
                directions.create_task(self._pump(connection, connection.server, connection.client, self._down))
            connection.ended_well = True
        except* _Lost:
            self.lost += 1
        except* OSError:
            pass

    async def _pump(
        self, connection: "_Connection", source: socket.socket, target: socket.socket, line: "_Line"
    ) -> None:
        under_way: _UnderWay = asyncio.Queue(IN_FLIGHT)
        async with asyncio.TaskGroup() as ends:
            ends.create_task(self._take(source, line, under_way))
            ends.create_task(self._give(connection, target, line, under_way))

    async def _take(self, source: socket.socket, line: "_Line", under_way: _UnderWay) -> None:
        data = b"-"
        while data:
            await self._flowing.wait()
            data = await self._loop.sock_recv(source, CHUNK if self.kbps is None else SLOW_CHUNK)
            await self._flowing.wait()
            through = line.take(len(data), self.kbps, self._loop.time())
            await asyncio.sleep(through - self._loop.time())
            await under_way.put((through + self.delay, data))

    async def _give(
        self, connection: "_Connection", target: socket.socket, line: "_Line", under_way: _UnderWay
    ) -> None:
        data = b"-"
        while data:
            arrives, data = await under_way.get()
            await asyncio.sleep(arrives - self._loop.time())
            await self._flowing.wait()
            if target is connection.client and (connection.half_closed or self._answers_dropped):
                connection.torn |= self._answers_dropped
                continue
            if not data:
                with suppress(OSError):  # the other side was quicker
                    target.shutdown(socket.SHUT_WR)
                return
            connection.carries(len(data))
            await self._loop.sock_sendall(target, data)
            line.nbytes += len(data)


class _Lost(Exception):
    """The connection is one of those that are lost."""


class _Line:
    """One direction, which connections take in turns."""

    def __init__(self) -> None:
        self.nbytes = 0
        self._free_at = 0.0

    def take(self, nbytes: int, kbps: float | None, now: float) -> float:
        """Have the line for so many bytes after all who came before; returns when they are through."""
        if kbps is None:
            return now
        self._free_at = max(now, self._free_at) + nbytes * 8 / (kbps * 1000)
        return self._free_at


class _Connection:
    """A client's socket, and ours to the server.

    Attributes:
        torn: a part of an answer was dropped, so that what follows would make no sense.
        half_closed: the client was told that the server has ended.
        bytes_left: until the connection is lost; None: it isn't.
        ended_well: by both sides, so that there is nothing to reset.
    """

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.server = socket.socket()
        for side in (client, self.server):
            side.setblocking(False)
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.torn = False
        self.half_closed = False
        self.ended_well = False
        self.bytes_left: int | None = None

    def carries(self, nbytes: int) -> None:
        if self.bytes_left is not None:
            self.bytes_left -= nbytes
            if self.bytes_left < 0:
                raise _Lost

    def half_close(self) -> None:
        self.half_closed = True
        with suppress(OSError):  # the client has gone
            self.client.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        for side in (self.client, self.server):
            if self.ended_well:
                side.close()
            else:
                _reset(side)


async def _end(tasks: Iterable["asyncio.Task[None]"]) -> None:
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)


def _reset(side: socket.socket) -> None:
    with suppress(OSError):  # closed by the other side already
        side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    side.close()
