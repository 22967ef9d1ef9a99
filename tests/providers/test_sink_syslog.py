"""The syslog sink with real rsyslogds: messages as RFC 5424 has them, TLS that checks, and a yes that is one."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from providers.sinks.base import NotDelivered, Record, RecordRefused, Severity
from providers.sinks.conformance import records
from providers.sinks.syslog import Syslog, SyslogConfig
from tests.providers.rsyslog import Driver, Rsyslog, rsyslog
from tests.servers import until
from tests.store.redis.test_tls import Authority

MESSAGE = re.compile(
    r"<(?P<pri>\d{1,3})>1 (?P<at>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) (?P<host>[!-~]{1,255}) (?P<app>[!-~]{1,48})"
    r" (?P<proc>[!-~]{1,128}) (?P<msgid>[!-~]{1,32}) \[(?P<id>[!-~]+@\d+)(?P<params>( [a-z]+=\"([^\"\\\]]|\\.)*\")*)\]"
    r" (?P<text>.*)"
)
"""RFC 5424, section 6, where no NILVALUE is meant but for PROCID."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Rsyslog]:
    with rsyslog(tmp_path / "rsyslog") as running:
        yield running


def sink(server: Rsyslog, **more: Any) -> Syslog:
    known = {"host": "127.0.0.1", "port": server.port, "ca": server.authority.certificate, "timeout": 2}
    return Syslog(SyslogConfig.model_validate({**known, **more}))


async def test_a_message_is_as_rfc_5424_has_it(server: Rsyslog) -> None:
    one = sink(server, hostname="bot.example.com", enterprise=51_234, facility="local3")
    record = Record("T000001", 41, 1_773_446_400.25, "granted", "J-7K3Q", '{"seq":41}', Severity.WARNING)
    await one.send([record])
    [message] = server.messages()
    found = MESSAGE.fullmatch(message)
    assert found
    assert found["pri"] == str(19 * 8 + 4)
    assert found["at"] == "2026-03-14T00:00:00.250000Z"
    assert (found["host"], found["app"], found["msgid"]) == ("bot.example.com", "jit", "granted")
    assert found["id"] == "jit@51234"
    assert found["params"] == ' number="41" workspace="T000001" request="J-7K3Q"'
    assert found["text"] == '{"seq":41}'
    await one.close()


async def test_what_an_intruder_wrote_breaks_out_of_nothing(server: Rsyslog) -> None:
    one = sink(server)
    record = Record("T000001", 1, 1e9, "a kind] ü\n<9>" + "x" * 50, 'J"] [x@1 y="\n', "{}")
    await one.send([record, *records(2, 2)])
    first, second = server.messages()
    found = MESSAGE.fullmatch(first)
    assert found
    assert found["msgid"] == "a_kind]___<9>" + "x" * 19
    assert r'request="J\"\] [x@1 y=\"_"' in found["params"]
    assert MESSAGE.fullmatch(second)
    await one.close()


async def test_a_receiver_whose_certificate_is_of_another_authority_gets_nothing(
    server: Rsyslog, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    one = sink(server, ca=Authority(tmp_path / "other").certificate)
    with pytest.raises(NotDelivered, match="its certificate is not to be trusted"):
        await one.send(records(1, 1))
    await one.close()
    assert not server.messages()


async def test_a_receiver_of_another_name_gets_nothing(server: Rsyslog) -> None:
    one = sink(server, server_name="siem.example.com")
    with pytest.raises(NotDelivered, match=r"not to be trusted: Hostname mismatch.*'siem.example.com'"):
        await one.send(records(1, 1))
    await one.close()
    assert not server.messages()


@pytest.mark.parametrize("driver", ["ossl", "gtls"])
async def test_a_receiver_that_wants_a_certificate_is_shown_ours(tmp_path: Path, driver: Driver) -> None:
    with rsyslog(tmp_path / "rsyslog", driver, "known") as server:
        certificate, key = server.authority.signed("jit", "127.0.0.2")
        without, one = sink(server), sink(server, certificate=certificate, key=key)
        with pytest.raises(NotDelivered):
            await without.send(records(1, 1))
        with pytest.raises(NotDelivered):
            await without.check()
        assert not server.messages()
        await one.send(records(2, 2))
        assert server.texts() == [record.text for record in records(2, 2)]
        await one.close()
        await without.close()


@pytest.mark.parametrize("count", [1, 400])
async def test_a_receiver_that_turns_us_away_after_the_handshake_has_taken_nothing(tmp_path: Path, count: int) -> None:
    # rsyslog's OpenSSL driver lets in whom it should not; its GnuTLS driver hangs up without a word.
    with rsyslog(tmp_path / "rsyslog", "gtls", "named") as server:
        certificate, key = server.authority.signed("jit", "127.0.0.2")
        one = sink(server, certificate=certificate, key=key)
        for _ in range(5):
            with pytest.raises(NotDelivered):
                await one.send(records(1, count))
        assert not server.messages()
        await one.close()


async def test_a_file_that_is_not_there_is_named(server: Rsyslog) -> None:
    one = sink(server, ca="/nowhere/ca.pem")
    with pytest.raises(NotDelivered, match=r"TLS files \(/nowhere/ca.pem\) cannot be used: No such file"):
        await one.check()
    await one.close()


async def test_a_message_that_the_receiver_would_cut_is_refused_and_those_before_it_go(server: Rsyslog) -> None:
    one = sink(server, longest=2_048)
    long = records(3, 3, "x" * 2_048)
    with pytest.raises(RecordRefused) as told:
        await one.send([*records(1, 2), *long, *records(4, 4)])
    assert told.value.taken == 2
    assert server.texts() == [record.text for record in records(1, 2)]
    with pytest.raises(RecordRefused, match=r"it has 2,\d+ bytes, and the receiver takes 2,048"):
        await one.send(long)
    await one.close()


async def test_a_receiver_that_is_killed_with_a_batch_in_its_hands_has_not_taken_it(server: Rsyslog) -> None:
    one = sink(server)
    await one.send(records(1, 2))
    assert server.process
    server.process.send_signal(signal.SIGSTOP)
    sending = asyncio.create_task(one.send(records(3, 4)))
    done, _ = await asyncio.wait({sending}, timeout=0.3)
    assert not done, "nobody has read it"
    server.stop(signal.SIGKILL)
    with pytest.raises(NotDelivered):
        await sending
    server.start()
    await one.send(records(3, 4))
    assert server.texts() == [record.text for record in records(1, 4)]
    await one.close()


class Silent:
    """A receiver that reads a batch and dies: it closes without a word, and once so nobody listens any more."""

    def __init__(self, authority: Authority) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.signed("silent", "127.0.0.1"))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.read = b""
        self._thread = threading.Thread(target=self._serve, args=(context,))
        self._thread.start()

    def _serve(self, context: ssl.SSLContext) -> None:
        plain, _ = self._listener.accept()
        stream = context.wrap_socket(plain, server_side=True)
        while data := stream.recv(65_536):
            self.read += data
        self._listener.close()
        # As the kernel does for a process that is killed: the end of the connection, and no word of TLS.
        stream.shutdown(socket.SHUT_RDWR)
        stream.close()

    def join(self) -> None:
        self._thread.join()


async def test_a_receiver_that_read_a_batch_and_died_has_not_taken_it(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    silent = Silent(authority)
    config = {"host": "127.0.0.1", "port": silent.port, "ca": authority.certificate, "timeout": 2}
    one = Syslog(SyslogConfig.model_validate(config))
    with pytest.raises(NotDelivered, match="Connection refused"):
        await one.send(records(1, 2))
    await one.close()
    silent.join()
    assert silent.read.count(b" jit - ") == 2


def _has_more(server: Rsyslog, done: asyncio.Event) -> None:
    seen = len(server.messages())
    until(lambda: len(server.messages()) >= seen + 20 or done.is_set(), "more messages")


async def test_a_restart_in_the_middle_of_many_batches_loses_none(server: Rsyslog) -> None:
    one, done = sink(server), asyncio.Event()

    async def ship() -> None:
        """What the pump does."""
        for number in range(1, 200, 10):
            batch = records(number, number + 9)
            while True:
                try:
                    await one.send(batch)
                    break
                except NotDelivered:
                    await asyncio.sleep(0.02)
        done.set()

    shipping = asyncio.create_task(ship())
    for _ in range(3):
        await asyncio.to_thread(_has_more, server, done)
        await asyncio.to_thread(server.stop, signal.SIGKILL)
        await asyncio.to_thread(server.start)
    await shipping
    assert list(dict.fromkeys(server.texts())) == [record.text for record in records(1, 200)]
    await one.close()


@pytest.mark.parametrize(
    ("flaw", "told"),
    [
        ({"host": "siem.example.com/x"}, "host"),
        ({"certificate": "/c.pem"}, "belong together"),
        ({"longest": 100}, "longest"),
        ({"facility": "kern"}, "facility"),
        ({"tls": False}, "tls"),
    ],
)
def test_a_config_that_cannot_be_is_a_mistake(flaw: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        SyslogConfig.model_validate({"host": "siem.example.com", **flaw})
