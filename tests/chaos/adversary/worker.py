"""A worker of the bot with short leases and a short pace, whose stacks are written when it gets SIGUSR2.

`python -m tests.chaos.adversary.worker`, in the bot's environment; it works until it is told to stop. What is changed
is only how soon another worker takes over a claim, and how often systems are reconciled.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
from functools import partial

from bot import app
from bot.process import worker as composition
from bot.settings import load
from bot.worker import reconcile
from bot.worker.worker import Worker
from tests.chaos.weather import LEASE, MARGIN

PACE = "HOSTILE_RECONCILE_SECONDS"
_SPARE = 2.0


def main() -> None:
    """Work."""
    faulthandler.register(signal.SIGUSR2)
    pace = int(os.environ[PACE])
    setattr(composition, "Worker", partial(Worker, lease=LEASE, margin=MARGIN))  # noqa: B010  # a part in place of its class
    setattr(composition, "Reconciler", partial(reconcile.Reconciler, interval=pace, spare=_SPARE))  # noqa: B010
    setattr(composition, "INTERVAL", pace)  # noqa: B010
    asyncio.run(app.serve(load(role="worker"), "worker"))


if __name__ == "__main__":
    main()
