"""Finds sinks by entry point, and builds them from their config; see `providers.registry`.

A sink is announced in its package's ``pyproject.toml``, ours and a stranger's alike::

    [project.entry-points."jit.sinks"]
    kafka = "acme_jit.kafka:Kafka"
"""

from __future__ import annotations

from providers.registry import Installed
from providers.sinks.base import Sink

SINKS: Installed[Sink] = Installed(
    group="jit.sinks",
    noun="sink",
    shape="Sink",
    members=("Config", *(name for name in vars(Sink) if not name.startswith("_"))),
)
names, find, build = SINKS.names, SINKS.find, SINKS.build
