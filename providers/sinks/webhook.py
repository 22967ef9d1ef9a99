"""Signed webhooks as Standard Webhooks 1.0.0 has them: a message a record, in order; no message goes unsigned.

A receiver has a message when it answers 2xx. ``webhook-id`` is the record's own and stays the same when it is sent
again, so a receiver that keeps the ids it has seen takes each record once. 410 says that it wants no more.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, SecretStr

from providers.base import Frozen, Health
from providers.sinks.base import NotDelivered, ReceiverGone, Record, RecordRefused, SinkCapabilities
from providers.sinks.http import HttpConfig, HttpSender, unsure

_PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64
"""Bytes of a secret, as the standard has them."""
_GONE, _TOO_LARGE = 410, 413
_MOST = 20


def _key(secret: SecretStr) -> bytes:
    given = secret.get_secret_value()
    try:
        key = base64.b64decode(given.removeprefix(_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not given.startswith(_PREFIX) or not _SHORTEST <= len(key) <= _LONGEST:
        raise ValueError(f"a secret is written {_PREFIX}…, the base64 of {_SHORTEST} to {_LONGEST} random bytes")
    return key


def _checked(secret: SecretStr) -> SecretStr:
    _key(secret)
    return secret


Signing = Annotated[SecretStr, AfterValidator(_checked)]


class WebhookConfig(HttpConfig):
    """Where to post, and the secret that both sides have."""

    secret: Signing
    previous: Signing | None = None
    """While secrets are rotated: the one before, which signs as well."""
    type: str = Field(default="jit.audit", pattern=r"^[a-zA-Z0-9_]+(\.[a-zA-Z0-9_]+)*$", max_length=60)
    """What the type of each message begins with; the kind of event follows."""


class Webhook:
    """One receiver of webhooks."""

    Config: ClassVar[type[Frozen]] = WebhookConfig

    def __init__(self, config: WebhookConfig, clock: Callable[[], float] = time.time) -> None:
        """``clock``: Unix seconds; the receiver refuses what is five minutes off."""
        self._config, self._clock, self._line = config, clock, HttpSender(config)
        self._keys = [_key(secret) for secret in (config.secret, config.previous) if secret]

    def __repr__(self) -> str:
        """Without the address, which may have a secret in its path."""
        return "Webhook()"

    @property
    def settles_within(self) -> float:
        """A batch is so many calls, one after the other."""
        return self._line.settles_within * _MOST

    @classmethod
    def capabilities(cls) -> SinkCapabilities:
        """A message a record."""
        return SinkCapabilities(most=_MOST, answer="the receiver answered 2xx to this message")

    async def send(self, batch: Sequence[Record]) -> None:
        """A message a record, one after the other. Raises `RecordRefused`, `NotDelivered`, `ReceiverGone`."""
        for taken, record in enumerate(batch):
            body = self._body(record)
            try:
                answer = await self._line.call("POST", self._config.url, body, self._headers(record.id, body))
            except NotDelivered as error:
                raise NotDelivered(str(error), taken) from None
            if answer.status == _GONE:
                raise ReceiverGone("it answers 410 Gone: it wants no more webhooks", taken)
            if answer.status == _TOO_LARGE:
                raise RecordRefused(f"it answers {answer.named()} to {len(body):,} bytes", taken)
            if not answer.ok:
                raise unsure(answer, taken=taken)

    async def check(self) -> Health:
        """Whether anything answers HTTP there; no message is sent to find out. Raises `NotDelivered`."""
        answer = await self._line.call("HEAD", self._config.url)
        if answer.status == _GONE:
            raise ReceiverGone("it answers 410 Gone: it wants no more webhooks")
        return Health(
            target="webhook", detail=f"it is there ({answer.status} to HEAD); what it says to a message shows"
        )

    async def close(self) -> None:
        """Let go of the connection."""
        await self._line.close()

    def _body(self, record: Record) -> bytes:
        at = datetime.fromtimestamp(record.at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        kind = re.sub(r"\W", "_", record.kind, flags=re.ASCII)
        return f'{{"type":"{self._config.type}.{kind}","timestamp":"{at}","data":{record.text}}}'.encode()

    def _headers(self, id_: str, body: bytes) -> dict[str, str]:
        stamp = str(int(self._clock()))
        signed = f"{id_}.{stamp}.".encode() + body
        signatures = [hmac.new(key, signed, hashlib.sha256).digest() for key in self._keys]
        return {
            "Content-Type": "application/json",
            "webhook-id": id_,
            "webhook-timestamp": stamp,
            "webhook-signature": " ".join(f"v1,{base64.b64encode(each).decode()}" for each in signatures),
        }
