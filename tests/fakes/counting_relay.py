"""A relay that counts what a client sends."""

import socket
import threading
from contextlib import suppress


class CountingRelay:
    """Passes one connection on, and counts the bytes that the client sends."""

    def __init__(self, target: str) -> None:
        self.sent = 0
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with self._listener:
            client, _ = self._listener.accept()
        host, port = self._target.split(":")
        server = socket.create_connection((host, int(port)))
        threading.Thread(target=self._pump, args=(server, client, False), daemon=True).start()
        self._pump(client, server, True)

    def _pump(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with suppress(OSError), sink:  # the other direction ended, and closed both
            while data := source.recv(65_536):
                self.sent += len(data) if counted else 0
                sink.sendall(data)
