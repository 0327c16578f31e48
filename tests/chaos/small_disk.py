"""A disk of its own, so small that it can be filled: a file system in memory, which only root may mount."""

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

MEGABYTES = 256  # MariaDB takes 90 of an empty one
PIECE = bytes(1 << 16)


class SmallDisk:
    """Mounted on `directory` as long as it is open."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._ballast = directory / "ballast"
        directory.mkdir(parents=True, exist_ok=True)
        _run("mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(directory))

    @staticmethod
    def why_not(scratch: Path) -> str | None:
        """Why there can't be one here, if there can't; tried in the directory `scratch`."""
        if os.geteuid() != 0 or shutil.which("mount") is None:
            return "only root can mount a small disk"
        try:
            SmallDisk(scratch / "trial").close()
        except subprocess.CalledProcessError as error:
            return f"a small disk can't be mounted here ({error.stderr.strip()})"
        return None

    def fill(self) -> None:
        """Leave no room; what has its room already may still be written over."""
        with suppress(OSError), self._ballast.open("ab", buffering=0) as ballast:
            while ballast.write(PIECE):
                pass

    def free(self) -> None:
        self._ballast.unlink(missing_ok=True)

    def close(self) -> None:
        _run("umount", "--lazy", str(self.directory))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
