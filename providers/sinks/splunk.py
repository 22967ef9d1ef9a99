"""Splunk's HTTP Event Collector (`/services/collector/event`): a request a batch, the token in no address.

Without ``acknowledge`` Splunk has a batch in its memory when it answers; with it (indexer acknowledgement, switched on
for the token in Splunk too) a batch counts only when Splunk says that it is indexed.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
import uuid
from collections.abc import Sequence
from typing import Any, ClassVar, NoReturn

from pydantic import Field, SecretStr

from providers.base import Frozen, Health
from providers.http_client import HttpAnswer
from providers.sinks.base import NotDelivered, Record, RecordRefused, SinkCapabilities
from providers.sinks.http import HttpConfig, HttpSender, loaded, unsure

_EVENTS, _ACKS = "/services/collector/event", "/services/collector/ack"
_NO_DATA = 5
_OF_THE_RECORD = frozenset({6, 12, 13, 15})
"""Splunk's codes that are about the data: invalid format, no event, blank event, indexed fields."""
_SAID = {
    1: "the token is disabled",
    2: "it wants a token",
    3: "the token was not sent as it wants it",
    4: "it does not know the token",
    7: "the token may not write to this index",
    9: "it is busy",
    10: "the token has indexer acknowledgement on: say `acknowledge: true`",
    14: "the token has indexer acknowledgement off: leave `acknowledge` out",
}
_TOO_LARGE = 413
_PAUSE = 0.2
"""Seconds between two questions whether a batch is indexed."""


class SplunkConfig(HttpConfig):
    """Splunk's base address (``https://splunk.example.com:8088``), its token, and where events are put."""

    token: SecretStr
    index: str | None = Field(default=None, pattern=r"^[a-z0-9_][a-z0-9_-]{0,79}$")
    """The token's own when not given."""
    source: str = Field(default="jit-access", min_length=1, max_length=100)
    sourcetype: str = Field(default="jit:audit", min_length=1, max_length=100)
    host: str = Field(default_factory=socket.gethostname, min_length=1, max_length=255)
    acknowledge: bool = False
    indexed_within: float = Field(default=60.0, gt=0, le=600)
    """Seconds that Splunk may take to index a batch, with ``acknowledge``."""


class Splunk:
    """One collector of Splunk's."""

    Config: ClassVar[type[Frozen]] = SplunkConfig

    def __init__(self, config: SplunkConfig) -> None:
        """Open nothing."""
        self._config, self._line, self._base = config, HttpSender(config), config.url.rstrip("/")
        self._channel = str(uuid.uuid4())

    def __repr__(self) -> str:
        """Without the address."""
        return "Splunk()"

    @property
    def settles_within(self) -> float:
        """A call, and with acknowledgement the indexing and a last question."""
        return self._line.settles_within * 2 + (self._config.indexed_within if self._config.acknowledge else 0)

    @classmethod
    def capabilities(cls) -> SinkCapabilities:
        """A request a batch."""
        return SinkCapabilities(most=200, answer="Splunk took the batch; with `acknowledge`, indexed it")

    async def send(self, batch: Sequence[Record]) -> None:
        """The batch in one request, and the wait for its acknowledgement. Raises `RecordRefused`, `NotDelivered`."""
        if not batch:
            return
        answer = await self._post(_EVENTS, "".join(self._event(record) for record in batch))
        told = loaded(answer)
        code = told.get("code") if isinstance(told, dict) else None
        if answer.status != 200 or code != 0:
            self._say_no(answer, code)
        if self._config.acknowledge:
            await self._indexed(told.get("ackId"))

    async def check(self) -> Health:
        """A request without an event: Splunk looks at the token first, and then says that there is none."""
        answer = await self._post(_EVENTS, "")
        told = loaded(answer)
        code = told.get("code") if isinstance(told, dict) else None
        if code != _NO_DATA:
            self._say_no(answer, code)
        return Health(target=self._config.index or "the token's index", detail="Splunk takes the token")

    async def close(self) -> None:
        """Let go of the connection."""
        await self._line.close()

    async def _post(self, path: str, body: str) -> HttpAnswer:
        headers = {
            "Authorization": f"Splunk {self._config.token.get_secret_value()}",
            "Content-Type": "application/json",
            "X-Splunk-Request-Channel": self._channel,
        }
        return await self._line.call("POST", self._base + path, body.encode(), headers)

    def _say_no(self, answer: HttpAnswer, code: object) -> NoReturn:
        if answer.status == _TOO_LARGE or code in _OF_THE_RECORD:
            raise RecordRefused(f"it answers {answer.named()}, code {code}")
        known = _SAID.get(code, "") if isinstance(code, int) else "not as Splunk does: see the address"
        raise unsure(answer, known)

    async def _indexed(self, ack: object) -> None:
        """Wait until Splunk says that it is indexed. Raises `NotDelivered`."""
        if not isinstance(ack, int):
            raise NotDelivered(
                "it gives no ackId: switch indexer acknowledgement on for the token, or leave it out here"
            )
        deadline = time.monotonic() + self._config.indexed_within
        while time.monotonic() < deadline:
            answer = await self._post(_ACKS, json.dumps({"acks": [ack]}))
            told = loaded(answer)
            if not answer.ok or not isinstance(told, dict) or not isinstance(told.get("acks"), dict):
                raise unsure(answer, "it does not say what is indexed")
            if told["acks"].get(str(ack)) is True:
                return
            await asyncio.sleep(_PAUSE)
        raise NotDelivered(f"it did not say within {self._config.indexed_within:g} s that the batch is indexed")

    def _event(self, record: Record) -> str:
        about: dict[str, Any] = {
            "time": f"{record.at:.6f}",
            "host": self._config.host,
            "source": self._config.source,
            "sourcetype": self._config.sourcetype,
            "fields": {"jit_number": str(record.number), "jit_kind": record.kind, "jit_workspace": record.workspace},
        }
        if self._config.index:
            about["index"] = self._config.index
        return f'{json.dumps(about)[:-1]},"event":{record.text}}}'
