"""The clients that everything in this package works with, made from the settings without touching the network.

Make them after a fork: channels don't survive one. They may be shared by threads.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata

import google.auth
import grpc
from google.api_core.client_info import ClientInfo
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import DefaultCredentialsError
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient
from google.cloud.bigquery_storage_v1.services.big_query_write.transports import BigQueryWriteGrpcTransport
from google.oauth2 import service_account

from bigquery.upload_size import gzipped
from config.settings import Settings, SettingsError
from delivery.uplink import Uplink

REST_ENDPOINT = "https://bigquery.googleapis.com"
STORAGE_ENDPOINT = "bigquerystorage.googleapis.com:443"
SCOPES = ("https://www.googleapis.com/auth/bigquery",)

try:
    VERSION = metadata.version("bq-sync")
except metadata.PackageNotFoundError:  # run from a checkout
    VERSION = "checkout"

CHANNEL_OPTIONS = [
    # A request is repeated by us, who know what was sent, or not at all.
    ("grpc.enable_retries", 0),
    # The Batcher keeps requests below the service's limit; an answer that is too long must not hide an append.
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # A dead line is noticed while an answer is waited for, not by the timeout of the next attempt.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 15_000),
    # Routers forget quiet connections in silence: a new one is made instead.
    ("grpc.client_idle_timeout_ms", 60_000),
    # bq-sync has its own backoff; the channel's must not be the longer one.
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.primary_user_agent", f"bq-sync/{VERSION}"),
]


@dataclass(frozen=True, slots=True)
class Clients:
    """The REST client (metadata, queries), the client of the Storage Write API, where REST is found, and as whom.

    `uplink`: the line that they share; who sends rows waits for its turn on it.
    """

    rest: bigquery.Client
    write: BigQueryWriteClient
    rest_endpoint: str
    credentials: Credentials
    uplink: Uplink = field(default_factory=Uplink)

    def close(self) -> None:
        self.write.transport.close()
        self.rest.close()


def connect(settings: Settings, environment: Mapping[str, str] = os.environ) -> Clients:
    """Make the clients, for BigQuery or, with BIGQUERY_EMULATOR_HOST set, for an emulator.

    Raises:
        SettingsError: the credentials can't be used, or only one of the emulator's two addresses is set.
    """
    emulator = environment.get("BIGQUERY_EMULATOR_HOST")
    if bool(emulator) != bool(settings.storage_endpoint):
        raise SettingsError(
            ["BIGQUERY_EMULATOR_HOST and BQ_SYNC_STORAGE_ENDPOINT: only one is set; set both for an emulator, or none"]
        )
    credentials = AnonymousCredentials() if emulator else _credentials(settings)
    rest_endpoint = _url_of(emulator) if emulator else REST_ENDPOINT
    return Clients(
        rest=bigquery.Client(
            project=settings.project_id,
            credentials=credentials,
            client_info=ClientInfo(user_agent=f"bq-sync/{VERSION}"),
            client_options={"api_endpoint": rest_endpoint},
        ),
        write=BigQueryWriteClient(transport=BigQueryWriteGrpcTransport(channel=_channel(settings, credentials))),
        rest_endpoint=rest_endpoint,
        credentials=credentials,
        uplink=_uplink(settings),
    )


def _uplink(settings: Settings) -> Uplink:
    if settings.max_upload_kbps is None:
        return Uplink()
    bytes_per_second = settings.max_upload_kbps * 1000 / 8
    return Uplink(bytes_per_second, gzipped) if settings.compression == "gzip" else Uplink(bytes_per_second)


def _url_of(emulator: str) -> str:
    """Other tools name an emulator by host:port alone; the client wants a URL."""
    return emulator if "://" in emulator else f"http://{emulator}"


def _credentials(settings: Settings) -> Credentials:
    path = settings.credentials_path
    if path is None:
        try:
            return google.auth.default(scopes=SCOPES)[0]
        except DefaultCredentialsError as error:
            raise SettingsError(
                [
                    "BQ_CREDENTIALS_PATH: not set, and there are no Application Default Credentials: set it to a "
                    "service account file"
                ]
            ) from error
    try:
        return service_account.Credentials.from_service_account_file(str(path), scopes=SCOPES)
    except OSError as error:
        raise SettingsError(
            [f"BQ_CREDENTIALS_PATH: {path} can't be read ({error.strerror}): put the service account file there"]
        ) from error
    except (
        ValueError,
        AttributeError,
    ):  # AttributeError: JSON, but no object. Its text may quote the file, which holds a private key
        raise SettingsError(
            [f"BQ_CREDENTIALS_PATH: {path} isn't a service account file: download its key as JSON"]
        ) from None


def _channel(settings: Settings, credentials: Credentials) -> grpc.Channel:
    compression = grpc.Compression.Gzip if settings.compression == "gzip" else None
    if settings.storage_endpoint:
        return grpc.insecure_channel(settings.storage_endpoint, CHANNEL_OPTIONS, compression)
    return BigQueryWriteGrpcTransport.create_channel(
        STORAGE_ENDPOINT, credentials=credentials, options=CHANNEL_OPTIONS, compression=compression
    )
