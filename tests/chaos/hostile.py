"""Ill will, seeded: somebody who can write to Redis, and holders who want to keep what they were given.

`python -m tests.chaos.hostile --minutes 10 --seed 7` plays both, says what it does, and ends with 1 if it found access
open past its end, opened without its approvals, or words that the bot did not write. `--part writer` or `holder` plays
one; `--episode N` plays one episode of the writer again. What is done follows from the seed; how processes interleave
with it does not.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

from redis.asyncio import Redis

from bot import tasks
from tests import scratch
from tests.chaos.adversary.book import Book
from tests.chaos.adversary.doors import LATE, Doors
from tests.chaos.adversary.findings import Finding, Findings, Mutations
from tests.chaos.adversary.holders import Holders, nobody
from tests.chaos.adversary.kinds import Kinds, Known
from tests.chaos.adversary.people import People
from tests.chaos.adversary.site import CHANNEL, STAFF, TEAM, Site
from tests.chaos.adversary.words import Words
from tests.chaos.adversary.writer import Writer
from tests.providers.postgres_bench import furnish
from tests.servers import PostgresServer, postgres_server

PACE = 2
"""Seconds between two comparisons of a system with the record; the product's ten minutes are too long to wait for."""
EPISODE = 26.0
_GENTLE = 0.6
"""The share of an episode in which what everybody relies on stays as it is, so that much is asked and opened."""
_RUTHLESS = 0.15
"""The share of it, its last, in which nothing is put as it was."""
_PAUSE = 0.12


@dataclass
class Played:
    """What was done and found, over all episodes."""

    verbose: bool = False
    within: float = LATE
    """Seconds past its end from which access that is open is a finding."""
    whole: bool = True
    """Whether it is long enough for every kind of key to be mutated: a run of one episode is not."""
    episodes: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    worst: float = 0.0
    table: dict[str, Counter[str]] = field(default_factory=dict)
    findings: list[tuple[str, Finding]] = field(default_factory=list)
    tails: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    late: list[str] = field(default_factory=list)
    """What was open past its end, by how much, and whether it was closed at all."""
    holders: dict[str, Any] = field(default_factory=dict)
    deck: list[str] = field(default_factory=lambda: [kind.name for kind in Kinds(TEAM).all])
    """The kinds of key that were not mutated yet."""

    def add(self, where: str, findings: Findings, *counts: Counter[str]) -> None:
        """One episode more."""
        self.episodes += 1
        for each in counts:
            self.counts.update(each)
        for kind, ops in findings.mutations.table().items():
            self.table.setdefault(kind, Counter()).update(ops)
        self.findings += [(where, finding) for finding in findings.found]

    def wrong(self) -> list[str]:
        """Why the run fails; empty where it does not."""
        said = [f"{where}: {finding.what}: {finding.id} {finding.said}" for where, finding in self.findings]
        if self.deck and self.episodes and self.whole:
            said.append(f"never mutated: {', '.join(self.deck)}")
        if self.episodes and not self.counts["grants"]:
            said.append("nothing was ever opened for an intruder to keep open, so nothing was shown")
        if shut_out := self.holders.get("nobody got in on"):
            said.append(f"nobody got in, so nothing was shown, on: {', '.join(shut_out)}")
        return said


async def episode(seed: int, n: int, seconds: float, played: Played, postgres: PostgresServer) -> None:
    """One workspace, from its first request to the end of the last."""
    where, dice = f"--seed {seed} --episode {n}", Random(f"{seed} {n}")
    book, mutations = Book(), Mutations(played.verbose)
    findings = Findings(where, mutations)
    with scratch.directory() as directory:
        async with Site.running(directory, Random(f"{seed} {n} site"), PACE, postgres) as site:
            client = Redis.from_url(site.url)
            until = time.monotonic() + seconds
            people = People(site, book, Random(f"{seed} {n} people"), until)
            writer = Writer(client, dice, mutations, lambda: _known(book), played.deck)
            doors = Doors(site, book, findings, played.within)
            words = Words(site, book, doors, findings, writer.replayed, writer.posters, people.passwords)
            watching = [asyncio.create_task(each) for each in (doors.watch(), writer.spy(), site.tend())]
            try:
                await asyncio.gather(_attack(writer, until, seconds), people.live(), site.hurt(until))
                await doors.all_over()
                await site.slack.settled()
            finally:
                await tasks.end(watching)
                await client.aclose()
            doors.over_budget()
            played.late += doors.told_late(where)
            words.check()
            if findings.found:
                ids = sorted({finding.id for finding in findings.found})
                played.tails += [f"{where} {id_}: {line}" for id_ in ids for line in words.lives.get(id_, ())]
                played.tails += [
                    f"{where} {name}: {line}" for name in ("workers.log", "web.log") for line in site.tail(name)
                ]
    counts = doors.counts()
    played.worst = max(played.worst, counts.pop("worst past its end, s"))
    clicks = Counter(
        {
            "clicks": book.clicks,
            "asked without an id in the answer": book.unknown.total(),
            "mutations": len(mutations.done),
        }
    )
    played.answers.update(people.answers)
    played.add(where, findings, site.done, people.done, writer.done, words.counts, clicks, Counter(counts))
    _say(
        f"episode {n}: {len(mutations.done)} mutations, {book.clicks} clicks, {counts}, {len(findings.found)} findings"
    )


async def _attack(writer: Writer, until: float, seconds: float) -> None:
    await writer.write(until - seconds * (1 - _GENTLE), _PAUSE)
    writer.bold = True
    await writer.write(until - seconds * _RUTHLESS, _PAUSE)
    writer.ruthless = True
    await writer.write(until, _PAUSE)
    await writer.undone()


def _known(book: Book) -> Known:
    people = sorted(
        {f"U{entry.requester.upper()}" for entry in book.entries.values()} | {f"U{name.upper()}" for name in STAFF}
    )
    return Known(list(book.entries)[-20:], people, ["vault", "cache", "db"], [CHANNEL], ["r1"])


async def writers(minutes: float, seed: int, only: int | None, seconds: float, played: Played) -> None:
    """Episode after episode."""
    until, n = time.monotonic() + minutes * 60, only if only is not None else 1
    with postgres_server() as postgres:
        furnish(postgres)
        while True:
            await episode(seed, n, seconds, played, postgres)
            n += 1
            if only is not None or time.monotonic() > until:
                return


async def holders(minutes: float, seed: int, only: int | None, played: Played) -> None:
    """Wave after wave, on the same servers."""
    until, n, findings = time.monotonic() + minutes * 60, only if only is not None else 1, nobody()
    async with Holders.on_servers(seed, findings) as playing:
        while True:
            findings.where = f"--part holder --seed {seed} --episode {n}"
            before = len(findings.found)
            await playing.wave(n)
            played.findings += [(findings.where, finding) for finding in findings.found[before:]]
            _say(f"wave {n}: {dict(playing.done)}, {len(findings.found) - before} findings")
            n += 1
            if only is not None or time.monotonic() > until:
                break
        played.holders = playing.counts()


def summary(seed: int, played: Played) -> dict[str, Any]:
    """What was done, and what is wrong."""
    return {
        "seed": seed,
        "episodes": played.episodes,
        "worst past its end, s": played.worst,
        "counts": dict(sorted(played.counts.items())),
        "mutations": {kind: dict(ops) for kind, ops in sorted(played.table.items())},
        "findings by promise": dict(Counter(finding.what for _, finding in played.findings)),
        "holders": played.holders,
        "answers to those who got nothing": dict(played.answers.most_common(20)),
        "late": played.late,
        "wrong": played.wrong(),
    }


async def _play(options: argparse.Namespace, played: Played) -> None:
    """Half of the time each, where both are played."""
    share = options.minutes / (2 if options.part == "both" else 1)
    if options.part != "holder":
        await writers(share, options.seed, options.episode, options.seconds, played)
    if options.part != "writer":
        await holders(share, options.seed, options.episode, played)


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S', time.gmtime())} {line}", file=sys.stderr, flush=True)


def main() -> int:
    """Play, from the command line; 1 if something was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--part", choices=["writer", "holder", "both"], default="both")
    parser.add_argument("--episode", type=int, default=None, help="play this episode, or this wave of holders, alone")
    parser.add_argument("--seconds", type=float, default=EPISODE, help="of an episode")
    parser.add_argument("--within", type=float, default=LATE, help="seconds past its end by which access is closed")
    parser.add_argument("--verbose", action="store_true", help="tell each mutation")
    options = parser.parse_args()
    played = Played(options.verbose, options.within, whole=options.minutes > 0)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_play(options, played))
    found = summary(options.seed, played)
    print(json.dumps(found, indent=2))
    if found["wrong"]:
        print("\n".join(played.tails[-60:]), file=sys.stderr)
    return 1 if found["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
