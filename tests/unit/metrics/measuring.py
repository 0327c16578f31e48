"""A process that measures, as worker and API do: told what to do by lines on its standard input."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

CHECKOUT = Path(__file__).parents[3]
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Measuring:
    """Started with the directory to share; ended by `kill` or `end`."""

    def __init__(self, directory: Path, kind: str) -> None:
        environment = os.environ | {"BQ_SYNC_METRICS_DIRECTORY": str(directory)}
        command = [sys.executable, "-m", "tests.unit.metrics.measuring", kind]
        self._process = subprocess.Popen(
            command, cwd=CHECKOUT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.is_shared = self.tell("shared") == "True"

    def tell(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().rstrip("\n")

    def sent(self, rows: int) -> None:
        assert self.tell(f"sent {rows}") == "done"

    def waiting(self, messages: int) -> None:
        assert self.tell(f"waiting {messages}") == "done"

    def scrape(self) -> Samples:
        return parse(json.loads(self.tell("scrape")))

    def kill(self) -> None:
        """As kill -9 does."""
        self._process.kill()
        self._process.communicate()

    def end(self) -> None:
        if self._process.poll() is None:
            self.kill()


def parse(text: str) -> Samples:
    families = text_string_to_metric_families(text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


def main(kind: str) -> None:
    from starlette.applications import Starlette
    from starlette.routing import Route

    from cli import logs
    from config.settings import load
    from metrics.box import open_box
    from metrics.endpoint import MetricsEndpoint
    from tests.unit.metrics.asking import get

    logs.configure("json")  # on stderr, as everywhere: stdout is for our answers
    settings = load()
    box = open_box(settings, kind)
    measures = box.instruments.table("detection_logs")
    app = Starlette(routes=[Route("/metrics", MetricsEndpoint(box, settings, None).answer)])
    for line in sys.stdin:
        match line.split():
            case ["shared"]:
                answer = str(box.is_shared)
            case ["sent", rows]:
                measures.rows_settled(None, int(rows))
                answer = "done"
            case ["waiting", messages]:
                measures.watch_mailbox("Poller", partial(int, messages))
                measures.sample()
                answer = "done"
            case _:
                answer = json.dumps(get(app).text)
        print(answer, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
