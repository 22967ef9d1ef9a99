"""A whole worker process of the bot, to be hurt: it closes and tells, with the leases of this folder.

`python -m tests.chaos.teller`, in the bot's environment; it works until it is told to stop.
"""

from __future__ import annotations

import asyncio
from functools import partial

from bot import app
from bot.audit.sealer import Sealer
from bot.process import worker as composition
from bot.settings import load
from bot.worker.worker import Worker
from tests.chaos.weather import LEASE, MARGIN


def main() -> None:
    """Work."""
    for name, part in (
        ("Worker", partial(Worker, lease=LEASE, margin=MARGIN)),
        ("Sealer", partial(Sealer, kept=10**9)),  # all of the trail stays where it can be counted
    ):
        setattr(composition, name, part)
    asyncio.run(app.serve(load(role="worker"), "worker"))


if __name__ == "__main__":
    main()
