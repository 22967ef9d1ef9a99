"""The doctor says of each sink whether its receiver is there and how far behind it is, and what to do."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bot.audit.archive.archive import Archive
from bot.audit.shipping import cursors
from bot.audit.shipping.cursors import Cursor, Refusal
from bot.cli.doctor.checks import CheckVerdict
from bot.cli.doctor.examine import as_document
from bot.core.audit_chain import PURPOSE, Signer
from bot.store.keyring import KeyRing
from tests.audit.stories import keep, note
from tests.cli.doctor.examining import Env, look, policy
from tests.journeys.test_shipping import with_sinks
from tests.providers.receivers import Hec
from tests.servers import free_port

W = "T000042"
TOKEN = "a-token-of-the-doctors-test"


@pytest.fixture
def siem(tmp_path: Path) -> Path:
    """Where the file sink of the policy writes."""
    return tmp_path / "audit.jsonl"


@pytest.fixture
def env(env: Env, tmp_path: Path, siem: Path) -> Env:
    """All is well, and the record goes to a file."""
    text = with_sinks(siem={"kind": "file", "behind": "30m", "config": {"path": str(siem)}})
    return env | {"JIT_POLICY": policy(tmp_path, text)}


def begun(env: Env, events: int = 5, *, ago: float = 60.0) -> tuple[Archive, Cursor]:
    """An archive with some events, which happened a while ago, and a sink that was there before."""
    archive, at = Archive.open("", Path(env["JIT_HOME"]), create=True), time.time() - ago
    signer = Signer(KeyRing.generate().subkeys(PURPOSE))
    keep(archive, signer, W, [note(n, at) for n in range(1, events + 1)])
    return archive, cursors.begin(archive, W, "siem", "c", now=at - 1, all_of_it=True)


async def test_a_sink_that_nobody_ships_to_yet_is_noted(env: Env) -> None:
    found = await look(env)
    assert "audit.jsonl: not made yet" in found.said("sink siem", CheckVerdict.GOOD)
    assert "there is no archive" in found.said("sink siem", CheckVerdict.UNCHECKED)
    begun(env)[0].close()
    with_another = await look(env)
    assert "5 events behind" in with_another.said("sink siem", CheckVerdict.GOOD)


async def test_a_sink_that_has_everything_is_good(env: Env) -> None:
    archive, cursor = begun(env)
    cursors.move(archive, cursor, 5, time.time())
    archive.close()
    found = await look(env)
    assert "it has everything up to 5" in found.said("sink siem", CheckVerdict.GOOD)
    assert not [each for each in found.wrong() if each.startswith("sink")]


async def test_a_sink_that_is_behind_for_long_is_wrong_and_says_by_how_much(env: Env) -> None:
    begun(env, ago=7200.0)[0].close()
    found = await look(env)
    assert "5 events behind, the oldest waits for 2 h" in found.said("sink siem")
    assert "that a worker runs" in found.said("sink siem")


async def test_a_sink_that_was_stopped_says_how_it_goes_on(env: Env) -> None:
    archive, cursor = begun(env)
    cursors.stop(archive, cursor, "it answers 410 Gone")
    archive.close()
    told = (await look(env)).said("sink siem")
    assert "stopped, 5 events behind" in told
    assert "410 Gone" in told
    assert "jit sinks --resume siem" in told


async def test_what_a_sink_can_never_take_is_named(env: Env) -> None:
    archive, cursor = begun(env)
    cursors.move(archive, cursor, 1, time.time(), Refusal(1, "too large"))
    archive.close()
    assert "it can never take 1 of the events: 1" in (await look(env)).said("sink siem", CheckVerdict.NOTE)


async def test_a_receiver_that_is_away_or_wants_another_token_is_wrong_and_no_secret_is_shown(
    env: Env, tmp_path: Path
) -> None:
    receiver = Hec(token="another", port=free_port())
    config = {"url": f"http://127.0.0.1:{receiver.port}", "token": "env:HEC"}
    text = policy(tmp_path, with_sinks(siem={"kind": "splunk", "config": config}))
    assert "HEC is not set" in (await look(env, JIT_POLICY=text)).said("sink siem")
    away = await look(env, JIT_POLICY=text, HEC=TOKEN)
    assert "splunk takes nothing: it cannot be reached: Connection refused" in away.said("sink siem")
    await receiver.start()
    denied = await look(env, JIT_POLICY=text, HEC=TOKEN)
    assert "it answers 403 Forbidden: it does not know the token" in denied.said("sink siem")
    good = await look(env, JIT_POLICY=text, HEC="another")
    assert "Splunk takes the token" in good.said("sink siem", CheckVerdict.GOOD)
    assert TOKEN not in as_document([*away.all, *denied.all])
    assert '"check": "sink siem"' in as_document(good.all)
    await receiver.stop()
    assert not receiver.texts, "nothing is sent"
