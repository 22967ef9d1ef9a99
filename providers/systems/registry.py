"""Finds the providers of systems by entry point, and builds systems from their config; see `providers.registry`.

A provider is announced in its package's ``pyproject.toml``, ours and a stranger's alike::

    [project.entry-points."jit.systems"]
    openldap = "acme_jit.openldap:OpenLdap"
"""

from __future__ import annotations

from providers.registry import Installed, UnknownProvider
from providers.secret_refs import Misconfigured, is_reference, resolve
from providers.systems.base import System

__all__ = ["SYSTEMS", "Misconfigured", "UnknownProvider", "build", "find", "is_reference", "names", "resolve"]

SYSTEMS: Installed[System] = Installed(
    group="jit.systems",
    noun="provider",
    shape="System",
    members=("Config", "Params", *(name for name in vars(System) if not name.startswith("_"))),
    extras={"mysql": "pymysql", "postgresql": "psycopg"},
)
names, find, build = SYSTEMS.names, SYSTEMS.find, SYSTEMS.build
