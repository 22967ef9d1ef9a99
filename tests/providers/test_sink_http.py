"""The sinks over HTTP: what is signed, what is refused, what an answer means, and where nothing is ever sent."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from providers.sinks.base import NotDelivered, ReceiverGone, RecordRefused
from providers.sinks.conformance import records
from providers.sinks.http import HttpConfig
from providers.sinks.otel import Otel, OtelConfig
from providers.sinks.splunk import Splunk, SplunkConfig
from providers.sinks.webhook import Webhook, WebhookConfig
from tests.providers.receivers import Collector, Hec, WebhookReceiver
from tests.store.redis.test_tls import Authority

OLD = "whsec_" + base64.b64encode(b"the secret that was there before").decode()
SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes, so").decode()


@pytest.fixture
async def hooks() -> AsyncIterator[WebhookReceiver]:
    receiver = WebhookReceiver(secret=SECRET)
    await receiver.start()
    yield receiver
    await receiver.stop()


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    receiver = Collector()
    await receiver.start()
    yield receiver
    await receiver.stop()


@pytest.fixture
async def hec() -> AsyncIterator[Hec]:
    receiver = Hec(token="t0ken")
    await receiver.start()
    yield receiver
    await receiver.stop()


def webhook(port: int, **more: Any) -> Webhook:
    return Webhook(_webhook(port, **more))


def _webhook(port: int, **more: Any) -> WebhookConfig:
    known = {"url": f"http://127.0.0.1:{port}/hooks/jit", "secret": SECRET, "timeout": 20}
    return WebhookConfig.model_validate({**known, **more})


def otel(port: int) -> Otel:
    return Otel(
        OtelConfig.model_validate({"url": f"http://127.0.0.1:{port}/", "headers": {"X-Token": ""}, "timeout": 20})
    )


def splunk(port: int, **more: Any) -> Splunk:
    known = {"url": f"http://127.0.0.1:{port}", "token": "t0ken", "timeout": 20}
    return Splunk(SplunkConfig.model_validate({**known, **more}))


# webhooks


async def test_a_message_has_its_type_its_id_and_the_record_word_for_word(hooks: WebhookReceiver) -> None:
    one = webhook(hooks.port)
    await one.send(records(1, 2))
    assert hooks.types == ["jit.audit.granted", "jit.audit.refused"]
    assert hooks.ids == ["T000001-1", "T000001-2"]
    assert hooks.texts == [record.text for record in records(1, 2)]
    await one.close()


async def test_while_secrets_are_rotated_both_sides_of_it_believe_the_message(hooks: WebhookReceiver) -> None:
    one = webhook(hooks.port, secret=OLD, previous=SECRET)
    await one.send(records(1, 1))
    assert len(hooks.ids) == 1
    await one.close()


async def test_a_message_of_another_secret_or_another_time_is_not_taken_and_no_record_is_blamed(
    hooks: WebhookReceiver,
) -> None:
    for one in (webhook(hooks.port, secret=OLD), Webhook(_webhook(hooks.port), clock=lambda: time.time() - 400)):
        with pytest.raises(NotDelivered, match="it answers 400 Bad Request"):
            await one.send(records(1, 1))
        await one.close()
    assert not hooks.ids


async def test_each_try_is_signed_anew_and_bears_the_same_id(hooks: WebhookReceiver) -> None:
    now = time.time()
    one = Webhook(_webhook(hooks.port), clock=lambda: now)
    hooks.script = [web.Response(status=500)]
    with pytest.raises(NotDelivered, match="500"):
        await one.send(records(1, 1))
    now += 60
    await one.send(records(1, 1))
    await one.send(records(1, 1))
    assert hooks.ids == ["T000001-1"]
    await one.close()


async def test_a_receiver_that_is_gone_is_told_as_gone(hooks: WebhookReceiver) -> None:
    one = webhook(hooks.port)
    hooks.script = [web.Response(status=204), web.Response(status=410)]
    with pytest.raises(ReceiverGone) as told:
        await one.send(records(1, 2))
    assert told.value.taken == 1
    hooks.script = [web.Response(status=410)]
    with pytest.raises(ReceiverGone):
        await one.check()
    await one.close()


async def test_what_was_taken_before_a_failure_is_told(hooks: WebhookReceiver) -> None:
    one = webhook(hooks.port)
    hooks.script = [web.Response(status=200), web.Response(status=200), web.Response(status=503)]
    with pytest.raises(NotDelivered) as told:
        await one.send(records(1, 4))
    assert told.value.taken == 2
    await one.close()


@pytest.mark.parametrize("secret", ["whsec_", "whsec_AAAA", "hunter2", "whsec_" + "A" * 200, "whsec_ü"])
def test_a_secret_that_is_none_is_a_mistake_and_is_not_shown(secret: str) -> None:
    with pytest.raises(ValidationError) as told:
        _webhook(1, secret=secret)
    assert "base64 of 24 to 64 random bytes" in str(told.value)
    assert secret == "whsec_" or secret not in str(told.value)


# what holds for all of them


async def test_a_redirect_is_not_followed(hooks: WebhookReceiver) -> None:
    one = webhook(hooks.port)
    for status in (301, 302, 307, 308):
        hooks.script = [web.Response(status=status, headers={"Location": f"http://127.0.0.1:{hooks.port}/hooks/jit"})]
        with pytest.raises(NotDelivered, match=f"{status}.*not followed"):
            await one.send(records(1, 1))
    assert not hooks.ids
    assert hooks.requests == 4
    await one.close()


async def test_a_receiver_that_says_when_is_asked_no_sooner(hooks: WebhookReceiver) -> None:
    one = webhook(hooks.port)
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    for header, low, high in (("7", 7, 7), (at, 60, 91), ("soon", 0, 0), ("-5", 0, 0), ("999999999", 600, 600)):
        hooks.script = [web.Response(status=429, headers={"Retry-After": header})]
        with pytest.raises(NotDelivered) as told:
            await one.send(records(1, 1))
        assert low <= told.value.after <= high, header
    await one.close()


async def test_an_answer_without_end_is_read_no_further_than_needed(hooks: WebhookReceiver) -> None:
    one = otel(hooks.port)
    hooks.script = [web.Response(status=200, body=b" " * 10_000_000, content_type="application/json")]
    with pytest.raises(NotDelivered, match="not as OTLP does"):
        await one.send(records(1, 1))
    await one.close()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://siem.example.com/x", "use https://"),
        ("https://169.254.169.254/latest", "link-local"),
        ("https://[fe80::1]/", "link-local"),
        ("https://[::ffff:169.254.169.254]/", "link-local"),
        ("https://[fd00:ec2::254]/", "link-local"),
        ("http://169.254.169.254/latest", "use https://"),
        ("https://user:pw@siem.example.com/", "no user, password"),
        ("https://siem.example.com/#x", "no user, password or fragment"),
        ("ftp://siem.example.com/", "no address"),
        ("https:///x", "no address"),
        ("https://siem.example.com:99999/", "no address"),
        ("https://[::1", "no address"),
        ("siem.example.com", "no address"),
    ],
)
def test_an_address_that_can_be_no_receivers_is_a_mistake(url: str, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        HttpConfig.model_validate({"url": url})


@pytest.mark.parametrize("url", ["http://localhost:1/", "http://127.0.0.1:1/x", "http://[::1]:1/", "https://10.0.0.7/"])
def test_this_machine_and_private_networks_are_the_operators_own_matter(url: str) -> None:
    assert HttpConfig.model_validate({"url": url}).url == url


@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254"])
async def test_a_name_that_leads_to_a_link_local_address_leads_nowhere(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET

    def lookup(*_: object, **__: object) -> list[Any]:
        where: Any = (address, 443, 0, 0) if ":" in address else (address, 443)
        return [(family, socket.SOCK_STREAM, 6, "", where)]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    one = Webhook(WebhookConfig.model_validate({"url": "https://metadata.example.com/", "secret": SECRET}))
    with pytest.raises(NotDelivered, match="leads to a link-local address"):
        await one.send(records(1, 1))
    await one.close()


async def test_a_certificate_is_checked_and_a_private_authority_can_be_named(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path), tmp_path / "other"
    other.mkdir()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.signed("hooks", "127.0.0.1"))
    receiver = WebhookReceiver(tls=context, secret=SECRET)
    await receiver.start()
    url = f"https://127.0.0.1:{receiver.port}/hooks/jit"
    for more in ({}, {"ca": Authority(other).certificate}):
        bad = webhook(receiver.port, url=url, **more)
        with pytest.raises(NotDelivered, match="certificate is not to be trusted"):
            await bad.send(records(1, 1))
        await bad.close()
    assert not receiver.requests
    good = webhook(receiver.port, url=url, ca=authority.certificate)
    await good.send(records(1, 1))
    assert receiver.ids == ["T000001-1"]
    await good.close()
    await receiver.stop()


# OpenTelemetry


async def test_a_log_record_says_when_how_loud_and_which_number(collector: Collector) -> None:
    one = otel(collector.port)
    record = records(7, 7)[0]
    await one.send([record])
    [log] = collector.records
    assert log.time_unix_nano == 1_773_446_407_250_000_000
    assert (log.severity_number, log.severity_text) == (record.severity.otel, record.severity.name)
    told = {each.key: each.value for each in log.attributes}
    assert told["jit.audit.number"].int_value == 7
    assert told["jit.workspace"].string_value == "T000001"
    assert told["event.name"].string_value == "jit.audit.granted"
    assert log.body.string_value == record.text
    await one.close()


@pytest.mark.parametrize("rejected", ["1", 1, "2"])
async def test_a_partial_success_that_rejects_is_no_success(collector: Collector, rejected: object) -> None:
    one = otel(collector.port)
    collector.script = [web.json_response({"partialSuccess": {"rejectedLogRecords": rejected}})]
    with pytest.raises(RecordRefused, match="it rejects"):
        await one.send(records(1, 2))
    await one.close()


async def test_a_partial_success_that_only_warns_is_one(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    one = otel(collector.port)
    collector.script = [web.json_response({"partialSuccess": {"errorMessage": "a secret of theirs"}})]
    await one.send(records(1, 1))
    assert "warns of something" in caplog.text
    assert "a secret of theirs" not in caplog.text
    await one.close()


@pytest.mark.parametrize("status", [404, 405, 429, 500, 502, 503, 504])
async def test_what_a_collector_answers_otherwise_blames_no_record(collector: Collector, status: int) -> None:
    one = otel(collector.port)
    collector.script = [web.Response(status=status)]
    with pytest.raises(NotDelivered):
        await one.send(records(1, 1))
    await one.close()


async def test_a_page_that_says_200_is_no_collector(collector: Collector) -> None:
    one = otel(collector.port)
    for answer in (web.Response(text="<html>"), web.json_response([]), web.Response(status=204)):
        collector.script = [answer]
        with pytest.raises(NotDelivered):
            await one.send(records(1, 1))
    await one.close()


# Splunk


async def test_an_event_is_json_that_splunk_can_search(hec: Hec) -> None:
    one = splunk(hec.port, index="audit", host="bot.example.com")
    await one.send(records(7, 8))
    first = hec.events[0]
    assert first["event"] == json.loads(records(7, 7)[0].text)
    assert first["fields"] == {"jit_number": "7", "jit_kind": "granted", "jit_workspace": "T000001"}
    assert (first["time"], first["host"], first["index"]) == ("1773446407.250000", "bot.example.com", "audit")
    await one.close()


async def test_with_acknowledgement_a_batch_counts_when_it_is_indexed(hec: Hec) -> None:
    hec.acks, hec.slow = True, 3
    one = splunk(hec.port, acknowledge=True)
    await one.send(records(1, 2))
    assert len(hec.texts) == 2
    hec.slow = 1_000
    late = splunk(hec.port, acknowledge=True, indexed_within=0.5)
    with pytest.raises(NotDelivered, match=r"did not say within 0\.5 s"):
        await late.send(records(3, 4))
    await late.close()
    await one.close()


async def test_acknowledgement_that_splunk_has_switched_off_is_told(hec: Hec) -> None:
    one = splunk(hec.port, acknowledge=True)
    with pytest.raises(NotDelivered, match="no ackId"):
        await one.send(records(1, 1))
    await one.close()


async def test_acknowledgement_that_we_leave_out_is_told_by_splunks_own_words(hec: Hec) -> None:
    hec.acks = True
    one = splunk(hec.port)
    hec.script = [web.json_response({"text": "Data channel is missing", "code": 10}, status=400)]
    with pytest.raises(NotDelivered, match="acknowledge: true"):
        await one.check()
    await one.close()


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (403, 1, "the token is disabled"),
        (403, 4, "does not know the token"),
        (400, 7, "may not write to this index"),
        (503, 9, "it is busy"),
        (400, 10, "acknowledge: true"),
        (400, 14, "leave `acknowledge` out"),
        (500, 8, "500"),
        (200, None, "not as Splunk does"),
    ],
)
async def test_what_is_wrong_with_us_blames_no_record(hec: Hec, status: int, code: int | None, told: str) -> None:
    one = splunk(hec.port)
    hec.script = [web.json_response({"text": "…", "code": code} if code else {}, status=status)]
    with pytest.raises(NotDelivered, match=told):
        await one.send(records(1, 1))
    await one.close()


@pytest.mark.parametrize("code", [6, 12, 13, 15])
async def test_what_is_wrong_with_a_record_is_its_own(hec: Hec, code: int) -> None:
    one = splunk(hec.port)
    hec.script = [web.json_response({"text": "…", "code": code}, status=400)]
    with pytest.raises(RecordRefused, match=f"code {code}"):
        await one.send(records(1, 1))
    await one.close()
