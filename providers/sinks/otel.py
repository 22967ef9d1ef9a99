"""OpenTelemetry logs over OTLP/HTTP in JSON (OTLP 1.x, `/v1/logs`): a request a batch; it sends no traces, no metrics.

A collector has a batch when it answers 200 in OTLP's own words and rejects none of it. What its exporters do
afterwards it does not tell. The protocol would have what is answered 401 or 404 dropped; an audit event is kept and
sent again instead, since it is the address or the token that is wrong then.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field, SecretStr

from providers.base import Frozen, Health
from providers.http_client import HttpAnswer
from providers.sinks.base import Record, RecordRefused, SinkCapabilities
from providers.sinks.http import HttpConfig, HttpSender, loaded, unsure

log = logging.getLogger(__name__)

_PATH = "/v1/logs"
_OK, _BAD, _TOO_LARGE = 200, 400, 413


class OtelConfig(HttpConfig):
    """The collector's base address (``/v1/logs`` is added), and headers that it may want."""

    headers: Mapping[Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,60}$")], SecretStr] = Field(default_factory=dict)
    service: str = Field(default="jit-access", min_length=1, max_length=100)
    """The resource's ``service.name``."""


class Otel:
    """One collector."""

    Config: ClassVar[type[Frozen]] = OtelConfig

    def __init__(self, config: OtelConfig) -> None:
        """Open nothing."""
        self._config, self._line = config, HttpSender(config)
        base = config.url.rstrip("/")
        self._url = base if base.endswith(_PATH) else base + _PATH

    def __repr__(self) -> str:
        """Without the address, which may have a secret in its path."""
        return "Otel()"

    @property
    def settles_within(self) -> float:
        """A batch is one call."""
        return self._line.settles_within

    @classmethod
    def capabilities(cls) -> SinkCapabilities:
        """A request a batch."""
        return SinkCapabilities(most=200, answer="the collector took the batch; its exporters come after that")

    async def send(self, batch: Sequence[Record]) -> None:
        """The batch in one request. Raises `RecordRefused`, `Unsure`."""
        if batch:
            self._taken(await self._post([self._resource(batch)]))

    async def check(self) -> Health:
        """An empty request, which a collector answers as any other. Raises `Unsure`."""
        answer = await self._post([])
        if answer.status != _OK or not isinstance(loaded(answer), dict):
            raise unsure(answer, "" if answer.status != _OK else "but not as OTLP does: see the address")
        return Health(target=self._config.service, detail="a collector takes logs there")

    async def close(self) -> None:
        """Let go of the connection."""
        await self._line.close()

    async def _post(self, logs: list[Any]) -> HttpAnswer:
        headers = {name: value.get_secret_value() for name, value in self._config.headers.items()}
        body = json.dumps({"resourceLogs": logs}).encode()
        return await self._line.call("POST", self._url, body, {**headers, "Content-Type": "application/json"})

    def _taken(self, answer: HttpAnswer) -> None:
        if answer.status in {_BAD, _TOO_LARGE}:
            raise RecordRefused(f"it answers {answer.named()}")
        if answer.status != _OK:
            raise unsure(answer)
        told = loaded(answer)
        if not isinstance(told, dict):
            raise unsure(answer, "but not as OTLP does: see the address")
        partial = told.get("partialSuccess") or {}
        # int64 is text in JSON, and some write a number all the same.
        rejected = str(partial.get("rejectedLogRecords", 0)) if isinstance(partial, dict) else "some"
        if rejected != "0":
            raise RecordRefused(f"it rejects {rejected[:20]} of the batch")
        if partial:
            log.warning("an OpenTelemetry collector took the batch, and warns of something: see its own log")

    def _resource(self, batch: Sequence[Record]) -> dict[str, Any]:
        return {
            "resource": {"attributes": [_text("service.name", self._config.service)]},
            "scopeLogs": [{"scope": {"name": "jit.audit"}, "logRecords": [_log_record(record) for record in batch]}],
        }


def _log_record(record: Record) -> dict[str, Any]:
    at = str(int(record.at * 1_000_000) * 1_000)
    about = [_text("jit.request", record.request)] if record.request else []
    return {
        "timeUnixNano": at,
        "observedTimeUnixNano": at,
        "severityNumber": record.severity.otel,
        "severityText": record.severity.name,
        "body": {"stringValue": record.text},
        "attributes": [
            _text("event.name", f"jit.audit.{record.kind}"),
            {"key": "jit.audit.number", "value": {"intValue": str(record.number)}},
            _text("jit.workspace", record.workspace),
            *about,
        ],
    }


def _text(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}
