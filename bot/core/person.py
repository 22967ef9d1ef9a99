"""A person of the workspace, as every record names them; a value only."""

from __future__ import annotations

from bot.core.frozen import Frozen


class Person(Frozen):
    """Who acts. ``identity`` is what tells people apart: the bound e-mail address (see identity.py)."""

    workspace: str
    id: str
    identity: str
    email: str
    name: str = ""
    tz: str = "UTC"
