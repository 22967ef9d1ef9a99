"""The numbers of a process, in Prometheus' words; no label names a person or a request, and no number decides.

What this process does is counted as it happens; what lies in the store is looked at when somebody scrapes, for a
short time, so that the answer comes whether the store does or not. What each means: guides/metrics.md.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from bot import tasks
from bot.audit.shipping.cursors import Lag
from bot.core.errors import StoreAway
from bot.core.events import AccessExpired, Approved, Cancelled, Denied, RequestExpired, Revoked
from bot.core.request import Ending, State
from bot.store.indexes.backlog import Backlog, Lookout
from bot.store.types import CommitOutcome
from bot.worker.provider_gateway import ProviderGateway

log = logging.getLogger(__name__)

PATIENCE = 2.0
"""Seconds that a scrape waits for the store."""
_ACK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0)
"""Slack waits for three seconds."""
_COMMIT = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_CALL = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_LATE = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
_DECISION = (10.0, 30.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 14_400.0, 86_400.0)
_DECIDED = (Approved, Denied, RequestExpired, Cancelled)


class Metrics:
    """What one process tells. ``dropped`` says how many lines of its log nobody read in time."""

    def __init__(self, dropped: Callable[[], int] = lambda: 0) -> None:
        """A registry of its own; nothing is looked at before the first scrape."""
        self.registry = CollectorRegistry()
        # They are half of all series, and tell only when counting began.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped
        ProcessCollector(registry=self.registry)
        self._acks = self._histogram(
            "jit_ack_seconds", "From a payload of Slack's to its answer", _ACK, "kind", "outcome"
        )
        self._commits = Counter(
            "jit_commits_total", "Events on their way into the record", ["event", "result"], registry=self.registry
        )
        self._commit = self._histogram("jit_commit_seconds", "From a commit to the store's answer", _COMMIT)
        self._decision = self._histogram(
            "jit_decision_seconds", "From a request to what became of it", _DECISION, "decision"
        )
        self._ends = self._histogram(
            "jit_end_late_seconds", "From the end of access to when closing began, and was read back", _LATE, "stage"
        )
        self._calls = self._histogram("jit_provider_seconds", "Calls of providers", _CALL, "system", "verb")
        self._failures = Counter(
            "jit_provider_failures_total",
            "Calls of providers that were refused, unsure, timed out or broke",
            ["system", "verb", "kind"],
            registry=self.registry,
        )
        self._slack = Counter(
            "jit_slack_calls_total", "Calls of Slack's Web API", ["method", "outcome"], registry=self.registry
        )
        self._connections = Counter(
            "jit_connections_dropped_total",
            "Connections that were dropped, having proven nothing",
            ["port", "why"],
            registry=self.registry,
        )
        self._unread = Counter(
            "jit_directory_failures_total",
            "Looks at directories and calendars that failed",
            ["source", "name"],
            registry=self.registry,
        )
        self._present = Present(dropped)
        self.registry.register(self._present)

    def _histogram(self, name: str, what: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, what, labels, buckets=buckets, registry=self.registry)

    # what happens

    def acknowledged(self, kind: str, outcome: str, took: float) -> None:
        """A payload was answered; see `handlers.slack.bolt_app`."""
        self._acks.labels(kind, outcome).observe(took)

    def committed(self, answered: CommitOutcome) -> None:
        """A change was written, or not."""
        change, at = answered.change, answered.at
        self._commits.labels(change.event.kind, answered.status).inc()
        self._commit.observe(answered.seconds)
        before, event, after = change.before, change.event, change.after
        if answered.status != "OK" or before is None:
            return
        if before.state is State.PENDING and isinstance(event, _DECIDED):
            since = before.consented_at or before.created_at
            self._decision.labels(event.kind).observe(max(0.0, at - since))
        if isinstance(event, AccessExpired):
            self._ends.labels("started").observe(max(0.0, at - before.ends_at))
        elif isinstance(event, Revoked) and after.is_over and after.ending is Ending.EXPIRED:
            self._ends.labels("closed").observe(max(0.0, at - before.ends_at))

    def called(self, system: str, verb: str, how: str, took: float) -> None:
        """A provider was called; see `bot.worker.provider_gateway.Told`."""
        self._calls.labels(system, verb).observe(took)
        if how != "ok":
            self._failures.labels(system, verb, how).inc()

    def asked_slack(self, method: str, outcome: str) -> None:
        """Slack's Web API was called; see `handlers.slack.api.CallObserver`."""
        self._slack.labels(method, outcome).inc()

    def dropped(self, port: str, why: str) -> None:
        """A connection had to go; see `bot.dropped_connections`."""
        self._connections.labels(port, why).inc()

    def not_read(self, source: str, name: str) -> None:
        """A directory or calendar could not be read; see `bot.worker.directory_refresh`."""
        self._unread.labels(source, name).inc()

    # what stands

    def watch(self, lookout: Lookout, systems: Callable[[], Mapping[str, str]]) -> None:
        """From now on each scrape has a look at the store. ``systems``: each with its channel."""
        self._present.lookout, self._present.systems = lookout, systems

    def serve(self, gateways: Mapping[str, ProviderGateway]) -> None:
        """From now on each scrape tells of these systems' circuits."""
        self._present.gateways = gateways
        for gateway in gateways.values():
            gateway.observe = harmless(self.called)

    def ship(self, lag: Callable[[], Mapping[str, Lag]]) -> None:
        """From now on each scrape tells how far each sink is behind."""
        self._present.lag = lag

    def read(self, ages: Callable[[], Mapping[tuple[str, str], float]]) -> None:
        """From now on each scrape tells how old what directories and calendars said is."""
        self._present.ages = ages

    async def page(self) -> tuple[str, bytes]:
        """The content type and the text of a scrape; it comes within `PATIENCE`, and raises nothing."""
        await self._present.measure()
        return CONTENT_TYPE_LATEST, generate_latest(self.registry)

    async def close(self) -> None:
        """End the look that is under way."""
        await self._present.close()


class Present(Collector):
    """What stands at the moment of a scrape. What could not be looked at is left out, and never told as it was."""

    def __init__(self, dropped: Callable[[], int]) -> None:
        """Know no store yet."""
        self.lookout: Lookout | None = None
        self.systems: Callable[[], Mapping[str, str]] = dict
        self.gateways: Mapping[str, ProviderGateway] = {}
        self.lag: Callable[[], Mapping[str, Lag]] = dict
        self.ages: Callable[[], Mapping[tuple[str, str], float]] = dict
        self._dropped = dropped
        self._looking: asyncio.Task[Backlog] | None = None
        self._found: Backlog | None = None

    async def measure(self) -> None:
        """Renew what is told of the store; scrapes at one time share one look."""
        self._found = None
        if self.lookout is None:
            return
        if self._looking is None or self._looking.done():
            systems = self.systems()
            look = self.lookout.read(sorted(systems), sorted(set(systems.values())))
            self._looking = asyncio.create_task(look, name="look")
            # One that nobody waited for to its end has nothing to say.
            self._looking.add_done_callback(lambda task: task.cancelled() or task.exception())
        done, _ = await asyncio.wait({self._looking}, timeout=PATIENCE)
        for task in done:
            if not (error := task.exception()):
                self._found = task.result()
            elif not isinstance(error, StoreAway):
                log.error("the store could not be looked at for the metrics", exc_info=error)

    async def close(self) -> None:
        """End the look that is under way."""
        if self._looking:
            await tasks.end([self._looking])

    def collect(self) -> Iterator[Metric]:
        """Prometheus asks for it at each scrape."""
        circuits = GaugeMetricFamily(
            "jit_circuit_open", "Whether a system answers nothing, so that new access is held back", labels=["system"]
        )
        for name, gateway in self.gateways.items():
            circuits.add_metric([name], float(gateway.circuit.is_open))
        yield circuits
        yield CounterMetricFamily(
            "jit_log_lines_dropped_total", "Lines of the log that nobody read in time", self._dropped()
        )
        if self.lookout:
            yield GaugeMetricFamily("jit_store_up", "Whether the store answered", float(self._found is not None))
        yield from _behind(self.lag())
        age = GaugeMetricFamily(
            "jit_directory_age_seconds", "How old what a directory or calendar said is", labels=["source", "name"]
        )
        for (source, name), seconds in self.ages().items():
            age.add_metric([source, name], seconds)
        yield age
        if self._found:
            yield from _told(self._found)

    def describe(self) -> Iterator[Metric]:
        """Nothing is looked at to register this."""
        yield from ()


def _told(found: Backlog) -> Iterator[Metric]:
    for name, what, value in (
        ("jit_open_requests", "Requests that are not over", found.open),
        ("jit_due_requests", "Requests whose next step is due", found.due),
        ("jit_oldest_overdue_seconds", "How long the oldest due request has been due", found.overdue),
        ("jit_pending_requests", "Requests that wait for a decision", found.pending),
        ("jit_pending_age_seconds", "Since when the oldest of them was asked for", found.pending_age),
        ("jit_outbox_rows", "Notices that wait to be given", found.rows),
        ("jit_outbox_age_seconds", "How long the oldest notice has waited", found.rows_age),
        ("jit_dead_letters", "Notices that can never be given", found.dead),
        ("jit_audit_unsealed_events", "Audit events that no seal covers yet", found.unsealed),
        ("jit_audit_unsealed_age_seconds", "How old the oldest of them is", found.unsealed_age),
    ):
        yield GaugeMetricFamily(name, what, value)
    by_system: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
        ("jit_overdue_seconds", "How long the oldest due request of a system has been due", found.overdue_in),
        ("jit_open_past_end_seconds", "How long past its end the oldest access is not closed", found.late_in),
        ("jit_closing_requests", "Requests that are being closed and not read back yet", found.closing_in),
    )
    for name, what, values in by_system:
        family = GaugeMetricFamily(name, what, labels=["system"])
        for system, value in values.items():
            family.add_metric([system], value)
        yield family


def _behind(lags: Mapping[str, Lag]) -> Iterator[Metric]:
    events = GaugeMetricFamily("jit_sink_lag_events", "Sealed events that a sink has not got yet", labels=["sink"])
    age = GaugeMetricFamily("jit_sink_lag_seconds", "How long the oldest of them has waited", labels=["sink"])
    for name, lag in lags.items():
        events.add_metric([name], lag.events)
        age.add_metric([name], lag.seconds)
    yield from (events, age)


def harmless(*watchers: Callable[..., None]) -> Callable[..., None]:
    """All of them as one who watches: what breaks one of them breaks nothing that is watched."""

    def told(*what: Any) -> None:
        for watcher in watchers:
            try:
                watcher(*what)
            except Exception:
                log.exception("what happened could not be told")

    return told
