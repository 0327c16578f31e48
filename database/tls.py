"""TLS to the database, where the server offers it and nothing else is demanded, with one context for all connections.

PyMySQL by itself makes a context for each connection, and reads all authorities that this machine trusts into it,
although nothing is verified: some 16 ms of a fast core, and 0.8 MB for as long as the connection lives.
"""

import ssl
import threading
from collections.abc import Mapping
from typing import Any

from pymysql.constants import CLIENT
from sqlalchemy import Engine, event

from database.failures import place_of

FIRST_SECONDS = 1.0  # how long others wait for what the first connection learns

_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_context.check_hostname = False
_context.verify_mode = ssl.CERT_NONE

# What PyMySQL is told, by whether the server offers TLS; told nothing it finds out, at that price.
_TLS: Mapping[bool | None, Mapping[str, object]] = {True: {"ssl": _context}, False: {"ssl_disabled": True}, None: {}}

_offering: dict[str, bool] = {}  # whether the server at that place offered TLS to the last connection
_first = threading.Lock()


def share_context(engine: Engine) -> None:
    """Let connections of this engine use the one context, or none, by what the last one to the same server was offered.

    An engine whose URL demands TLS is left as it is.
    """
    if any(option.startswith("ssl_") for option in engine.url.query):
        return
    place = place_of(engine.url)

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, _: object, arguments: list[Any], options: dict[str, Any]) -> Any:
        is_first = place not in _offering and _first.acquire(timeout=FIRST_SECONDS)
        try:
            offered = _offering.get(place)
            connection = dialect.connect(*arguments, **options, **_TLS[offered])
            _offering[place] = bool(connection.server_capabilities & CLIENT.SSL)
            if _offering[place] and offered is False:  # since now
                connection.close()
                connection = dialect.connect(*arguments, **options, **_TLS[True])
        except Exception:
            _offering.pop(place, None)  # it may be another server by now, or the same with other options
            raise
        finally:
            if is_first:
                _first.release()
        return connection
