"""The configured way of writing to a table."""

from bigquery.connect import Clients
from bigquery.insert_all import InsertAll
from bigquery.storage_write import StorageWrite
from config.settings import Settings
from delivery.destination import Destination
from mapping.schema import BigQueryTable


def writing(clients: Clients, settings: Settings, table: BigQueryTable) -> Destination:
    match settings.write_method:
        case "storage_write":
            return StorageWrite(clients, settings, table)
        case "insert_all":
            return InsertAll(clients, settings, table)
