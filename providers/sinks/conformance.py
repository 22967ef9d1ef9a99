# ruff: noqa: S101 -- a suite asserts
"""The tests that every sink passes before its own; it knows no protocol, and trusts no sink's word for it.

Writing a sink
--------------
1. One file, one class with the verbs of `base.Sink`; announce it as `registry` says.
2. A `SinkBench` for a real receiver (or the most faithful one there is): how to reach it, how to see *past the sink*
   what it has, how to stop it and start it again.
3. One test class of the mixins that fit: `SinkConformance`, and `WireConformance` where it speaks TCP. They need
   pytest-asyncio. For readable failures, call ``pytest.register_assert_rewrite("providers.sinks.conformance")``
   before the import.

What is most often got wrong, and is tested here: a call returns before the receiver has everything; a lost answer is
taken for a yes; a batch is sent in parts whose order is another after a break; a receiver that wants another token
makes records look bad, which are then dropped; a secret shows in an error.
"""

from __future__ import annotations

import abc
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, ClassVar

import pytest
import pytest_asyncio

from providers.sinks.base import NotDelivered, Record, RecordRefused, Severity, Sink
from providers.systems.conformance.hazards import Wire

AWKWARD = 'a "quote", a \\ and a ] and </script>, a tab\t and a line\nbreak, ü, ℵ, 😀, %s, {0}, \u2028, \x00'
_MOST_MESSAGES = 80


def records(first: int, last: int, more: str = AWKWARD) -> list[Record]:
    """Records of one workspace, each with all that may be misread."""
    return [
        Record(
            workspace="T000001",
            number=number,
            at=1_773_446_400.25 + number,
            kind=("submitted", "granted", "refused")[number % 3],
            request="J-7K3Q" if number % 2 else "",
            text=json.dumps({"seq": number, "event": more}, separators=(",", ":")),
            severity=list(Severity)[number % 4],
        )
        for number in range(first, last + 1)
    ]


class SinkBench(abc.ABC):
    """What the suite must know that a sink does not say. Each look goes past the sink."""

    sink: ClassVar[type[Sink]]
    hidden: Sequence[str] = ()
    """The secrets in `config`, which must show nowhere."""
    server: tuple[str, int] | None = None
    """Host and port of the receiver, where it speaks TCP."""

    @abc.abstractmethod
    def config(self, port: int | None = None) -> Mapping[str, Any]:
        """A config with short timeouts; by way of 127.0.0.1 and ``port`` when it is given."""

    @abc.abstractmethod
    async def received(self) -> Sequence[str]:
        """The texts that the receiver has, in the order in which it got them."""

    @abc.abstractmethod
    async def stop(self) -> None:
        """Take the receiver down; what it has it keeps."""

    @abc.abstractmethod
    async def start(self) -> None:
        """Have it up again, at the same place."""

    @abc.abstractmethod
    def poison(self, number: int) -> Record | None:
        """A record that this receiver can never take; None where it takes any."""

    async def deny(self) -> bool:
        """Have the receiver take nothing from us any more, for a reason that is no record's; False where none can."""
        return False

    def build(self, port: int | None = None) -> Sink:
        """A sink as another process would have it."""
        return self.sink(self.sink.Config.model_validate(self.config(port)))


async def numbers(bench: SinkBench) -> list[int]:
    """The numbers that the receiver has, each once, in the order in which it got them first."""
    return list(dict.fromkeys(json.loads(text)["seq"] for text in await bench.received()))


class SinkConformance:
    """What holds for each sink. The class that inherits gives a fixture ``bench``."""

    pytestmark = pytest.mark.asyncio

    @pytest_asyncio.fixture
    async def sink(self, bench: SinkBench) -> AsyncIterator[Sink]:
        """The sink under test."""
        sink = bench.build()
        yield sink
        await sink.close()

    async def test_says_what_it_does_without_a_connection(self, bench: SinkBench) -> None:
        told = bench.sink.capabilities()
        assert told.most >= 1
        assert told.answer
        assert bench.build().settles_within > 0

    async def test_check_finds_the_receiver_and_sends_nothing(self, bench: SinkBench, sink: Sink) -> None:
        assert (await sink.check()).target
        assert not await bench.received()

    async def test_records_arrive_in_their_order_and_as_they_are(self, bench: SinkBench, sink: Sink) -> None:
        sent = records(1, 7)
        await sink.send(sent[:3])
        assert list(await bench.received()) == [record.text for record in sent[:3]], "when it returns they are there"
        await sink.send(sent[3:])
        assert list(await bench.received()) == [record.text for record in sent]

    async def test_a_full_batch_arrives(self, bench: SinkBench, sink: Sink) -> None:
        most = sink.capabilities().most
        await sink.send(records(1, most, AWKWARD * 3))
        assert await numbers(bench) == list(range(1, most + 1))

    async def test_nothing_to_send_is_no_mistake(self, bench: SinkBench, sink: Sink) -> None:
        await sink.send([])
        assert not await bench.received()

    async def test_what_is_sent_again_bears_the_same_number(self, bench: SinkBench, sink: Sink) -> None:
        killed = bench.build()
        await killed.send(records(1, 3))
        # As after a kill between the answer and the cursor.
        await killed.close()
        await sink.send(records(1, 3))
        await sink.send(records(4, 5))
        assert await numbers(bench) == [1, 2, 3, 4, 5]

    async def test_a_receiver_that_is_down_is_unsure_and_is_found_again(self, bench: SinkBench, sink: Sink) -> None:
        await sink.send(records(1, 2))
        await bench.stop()
        with pytest.raises(NotDelivered):
            await sink.send(records(3, 4))
        with pytest.raises(NotDelivered):
            await sink.check()
        await bench.start()
        await sink.send(records(3, 4))
        assert await numbers(bench) == [1, 2, 3, 4]

    async def test_a_record_that_can_never_be_taken_is_refused_and_holds_up_no_other(
        self, bench: SinkBench, sink: Sink
    ) -> None:
        bad = bench.poison(3)
        if bad is None:
            return
        with pytest.raises(RecordRefused) as told:
            await sink.send([*records(1, 2), bad, *records(4, 5)])
        assert 0 <= told.value.taken <= 2
        assert len(await numbers(bench)) >= told.value.taken
        with pytest.raises(RecordRefused) as told:
            await sink.send([bad])
        assert told.value.taken == 0
        await sink.send(records(1, 2))
        await sink.send(records(4, 5))
        assert await numbers(bench) == [1, 2, 4, 5]

    async def test_a_receiver_that_takes_nothing_from_us_blames_no_record(self, bench: SinkBench, sink: Sink) -> None:
        if await bench.deny():
            with pytest.raises(NotDelivered):
                await sink.send(records(1, 2))
            with pytest.raises(NotDelivered):
                await sink.check()
            assert not await bench.received()

    async def test_nothing_secret_shows(self, bench: SinkBench, sink: Sink, caplog: pytest.LogCaptureFixture) -> None:
        config = sink.Config.model_validate(bench.config())
        told = [repr(config), str(config), repr(sink), (await sink.check()).model_dump_json()]
        await sink.send(records(1, 1))
        await bench.stop()
        with pytest.raises(NotDelivered) as error:
            await sink.send(records(2, 2))
        await bench.start()
        if await bench.deny():
            with pytest.raises(NotDelivered) as denied:
                await sink.send(records(2, 2))
            told += [str(denied.value), repr(denied.value.__cause__)]
        told += [str(error.value), repr(error.value.__cause__), caplog.text]
        assert not [word for word in bench.hidden if any(word in text for text in told)]


class WireConformance:
    """For sinks that speak TCP: each message of a batch is lost once, and the receiver hangs once."""

    pytestmark = pytest.mark.asyncio

    async def test_a_receiver_that_never_answers_is_unsure_in_time(self, bench: SinkBench) -> None:
        assert bench.server is not None, "a bench of WireConformance says where its receiver is"
        for verb in ("send", "check"):
            async with Wire(bench.server, hold=1) as wire:
                sink = bench.build(wire.port)
                began = time.monotonic()
                with pytest.raises(NotDelivered):
                    await (sink.send(records(1, 2)) if verb == "send" else sink.check())
                assert time.monotonic() - began <= sink.settles_within
                await sink.close()

    async def test_whichever_answer_is_lost_a_yes_is_a_yes(self, bench: SinkBench) -> None:
        assert bench.server is not None
        for n in range(1, _MOST_MESSAGES):
            first = n * 10
            async with Wire(bench.server, lose=n) as wire:
                sink = bench.build(wire.port)
                try:
                    await sink.send(records(first, first + 3))
                except NotDelivered:
                    assert wire.struck
                else:
                    assert set(range(first, first + 4)) <= set(await numbers(bench))
                finally:
                    await sink.close()
                struck = wire.struck
            again = bench.build()
            await again.send(records(first, first + 3))
            await again.close()
            assert [number for number in await numbers(bench) if number >= first] == list(range(first, first + 4))
            if not struck:
                return
        pytest.fail(f"a batch took more than {_MOST_MESSAGES} messages")
