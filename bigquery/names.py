"""Names in GoogleSQL: quoted, never pasted."""

from config.settings import Settings


def quoted(name: str) -> str:
    """The name as an identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def quoted_table(settings: Settings, table: str) -> str:
    """The table of the configured project and dataset."""
    return quoted(f"{settings.project_id}.{settings.dataset_id}.{table}")
