"""`bq-sync init-bigquery`: prints what is made and what exists."""

from cli.findings import FindingsPrinter
from config.settings import Settings
from operations.findings import Severity
from operations.init_bigquery import init_bigquery


def run_init(settings: Settings) -> int:
    """The exit code: 1 where a configured table stays missing, or can't take the rows.

    Raises:
        SettingsError: there are no credentials that can be used.
    """
    with FindingsPrinter() as printer:
        return int(init_bigquery(settings, printer.report, printer.doing) is Severity.ERROR)
