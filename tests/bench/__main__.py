"""`python -m tests.bench [PART …]`: the figures of one run on this machine, beside their peers; nothing is asserted.

Each figure is printed as soon as it is known, what is done meanwhile goes to stderr. Parts: `acknowledging` (`/jit
request` → committed), `proving` (a form with a second-factor code beside one without), `deciding` (a verdict by a
large policy), `granting` (click → granted, bytes a grant), `ending` (deadline → revoke started, 10,000 due at one
instant, idle CPU, beside keyspace notifications alone), `starting`, `auditing`; all of them where none is named.
Machines are shared and noisy: read the ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import tempfile
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from tests.bench import acknowledging, auditing, deciding, ending, granting, proving, starting
from tests.bench.printing import Row, heading, progress, show
from tests.servers import redis_server

Part = Callable[[argparse.Namespace], AsyncGenerator[Row, None]]


async def _acknowledging(options: argparse.Namespace) -> AsyncGenerator[Row, None]:
    with redis_server("--appendfsync", "everysec") as redis, tempfile.TemporaryDirectory() as home:
        for row in await acknowledging.measure(redis, Path(home), options.requests):
            yield row


async def _proving(options: argparse.Namespace) -> AsyncGenerator[Row, None]:
    with redis_server("--appendfsync", "everysec") as redis, tempfile.TemporaryDirectory() as home:
        for row in await proving.measure(redis, Path(home), min(options.requests, 300)):
            yield row


async def _granting(options: argparse.Namespace) -> AsyncGenerator[Row, None]:
    with redis_server("--appendfsync", "everysec") as redis:
        for row in await granting.measure(redis, options.live):
            yield row


async def _ending(options: argparse.Namespace) -> AsyncGenerator[Row, None]:
    with redis_server("--appendfsync", "everysec") as redis, redis_server("--appendfsync", "everysec") as beside:
        async with contextlib.aclosing(ending.measure(redis, beside, options.live, options.at_once)) as rows:
            async for row in rows:
                yield row


async def _starting(_: argparse.Namespace) -> AsyncGenerator[Row, None]:
    for row in await starting.measure():
        yield row


async def _auditing(options: argparse.Namespace) -> AsyncGenerator[Row, None]:
    for row in auditing.measure(options.events):
        yield row


async def _deciding(_: argparse.Namespace) -> AsyncGenerator[Row, None]:
    for row in deciding.measure():
        yield row


PARTS: dict[str, Part] = {
    "acknowledging": _acknowledging,
    "proving": _proving,
    "deciding": _deciding,
    "granting": _granting,
    "ending": _ending,
    "starting": _starting,
    "auditing": _auditing,
}


def main() -> None:
    """Measure what was named, and print a table row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all where none is named")
    parser.add_argument("--live", type=int, default=100_000, help="live grants for the ratio and the bytes")
    parser.add_argument("--requests", type=int, default=2_000, help="requests for the throughput")
    parser.add_argument("--events", type=int, default=1_000_000, help="archived audit events")
    parser.add_argument("--at-once", type=int, default=10_000, help="grants that are due at one instant")
    options = parser.parse_args()
    if unknown := [part for part in options.parts if part not in PARTS]:
        parser.error(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    heading()
    for name in options.parts or PARTS:
        progress(name)
        asyncio.run(_shown(PARTS[name](options)))


async def _shown(rows: AsyncGenerator[Row, None]) -> None:
    async for row in rows:
        show(row)


main()
