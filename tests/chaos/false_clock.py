"""The clock of one box, which can be set wrong while programs run: they are started with `environment()`."""

import shutil
import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("false_clock.c")


class FalseClock:
    """The wall clock of all who share it is `ahead` seconds ahead of the machine's; the monotonic one isn't touched.

    (libfaketime can't do that: under it Python's `time.sleep` fails, unless the monotonic clock jumps too.)
    """

    def __init__(self, directory: Path) -> None:
        """Compiles what does it into `directory`; only where `why_not` says nothing."""
        self._library = directory / "false_clock.so"
        self._file = directory / "ahead"
        self._file.write_bytes(struct.pack("q", 0))
        compiler = shutil.which("cc")
        assert compiler is not None
        command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(self._library), str(SOURCE), "-ldl"]
        subprocess.run(command, check=True, capture_output=True, text=True)

    @staticmethod
    def why_not() -> str | None:
        """Why there can't be one here, if there can't."""
        return None if shutil.which("cc") else "no C compiler (`apt-get install gcc libc6-dev`)"

    def set(self, ahead: int) -> None:
        """From now on it is so many seconds ahead; negative: behind."""
        with self._file.open("r+b") as file:  # written over: the programs have mapped it
            file.write(struct.pack("q", ahead))

    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self._library), "FALSE_CLOCK": str(self._file)}
