"""What rows weigh on the line, known before they are sent."""

import gzip
import zlib

from delivery.rows import Encoded
from mapping.arrow import ArrowRows
from mapping.json_rows import JsonRows

SLOWEST_BYTES_PER_SECOND = 16_000  # a large request on a slow line is given the time that it takes

GZIP_LEVEL = 6


def gzipped(rows: Encoded) -> int:
    """The bytes of these rows when they go out compressed."""
    match rows:
        case JsonRows():
            return len(gzip_body(rows))
        case ArrowRows():  # by gRPC; it uses zlib, at the level that is zlib's own choice
            return len(zlib.compress(rows.record_batch.serialize()))
        case _:
            raise AssertionError(f"{type(rows).__name__} are sent by nobody")


def gzip_body(rows: JsonRows) -> bytes:
    """The body of a request, compressed as `Content-Encoding: gzip` means it."""
    return gzip.compress(rows.body(), GZIP_LEVEL, mtime=0)
