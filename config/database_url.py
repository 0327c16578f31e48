"""What the setting database_url may be. Nothing here ever quotes the URL, since it holds a password."""

import ssl
from collections.abc import Iterator, Mapping

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

URL_FORM = "mysql+pymysql://user:password@host/database"

# Options behind the ?, as SQLAlchemy hands them to PyMySQL; what is none of them would end in the driver's own errors.
OPTIONS = ("charset", "ssl_ca", "ssl_cert", "ssl_check_hostname", "ssl_key", "unix_socket")


def problem_of(url: str) -> str | None:
    """What is wrong with the URL, and the fix; None if nothing is."""
    parsed = _parse(url)
    if parsed is None:
        return f"must look like {URL_FORM}, with special characters percent-encoded"
    options: dict[str, str] = {}
    for name, value in parsed.query.items():
        if name not in OPTIONS:
            return f"has the option {name!r}, which bq-sync doesn't take: the options are {', '.join(OPTIONS)}"
        if not isinstance(value, str):
            return f"has the option {name} twice: remove one"
        options[name] = value
    return next(_problems(options), None)


def _problems(options: Mapping[str, str]) -> Iterator[str]:
    if options.get("charset", "utf8mb4") != "utf8mb4":
        yield "has a wrong charset: remove it, bq-sync always uses utf8mb4"
    if options.get("ssl_check_hostname", "true") not in {"true", "false"}:
        yield "has a wrong ssl_check_hostname: it must be true or false"
    if not options.get("unix_socket", "/").startswith("/"):
        yield "has a wrong unix_socket: it must be a path that begins with /"
    if "ssl_key" in options and "ssl_cert" not in options:
        yield "has ssl_key without ssl_cert: add the certificate that the key belongs to"
    # As PyMySQL will load them. SSLError, for what is no certificate, is an OSError; ValueError: a NUL in the path.
    try:
        context = ssl.create_default_context(cafile=options.get("ssl_ca"))
    except (OSError, ValueError):
        yield "has a wrong ssl_ca: it must be a readable file of certificates (PEM)"
        return
    if "ssl_cert" in options:
        try:
            context.load_cert_chain(
                options["ssl_cert"], options.get("ssl_key"), password=""
            )  # else it would ask for one
        except (OSError, ValueError):
            yield "has a wrong ssl_cert or ssl_key: they must be readable (PEM), belong together and have no passphrase"


def _parse(url: str) -> URL | None:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # ValueError: its port is no number
        return None
    # With a second @, part of the password would be taken for the host or an option, and said in messages.
    is_mysql = parsed.drivername == "mysql+pymysql" and url.count("@") <= 1
    return parsed if is_mysql and parsed.host and parsed.database and 0 < (parsed.port or 3306) <= 65535 else None
