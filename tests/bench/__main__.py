"""`python -m tests.bench`: the figures of one run on this machine, beside their peers. Nothing here is asserted.

Machines are shared and noisy: read the ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

from tests.bench import acknowledging, auditing, ending, granting, starting
from tests.servers import redis_server


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--live", type=int, default=100_000, help="live grants for the ratio and the bytes")
    parser.add_argument("--requests", type=int, default=2_000, help="requests for the throughput")
    parser.add_argument("--events", type=int, default=1_000_000, help="archived audit events")
    parser.add_argument("--at-once", type=int, default=10_000, help="grants that are due at one instant")
    options = parser.parse_args()
    rows: list[tuple[str, str, str]] = []
    with redis_server("--appendfsync", "everysec") as redis, tempfile.TemporaryDirectory() as home:
        rows += asyncio.run(acknowledging.measure(redis, Path(home), options.requests))
    with redis_server("--appendfsync", "everysec") as redis:
        rows += asyncio.run(granting.measure(redis, options.live))
        with redis_server("--appendfsync", "everysec") as beside:
            rows += asyncio.run(ending.measure(redis, beside, options.live, options.at_once))
    rows += asyncio.run(starting.measure())
    rows += auditing.measure(options.events)
    widths = [max(len(row[n]) for row in rows) for n in range(3)]
    for row in [("what", "measured", "goal"), *rows]:
        print(" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))


main()
