"""What Prometheus gets of a framework: one look at its status per scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from aurora_store.framework.framework import Framework
from aurora_store.framework.lifecycle import FrameworkState, FrameworkStatus

_PREFIX = "aurora_store_framework"

_Number = Callable[[FrameworkStatus], float]

# (name after the prefix, help, value)
_GAUGES: tuple[tuple[str, str, _Number], ...] = (
    ("state_seconds", "Time in this state.", lambda s: s.state_s),
    ("connected", "1 while connected to a Mesos master.", lambda s: s.master is not None),
    ("queued_events", "Events that wait for the scheduler.", lambda s: s.events_queued),
)
_COUNTERS: tuple[tuple[str, str, _Number], ...] = (
    ("reigns", "Times it was active.", lambda s: s.reigns),
    ("recorded_updates", "Status updates made durable.", lambda s: s.updates_recorded),
    ("acknowledged_updates", "Status updates acknowledged.", lambda s: s.updates_acknowledged),
    ("failed_callbacks", "Callbacks that raised.", lambda s: s.callbacks_failed),
)


class FrameworkCollector(Collector):
    """Collects the metrics of a framework at each scrape.

    server = MonitoringServer(store, candidate=framework.candidate)
    server.registry.register(FrameworkCollector(framework))
    """

    def __init__(self, framework: Framework) -> None:
        self._framework = framework

    def collect(self) -> Iterator[Metric]:
        """One look; prometheus_client's contract. Any thread may call it."""
        status = self._framework.status
        state = GaugeMetricFamily(f"{_PREFIX}_state", "1 for its state.", labels=["state"])
        for each in FrameworkState:
            state.add_metric([each.value], each is status.state)
        yield state
        takeover = GaugeMetricFamily(
            f"{_PREFIX}_takeover_seconds", "Steps of the last takeover.", labels=["step"]
        )
        if status.takeover is not None:
            for name, seconds in asdict(status.takeover).items():
                takeover.add_metric([name.removesuffix("_s")], seconds)
        yield takeover
        for name, text, value in _GAUGES:
            yield GaugeMetricFamily(f"{_PREFIX}_{name}", text, value(status))
        for name, text, value in _COUNTERS:
            yield CounterMetricFamily(f"{_PREFIX}_{name}", text, value(status))
