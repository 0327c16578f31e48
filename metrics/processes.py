"""What each process takes of the box, from /proc: nothing that the processes have to do anything for."""

from collections.abc import Iterable, Mapping

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector


def collect_processes(processes: Mapping[str, int | None]) -> Iterable[Metric]:
    """Memory, CPU, start and files of each running process; and which of those that once ran still do.

    Args:
        processes: by name, as `metrics.shared.Shared.processes` has them.
    """
    up = GaugeMetricFamily("bq_sync_process_up", "Whether a process has this place now.", labels=("process",))
    families: dict[str, Metric] = {}
    for name, pid in sorted(processes.items()):
        up.add_metric((name,), float(pid is not None))
        for metric in _of_process(pid) if pid else ():
            family = families.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
            for sample in metric.samples:
                family.add_sample(sample.name, {"process": name}, sample.value)
    return [up, *families.values()]


def _of_process(pid: int) -> Iterable[Metric]:
    return ProcessCollector(namespace="bq_sync", pid=lambda: pid, registry=None).collect()
