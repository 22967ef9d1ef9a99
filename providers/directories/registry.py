"""Finds directories by entry point, and builds them from their config; see `providers.registry`.

A directory is announced in its package's ``pyproject.toml``, ours and a stranger's alike::

    [project.entry-points."jit.directories"]
    rota = "acme_jit.rota:Rota"
"""

from __future__ import annotations

from providers.directories.base import Directory
from providers.registry import Installed

DIRECTORIES: Installed[Directory] = Installed(
    group="jit.directories",
    noun="directory",
    shape="Directory",
    members=("Config", *(name for name in vars(Directory) if not name.startswith("_"))),
    extras={"ical": "recurring_ical_events", "ldap": "ldap3"},
)
names, find, build, require = DIRECTORIES.names, DIRECTORIES.find, DIRECTORIES.build, DIRECTORIES.require
