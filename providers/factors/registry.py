"""Finds factors by entry point, and builds them from their config; see `providers.registry`.

A factor is announced in its package's ``pyproject.toml``, ours and a stranger's alike::

    [project.entry-points."jit.factors"]
    grid = "acme_jit.grid:GridCard"
"""

from __future__ import annotations

from providers.factors.base import CodeFactor
from providers.registry import Installed

FACTORS: Installed[CodeFactor] = Installed(
    group="jit.factors",
    noun="factor",
    shape="CodeFactor",
    members=("Config", *(name for name in vars(CodeFactor) if not name.startswith("_"))),
)
names, find, build = FACTORS.names, FACTORS.find, FACTORS.build


def build_all() -> dict[str, CodeFactor]:
    """Every factor that is installed, by kind. Raises `Misconfigured` where one needs a config."""
    return {kind: build(kind, {}, {}) for kind in names()}
