"""Which bq-sync this is."""

from importlib.metadata import PackageNotFoundError, version


def program_version() -> str | None:
    """None in a checkout that isn't installed."""
    try:
        return version("bq-sync")
    except PackageNotFoundError:
        return None
