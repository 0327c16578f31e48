"""Where the processes of a box put their figures together: a directory that is ours alone."""

import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import make_url

from config.settings import Settings


class DirectoryError(Exception):
    """The directory can't be trusted or used; says why, and what to do."""


def choose_directory(settings: Settings, environment: Mapping[str, str] = os.environ) -> Path:
    """As configured; else systemd's for this unit; else one below the temporary directory.

    The last is named by user and database, so that worker and API of one installation meet there, and no others.
    """
    if settings.metrics_directory is not None:
        return settings.metrics_directory
    if runtime := environment.get("RUNTIME_DIRECTORY"):
        return Path(runtime.split(":")[0]) / "metrics"
    database = ""
    if settings.database_url is not None:
        url = make_url(settings.database_url.get_secret_value())
        database = f"{url.host}:{url.port}/{url.database}"
    digest = hashlib.sha256(database.encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"bq-sync-{os.geteuid()}-{digest}"


def open_directory(path: Path) -> int:
    """Make the directory where it is missing, and see that nobody else can write there.

    Returns:
        A descriptor that holds a lock on it, which keeps systemd-tmpfiles from removing what looks old in it.

    Raises:
        DirectoryError: it is a link, somebody else's, or open to others.
        OSError: it can't be made or opened.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)
    if path.is_symlink():
        raise DirectoryError(f"{path} is a link: remove it, or set metrics_directory")
    opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(opened)
        if found.st_uid != os.geteuid():
            raise DirectoryError(f"{path} belongs to another user: set metrics_directory to one of your own")
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise DirectoryError(f"{path} is open to other users: chmod 700 {path}")
        fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BaseException:
        os.close(opened)
        raise
    return opened
