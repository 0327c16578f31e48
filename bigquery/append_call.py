"""One AppendRows call: requests go out one at a time, and each is waited for until its deadline."""

import threading
from collections.abc import Iterator

import grpc
from google.api_core import gapic_v1
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient
from google.cloud.bigquery_storage_v1.types import AppendRowsRequest, AppendRowsResponse


class NoAnswer(Exception):
    """The call ended on our side, or ended well without an answer; the request may have had its effect."""


class AppendCall:
    """A call that stays open between requests and ends by itself after `idle_seconds` without one.

    It is made on the transport's own stub, without the library's wrapping: that would wait for the first answer while
    opening the call, where no deadline and no `hang_up` reaches it, and would open the call again after UNAVAILABLE.
    """

    def __init__(self, client: BigQueryWriteClient, stream: str, idle_seconds: float) -> None:
        self._requests = _Requests(idle_seconds)
        self._ended_because: str | None = None
        # The service routes a call by this header; the library can't fill it in for a call of many requests.
        routing = gapic_v1.routing_header.to_grpc_metadata({"write_stream": stream})
        self._call = client.transport.append_rows(iter(self._requests), metadata=(routing,))

    @property
    def is_open(self) -> bool:
        """Whether a further request can go out: neither we nor the service have ended the call."""
        return self._requests.is_open and bool(self._call.is_active())

    def ask(self, request: AppendRowsRequest, deadline_seconds: float) -> AppendRowsResponse:
        """Send the request and wait for its answer. After an error the call is of no further use: hang up.

        Raises:
            NoAnswer: nothing came before the deadline, `hang_up` was called, or the service ended the call.
            grpc.RpcError: the call failed.
        """
        overdue = threading.Timer(
            deadline_seconds,
            self.hang_up,
            [f"no answer within {deadline_seconds:.1f} s: the network or BigQuery is slow"],
        )
        overdue.daemon = True
        overdue.start()
        try:
            self._requests.put(request)
            answer = next(self._call)
        except StopIteration:
            raise NoAnswer("BigQuery ended the call without an answer") from None
        except grpc.RpcError as error:
            if self._ended_because is not None:
                raise NoAnswer(self._ended_because) from error
            raise
        finally:
            overdue.cancel()
            self._requests.answered()
        return answer

    def hang_up(self, reason: str = "the connection was closed") -> None:
        """End the call, from any thread; who waits for an answer gets NoAnswer with the reason."""
        self._ended_because = self._ended_because or reason
        self._requests.close()
        self._call.cancel()


class _Requests:
    """What gRPC takes the call's requests from, on a thread of its own that waits here between them.

    That thread ends the call where nothing is asked for a while, so that no other has to watch the time.
    """

    def __init__(self, idle_seconds: float) -> None:
        self._idle_seconds = idle_seconds
        self._changed = threading.Condition()
        self._next: AppendRowsRequest | None = None
        self._unanswered = False
        self._open = True

    @property
    def is_open(self) -> bool:
        return self._open

    def put(self, request: AppendRowsRequest) -> None:
        with self._changed:
            if not self._open:
                raise NoAnswer("the connection was closed")
            self._next, self._unanswered = request, True
            self._changed.notify_all()

    def answered(self) -> None:
        with self._changed:
            self._unanswered = False
            self._changed.notify_all()  # the idle time begins now

    def close(self) -> None:
        with self._changed:
            self._open = False
            self._changed.notify_all()

    def __iter__(self) -> Iterator[AppendRowsRequest]:
        while (request := self._take()) is not None:
            yield request

    def _take(self) -> AppendRowsRequest | None:
        """The next request, or None once the call is to end."""
        with self._changed:
            self._changed.wait_for(lambda: not self._unanswered or self._next or not self._open)
            self._changed.wait_for(lambda: self._next or not self._open, self._idle_seconds)
            request, self._next = self._next, None
            self._open = self._open and request is not None
            return request if self._open else None
