"""Delivers messages by Apprise: `python -m alerts.courier`, started by `alerts.channels`, which says why.

Reads letters from its input, and prints a line for each as soon as it is known what became of it. Nothing that Apprise
logs is printed: it may quote an URL.
"""

import json
import os
import re
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import apprise
from apprise.result import AppriseResult

_STATUS = re.compile(r"error=(\d{3})\b")
_UNREACHABLE = re.compile(r"onnection error|[Ss]ocket|timed out")

_TYPES: Mapping[str, apprise.NotifyType] = {
    "healthy": apprise.NotifyType.SUCCESS,
    "degraded": apprise.NotifyType.WARNING,
    "unhealthy": apprise.NotifyType.FAILURE,
}


def deliver(letter: Mapping[str, Any]) -> str | None:
    """What went wrong; None: it is delivered or, without a title, the URL is one that Apprise knows."""
    asset = apprise.AppriseAsset(app_id="bq-sync", app_desc="bq-sync", app_url="")
    service = apprise.Apprise(asset=asset)
    if not service.add(letter["url"]):
        return "Apprise knows no such service, or the URL lacks something: see https://appriseit.com/services/"
    if "title" not in letter:
        return None
    result = service.notify(
        body=letter["body"],
        title=letter["title"],
        notify_type=_TYPES[letter["level"]],
        body_format=apprise.NotifyFormat.TEXT,
    )
    return None if result else _problem(result)


def _problem(result: AppriseResult) -> str:
    """What a service failed of, in our own words."""
    said = " ".join(entry.message for service in result for attempt in service for entry in attempt.logs)
    if status := _STATUS.search(said):
        return f"it answered with status {status[1]}"
    return "it can't be reached" if _UNREACHABLE.search(said) else "it refused, or is set up wrongly"


def main() -> None:
    letters = json.load(sys.stdin)
    printing = threading.Lock()

    def work(letter: Mapping[str, Any]) -> None:
        try:
            problem = deliver(letter)
        except Exception as error:  # noqa: BLE001  whatever a service raises, the others' letters aren't its business
            problem = f"it failed ({type(error).__name__})"
        with printing:
            print(json.dumps({"channel": letter["channel"], "problem": problem}), flush=True)

    with ThreadPoolExecutor(max_workers=len(letters)) as pool:
        pool.map(work, letters)
    os._exit(0)  # services may have started threads of their own


if __name__ == "__main__":
    main()
