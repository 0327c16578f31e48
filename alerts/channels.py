"""The channels that alerts go to, by Apprise, in a process of its own that lives as long as one delivery takes.

Apprise takes some 25 MB, its services may hang, and what they log may quote an URL: none of that reaches this process.
The URLs hold secrets, so they go through a pipe: a command line is there for all to see.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence

from pydantic import SecretStr

from alerts.message import Message

DELIVERY_SECONDS = 30.0

_COMMAND = (sys.executable, "-P", "-m", "alerts.courier")


class Channels:
    """What `alert_urls` says, in its order.

    Args:
        seconds: after which a delivery that hasn't ended is given up.
    """

    def __init__(self, urls: Sequence[SecretStr], seconds: float = DELIVERY_SECONDS) -> None:
        self._urls = urls
        self._seconds = seconds

    def __len__(self) -> int:
        return len(self._urls)

    def name(self, place: int) -> str:
        """What may be said of a channel: where its URL stands, and what service it is of."""
        scheme, there, _ = self._urls[place].get_secret_value().partition("://")
        return f"alert_urls, number {place + 1}" + (f" ({scheme}://...)" if there else "")

    def send(self, messages: Mapping[int, Message]) -> Mapping[int, str | None]:
        """Deliver these, all at the same time; by each channel's place what went wrong, or None. Takes its seconds."""
        return self._run(
            {"channel": place, "url": self._secret(place), "title": each.title, "body": each.body, "level": each.level}
            for place, each in messages.items()
        )

    def check(self) -> Mapping[int, str | None]:
        """What is wrong with each URL by itself, or None; nothing is sent."""
        return self._run({"channel": place, "url": self._secret(place)} for place in range(len(self)))

    def _secret(self, place: int) -> str:
        return self._urls[place].get_secret_value()

    def _run(self, letters: Iterable[Mapping[str, object]]) -> Mapping[int, str | None]:
        letters = list(letters)
        if not letters:
            return {}
        answers, silence = _ask_courier(json.dumps(letters).encode(), self._seconds)
        return {place: answers.get(place, silence) for place in (int(str(letter["channel"])) for letter in letters)}


def _ask_courier(letters: bytes, seconds: float) -> tuple[Mapping[int, str | None], str]:
    """What the courier says until it ends or its time is up, and what it means where it says nothing."""
    courier = subprocess.Popen(  # noqa: S603  our own program, and nothing of anybody's on its command line
        _COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        said, _ = courier.communicate(letters, seconds)
        silence = f"the process that sends it failed (exit code {courier.returncode})"
    except subprocess.TimeoutExpired:
        courier.kill()
        said, _ = courier.communicate()  # what the others answered before that
        silence = f"no answer within {seconds:.0f} s"
    answers = (json.loads(line) for line in said.splitlines())
    return {answer["channel"]: answer["problem"] for answer in answers}, silence
