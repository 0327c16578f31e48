"""What rows weigh on the line, known before they are sent."""

import zlib

from delivery.rows import Encoded
from mapping.arrow import ArrowRows


def gzipped(rows: Encoded) -> int:
    """The bytes of an append that gRPC compresses; it uses zlib, at the level that is zlib's own choice."""
    assert isinstance(rows, ArrowRows)  # what goes over gRPC
    return len(zlib.compress(rows.record_batch.serialize()))
