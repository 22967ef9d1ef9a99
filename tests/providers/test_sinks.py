"""Every sink by the shared suite: a file, a real rsyslogd by both of its TLS drivers, and receivers over HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from providers.sinks.base import Record
from providers.sinks.conformance import SinkBench, SinkConformance, WireConformance, records
from providers.sinks.file import FileSink
from providers.sinks.otel import Otel
from providers.sinks.splunk import Splunk
from providers.sinks.syslog import Syslog
from providers.sinks.webhook import Webhook
from tests.providers.receivers import LARGEST, Collector, Hec, Receiver, WebhookReceiver
from tests.providers.rsyslog import Driver, Rsyslog, rsyslog

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes, so").decode()
TOKEN = "0f5b1c3a-a-token-of-the-test"


class FileBench(SinkBench):
    sink = FileSink

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def config(self, port: int | None = None) -> Mapping[str, Any]:
        return {"path": str(self.folder / "audit.jsonl")}

    async def received(self) -> Sequence[str]:
        path = self.folder / "audit.jsonl"
        return path.read_text(encoding="ascii").splitlines() if path.exists() else []

    async def stop(self) -> None:
        self.folder.rename(self.folder.with_name("away"))

    async def start(self) -> None:
        self.folder.with_name("away").rename(self.folder)

    def poison(self, number: int) -> Record | None:
        return None


class TestFile(SinkConformance):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> FileBench:
        return FileBench(tmp_path / "log")


class SyslogBench(SinkBench):
    sink = Syslog

    def __init__(self, server: Rsyslog) -> None:
        self.rsyslog, self.server = server, ("127.0.0.1", server.port)

    def config(self, port: int | None = None) -> Mapping[str, Any]:
        ca = self.rsyslog.authority.certificate
        return {
            "host": "127.0.0.1",
            "port": port or self.rsyslog.port,
            "ca": ca,
            "timeout": 2 if port else 20,
            "longest": LARGEST,
        }

    async def received(self) -> Sequence[str]:
        return self.rsyslog.texts()

    async def stop(self) -> None:
        self.rsyslog.stop()

    async def start(self) -> None:
        self.rsyslog.start()

    def poison(self, number: int) -> Record | None:
        return records(number, number, "x" * LARGEST)[0]


class TestSyslog(SinkConformance, WireConformance):
    @pytest.fixture(params=["ossl", "gtls"])
    def bench(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SyslogBench]:
        driver: Driver = request.param
        with rsyslog(tmp_path / "rsyslog", driver) as server:
            yield SyslogBench(server)


class HttpBench(SinkBench):
    """A receiver over HTTP."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver, self.server = receiver, ("127.0.0.1", receiver.port)

    def url(self, port: int | None) -> str:
        return f"http://127.0.0.1:{port or self.receiver.port}"

    async def received(self) -> Sequence[str]:
        return self.receiver.texts

    async def stop(self) -> None:
        await self.receiver.stop()

    async def start(self) -> None:
        await self.receiver.start()

    async def deny(self) -> bool:
        self.receiver.denies = True
        return True

    def poison(self, number: int) -> Record | None:
        return records(number, number, "x" * LARGEST)[0]


async def served(receiver: Receiver) -> AsyncIterator[Receiver]:
    await receiver.start()
    yield receiver
    await receiver.stop()


class WebhookBench(HttpBench):
    sink = Webhook
    hidden = (SECRET, SECRET.removeprefix("whsec_"), "/hooks/jit")

    def config(self, port: int | None = None) -> Mapping[str, Any]:
        return {"url": self.url(port) + "/hooks/jit", "secret": SECRET, "timeout": 2 if port else 20}

    async def deny(self) -> bool:
        """It knows another secret; a look that is no message tells nothing of that."""
        return False


class TestWebhook(SinkConformance, WireConformance):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[WebhookBench]:
        async for receiver in served(WebhookReceiver(secret=SECRET)):
            yield WebhookBench(receiver)


class OtelBench(HttpBench):
    sink = Otel
    hidden = (TOKEN,)

    def config(self, port: int | None = None) -> Mapping[str, Any]:
        return {"url": self.url(port), "headers": {"X-Token": TOKEN}, "timeout": 2 if port else 20}


class TestOtel(SinkConformance, WireConformance):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[OtelBench]:
        async for receiver in served(Collector(token=TOKEN)):
            yield OtelBench(receiver)


class SplunkBench(HttpBench):
    sink = Splunk
    hidden = (TOKEN,)
    acks = False

    def config(self, port: int | None = None) -> Mapping[str, Any]:
        more = {"acknowledge": True, "indexed_within": 2} if self.acks else {}
        return {"url": self.url(port), "token": TOKEN, "timeout": 2 if port else 20, **more}


class AckBench(SplunkBench):
    acks = True


class TestSplunk(SinkConformance, WireConformance):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[SplunkBench]:
        async for receiver in served(Hec(token=TOKEN)):
            yield SplunkBench(receiver)


class TestSplunkWithAcknowledgement(SinkConformance, WireConformance):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[SplunkBench]:
        async for receiver in served(Hec(token=TOKEN, acks=True)):
            yield AckBench(receiver)


def test_the_texts_of_the_suite_are_lines_of_ascii() -> None:
    for record in records(1, 3):
        assert record.text.isascii()
        assert "\n" not in record.text
        assert json.loads(record.text)["seq"] == record.number
