"""One load of a table by dlt into the emulator, as a whole process; `bench.catch_up` starts it, and measures it.

It runs in an environment of its own (`make peers`), where nothing of bq-sync is, and imports none of it.
"""

import argparse
import os
from pathlib import Path

from google.auth.credentials import AnonymousCredentials


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", required=True, help="mysql+pymysql://user:password@host:port/database")
    parser.add_argument("--table", required=True)
    parser.add_argument("--emulator", required=True, help="http://host:port")
    parser.add_argument("--project", required=True)
    parser.add_argument("--dataset", required=True)
    parser.add_argument(
        "--backend", required=True, choices=["connectorx", "connectorx_stream", "pyarrow", "sqlalchemy"]
    )
    parser.add_argument("--directory", required=True, type=Path, help="for all that dlt keeps")
    arguments = parser.parse_args()
    # The emulator would have to unpack them; and dlt tells nobody that it ran.
    os.environ["DATA_WRITER__DISABLE_COMPRESSION"] = "true"
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["DLT_DATA_DIR"] = str(arguments.directory)
    # Google's client goes there instead of to BigQuery.
    os.environ["BIGQUERY_EMULATOR_HOST"] = arguments.emulator
    load(arguments)


def load(arguments: argparse.Namespace) -> None:
    import dlt  # only now, since it reads its settings when it is imported
    from dlt.common.configuration.specs import GcpServiceAccountCredentials
    from dlt.sources.sql_database import sql_table

    # An emulator asks for no name, and dlt knows no way without one: it gets one, and Google's client doesn't see it.
    GcpServiceAccountCredentials.to_native_credentials = lambda _: AnonymousCredentials()
    name = {"project_id": arguments.project, "private_key": "none", "client_email": "nobody@example.com"}
    pipeline = dlt.pipeline(
        "peer",
        pipelines_dir=str(arguments.directory),
        destination=dlt.destinations.bigquery(credentials=name),
        dataset_name=arguments.dataset,
    )
    backend, _, streamed = arguments.backend.partition("_")
    rows = sql_table(
        arguments.url,
        arguments.table,
        backend=backend,
        backend_kwargs={"return_type": "arrow_stream"} if streamed else None,
    )
    # MariaDB says of a JSON column that it is a text; so dlt makes it a STRING, which Parquet can hold. With each
    # backend Parquet is faster than the other format there is, lines of JSON.
    pipeline.run(rows, loader_file_format="parquet").raise_on_failed_jobs()


if __name__ == "__main__":
    main()
