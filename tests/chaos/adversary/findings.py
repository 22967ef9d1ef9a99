"""What went wrong, once each, with what an intruder did about it before; and what an intruder did, in order."""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass, field

_SHOWN = 8
_NEAR = 20.0
"""Seconds before a finding within which what was done to no request in particular may have caused it."""
ALL_OF_IT = "all of it put back"
"""Every key of a request, as of one earlier moment."""


@dataclass(frozen=True)
class Mutation:
    """One write past the bot. ``ids``: the requests that it concerns; empty for what concerns them all."""

    n: int
    at: float
    kind: str
    op: str
    said: str
    ids: frozenset[str]

    def __str__(self) -> str:
        """In a line."""
        return f"#{self.n} {time.strftime('%H:%M:%S', time.gmtime(self.at))} {self.kind} {self.op}: {self.said}"


@dataclass
class Mutations:
    """All of them. ``verbose``: each is told on stderr when it is done."""

    verbose: bool = False
    done: list[Mutation] = field(default_factory=list)
    marks: dict[str, Mutation] = field(default_factory=dict)

    def add(self, mutation: Mutation) -> None:
        """One more."""
        self.done.append(mutation)
        if self.verbose:
            print(mutation, file=sys.stderr, flush=True)

    def about(self, id_: str) -> list[Mutation]:
        """The last of those that concern a request, and of those that concern everything."""
        now = time.time()
        its = [m for m in self.done if id_ and id_ in m.ids][-_SHOWN:]
        wide = [m for m in self.done if not m.ids and now - m.at < _NEAR][-_SHOWN:]
        return sorted({*its, *wide}, key=lambda m: m.n)

    def table(self) -> dict[str, dict[str, int]]:
        """How often what was done to which kind of key."""
        found: dict[str, Counter[str]] = {}
        for mutation in self.done:
            found.setdefault(mutation.kind, Counter())[mutation.op] += 1
        return {kind: dict(ops) for kind, ops in sorted(found.items())}


@dataclass(frozen=True)
class Finding:
    """One thing that must not be. ``what`` names the promise that is broken."""

    what: str
    id: str
    said: str
    before: tuple[str, ...]

    def lines(self) -> list[str]:
        """For people."""
        return [f"{self.what}: {self.id} {self.said}", *(f"    {line}" for line in self.before)]


@dataclass
class Findings:
    """What was found. ``where``: the seed and the episode, by which it is found again."""

    where: str
    mutations: Mutations
    found: list[Finding] = field(default_factory=list)
    _known: set[tuple[str, str]] = field(default_factory=set)

    def add(self, what: str, id_: str, said: str) -> bool:
        """Note it, unless the same promise was broken for the same request before."""
        if (what, id_ or said) in self._known:
            return False
        self._known.add((what, id_ or said))
        finding = Finding(what, id_, said, tuple(map(str, self.mutations.about(id_))))
        self.found.append(finding)
        print("\n".join([f"FINDING ({self.where})", *finding.lines()]), file=sys.stderr, flush=True)
        return True
