"""The digest of a day in Slack: what happened, what is open, what is not right, each with its way to look further.

Pure: facts in, a message out. A quiet day is one line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from slack_sdk.models.blocks import Block, ContextBlock, HeaderBlock, MarkdownTextObject, SectionBlock

from bot.core.rights import Right
from bot.digest import words as digest_words
from bot.digest.facts import Digest, Figure, Line
from bot.digest.tally import Decision, Grant, Trouble
from bot.digest.words import FINDS, counted, length, long_day, some
from handlers.views import insights
from handlers.views.card import Message
from handlers.views.words import safe, when

_BLOCK, _ALL = 1_500, 6_400
"""Characters of a list, and of all lists: a message has 13,000, and what stands around them may have the rest."""
_MARKS = {"critical": ":red_circle:", "high": ":large_orange_circle:"}


def told(digest: Digest, missed: Sequence[str] = (), *, late: bool = False) -> Message:
    """The whole. ``missed``: days before it of which nobody was told; ``late``: it comes after its time."""
    beside = [_missed(missed)] if missed else []
    beside += ["It comes late: nobody was there to post it at its time."] if late else []
    if digest.quiet:
        lines = [safe(digest_words.quiet(digest), 300), *beside, *map(safe, digest_words.doubts(digest)), _head(digest)]
        return Message(digest_words.quiet(digest), [_section(" ".join(lines)), *insights.new_ones(digest.findings)])
    blocks: list[dict[str, Any]] = [
        HeaderBlock(text=f"Digest for {long_day(digest.day)}").to_dict(),
        _context(" · ".join([safe(digest_words.range_of(digest), 1_000), *beside])),
        _section(_figures(digest)),
    ]
    blocks += map(_section, _fitting(digest))
    blocks += insights.new_ones(digest.findings)
    blocks.append(_context(f"One request: `jit audit evidence ID` · {_head(digest)}"))
    return Message(_lock_screen(digest), blocks)


def _fitting(digest: Digest) -> Iterable[str]:
    """The lists, the most urgent first, as many as there is room for."""
    left = _ALL
    for part in filter(None, _parts(digest)):
        left -= len(part)
        if left < 0:
            yield f"There is more: `jit digest --date {digest.day} --timezone {safe(digest.timezone, 60)}`."
            return
        yield part


def _parts(digest: Digest) -> Iterable[str]:
    yield _list(":rotating_light: *Not right*", map(_trouble, digest.trouble))
    if digest.slowest is not None:
        yield f"*{digest_words.took(digest)}*; the slowest {_decision(digest.slowest)}."
    unseen = digest.count("live") - sum(len(grant.roles) for grant in digest.live)
    yield _list("*Held at its end*, what ends first on top", map(_grant, digest.live), unseen)
    yield _list("*The longest*", map(_grant, digest.longest))
    yield _list("*The most sensitive* that were opened", map(_grant, digest.sensitive))
    yield _list("*Found in the systems*", (_line(line, FINDS.get(line.said, line.said)) for line in digest.found))
    yield _list("*Refused*", (_line(line, line.said) for line in digest.refused))
    yield _list("*Taken away by the policy*", (safe(said, 300) for said in digest.taken))
    yield _list("*May by the new policy*", map(_right, digest.gained))
    yield _list("*May not any more*", map(_right, digest.lost_rights))
    yield _list("*Policies that cannot be compared*", (f"`{safe(name, 64)}`" for name in digest.unknown_policies))
    yield _list("*Also*", (f"{line.count:,} × `--kind {safe(line.said, 60)}`" for line in digest.others))


def _figures(digest: Digest) -> str:
    """Each count with what narrows the search to it, beneath the command that shows all of them."""
    shown = [figure for figure in digest.figures if figure.count]
    if not shown:
        return "Nothing was counted."
    base = next(
        (f.look.removesuffix(f" {f.narrow}") for f in shown if f.narrow.startswith("--kind")), "jit audit search"
    )
    lines = [f"*{figure.count:,}* {counted(figure)} · `{_narrow(figure)}`" for figure in shown]
    return "\n".join([*lines, f"Look further: `{safe(base, 200)}`, with what stands beside the figure."])


def _narrow(figure: Figure) -> str:
    """For what is counted at a moment, its whole command."""
    return safe(figure.narrow if figure.narrow.startswith("--kind") else figure.look, 200)


def _list(name: str, lines: Iterable[str], unseen: int = 0) -> str:
    """As many whole lines as there is room for; ``unseen``: roles that are in none of them."""
    found = list(lines)
    shown: list[str] = []
    for line in found:
        if sum(map(len, shown)) + len(line) > _BLOCK:
            break
        shown.append(line)
    more = [f"… and {len(found) - len(shown)} more"] if len(found) > len(shown) else []
    more += [f"… and {some(unseen, 'role')} beside"] if unseen > 0 else []
    return "\n".join([name, *(f"• {line}" for line in shown), *more]) if found else ""


def _trouble(trouble: Trouble) -> str:
    about = f"{trouble.id} · {safe(trouble.who, 80)} · {_roles(trouble.roles)}"
    return f"{about} · *{digest_words.wrong(trouble)}*{f': {safe(trouble.said, 200)}' if trouble.said else ''}"


def _grant(grant: Grant) -> str:
    mark = f"{_MARKS[grant.sensitivity]} " if grant.sensitivity in _MARKS else ""
    ends = f"{'closed' if grant.closed else 'until'} {when(grant.ends_at)}"
    opened = length(max(0.0, grant.ends_at - grant.opened_at))
    roles = f"{_roles(grant.roles)} ({safe(grant.sensitivity, 20)})"
    return f"{mark}{grant.id} · {safe(grant.who, 80)} · {roles} · {opened}, {ends}"


def _decision(decision: Decision) -> str:
    about = f"{safe(decision.what, 80)} for {safe(decision.who, 80)}, by {safe(decision.by, 80)}"
    return f"{length(decision.seconds)} ({decision.id}, {about})"


def _right(right: Right) -> str:
    return f"{safe(right.who, 80)}: {right.verb} `{safe(right.role, 90)}`"


def _line(line: Line, said: str) -> str:
    return f"{line.count:,} × {safe(said, 200)}"


def _roles(names: Sequence[str]) -> str:
    return safe(", ".join(names), 120)


def _missed(days: Sequence[str]) -> str:
    named = ", ".join(f"{long_day(day)} (`jit digest --date {day}`)" for day in days)
    return f"Nobody was told of {named}."


def _head(digest: Digest) -> str:
    return f"Head: `{safe(digest.verify, 200)}`"


def _lock_screen(digest: Digest) -> str:
    counts = ", ".join(f"{digest.count(name):,} {name}" for name in ("asked", "approved", "denied", "opened", "closed"))
    stuck = digest.count("stuck")
    alarm = f" Not closed: {stuck:,}." if stuck else ""
    return f"Digest for {long_day(digest.day)}: {counts}; {some(digest.count('live'), 'role')} held at its end.{alarm}"


def _section(text: str) -> dict[str, Any]:
    block: Block = SectionBlock(text=MarkdownTextObject(text=text[:3000], verbatim=True))
    return block.to_dict()


def _context(text: str) -> dict[str, Any]:
    return ContextBlock(elements=[MarkdownTextObject(text=text[:3000], verbatim=True)]).to_dict()
