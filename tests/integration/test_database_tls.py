"""TLS to a database that offers it, and to one that doesn't: nothing is demanded by the URL here."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from database.engine import connect_for_reading, connect_unpooled
from sandbox.mariadb import MariaDB

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def offering(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """A server with a certificate that nobody knows."""
    directory = tmp_path_factory.mktemp("tls")
    certificate, key = _certificate(directory)
    with MariaDB(directory / "mariadb", ssl_cert=str(certificate), ssl_key=str(key)) as server:
        yield server


def _certificate(directory: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sandbox")]), datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(1))
    certificate, secret = directory / "certificate.pem", directory / "key.pem"
    certificate.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    return certificate, secret


def cipher(engine: Engine) -> str:
    """Of a new connection; empty where it isn't encrypted."""
    with engine.connect() as connection:
        return str(connection.execute(text("SHOW STATUS LIKE 'Ssl_cipher'")).one()[1])


def test_every_connection_is_encrypted_where_the_server_offers_it(offering: MariaDB) -> None:
    engine = connect_unpooled(offering.url("mysql"))
    assert all(cipher(engine) for _ in range(3))


def test_a_user_who_has_to_use_tls_may_come_in_again_and_again(offering: MariaDB) -> None:
    offering.execute("CREATE USER IF NOT EXISTS careful@'127.0.0.1' IDENTIFIED BY 'hunter2' REQUIRE SSL")
    engine = connect_unpooled(offering.url("mysql", user="careful", password="hunter2").replace("/mysql", "/"))
    assert all(cipher(engine) for _ in range(3))


def test_connections_of_one_process_share_a_context(offering: MariaDB) -> None:
    engine = connect_for_reading(offering.url("mysql"), connections=3)
    with engine.connect(), engine.connect() as second, engine.connect() as third:
        assert second.connection.driver_connection.ctx is third.connection.driver_connection.ctx  # type: ignore[union-attr]  # PyMySQL's


def test_a_connection_without_tls_has_no_context(database_url: str) -> None:
    engine = connect_for_reading(database_url, connections=2)
    with engine.connect(), engine.connect() as second:
        assert not hasattr(second.connection.driver_connection, "ctx")


def test_a_server_that_offers_it_no_longer_is_reached_at_the_second_try(tmp_path: Path) -> None:
    certificate, key = _certificate(tmp_path)
    with MariaDB(tmp_path / "mariadb", ssl_cert=str(certificate), ssl_key=str(key)) as server:
        engine = connect_unpooled(server.url("mysql"))
        assert cipher(engine)
        server.stop()
        other = MariaDB(tmp_path / "mariadb")
        other.port = server.port
        with other:
            with pytest.raises(OperationalError):
                cipher(engine)
            assert cipher(engine) == ""
            other.stop()
        server.start()
        assert cipher(engine)
