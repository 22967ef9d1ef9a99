"""Pages of the audit log for an auditor, in a modal, and as a table in a message; pure.

A page has the query, the matches, what is not sealed yet and what was not searched. The modal carries its query, so
that a page can be turned or sent; each press is judged again. Slack takes no table in a modal.
"""

from __future__ import annotations

from collections.abc import Iterable

from slack_sdk.models.blocks import ActionsBlock, Block, ButtonElement, ContextBlock, MarkdownTextObject
from slack_sdk.models.views import View

from bot.access.audit_query import AuditPage, SearchFilters
from bot.audit.archive import projection
from bot.audit.archive.projection import Holding
from bot.core import human_times
from bot.core.audit_chain import AuditEntry
from bot.core.given_inputs import spelled
from bot.core.request import Request
from handlers.views import action_ids, confirmed, modals, tables
from handlers.views.message import SlackMessage, context, section
from handlers.views.tables import ACCOUNT, Table
from handlers.views.text import code, fitting, safe, when

HEADING = "Audit log"
_BLOCK = 2_900
_LATEST = 10_413_792_000.0
_WHY = ("why", "said", "reason", "read", "what", "found", "alarm", "error")
"""The fields that say most about an event, the best first."""
SENT = "The table is in your direct messages."


def waiting(question: SearchFilters) -> View:
    """Shown while the search runs."""
    return modals.note(HEADING, f"{_asked(question)}\n:hourglass_flowing_sand: Searching…")


def doubt(why: str) -> str:
    """Why there is no answer."""
    return f":warning: {safe(why, 600)}"


def page(shown: AuditPage, said: str = "") -> View:
    """The answer. ``said``: what came of a press."""
    question = shown.filters
    lines = [_event(entry, request, shown.sealed) for entry, request in shown.entries]
    lines += [_holding(holding, question.at or 0.0) for holding in shown.holdings]
    blocks: list[Block] = [_small(_asked(question))]
    blocks += [modals.text(some) for some in _joined(lines)] if lines else [modals.text("No matching events.")]
    blocks += _turns(shown)
    blocks += [modals.text(doubt(why)) for why in shown.not_searched]
    blocks.append(_small(_told(shown)))
    blocks += [_small(said)] if said else []
    return View(
        type="modal",
        callback_id=action_ids.RECORD_VIEW,
        private_metadata=question.model_dump_json(exclude_defaults=True),
        title=HEADING,
        close="Close",
        blocks=blocks,
    )


def message(shown: AuditPage, *, as_table: bool = True) -> SlackMessage:
    """The same page in a message: a table, or lines for a Slack that refuses tables."""
    found = _holdings(shown) if shown.filters.at is not None else _events(shown)
    blocks = [section(f"*{HEADING}* · {_asked(shown.filters)}").to_dict()]
    if found.rows and as_table:
        blocks.append(tables.block(found))
    else:
        lines = tables.lines(found) or ["No matching events."]
        blocks += [section(some).to_dict() for some in _joined(line.removeprefix("• ") for line in lines)]
    blocks += [section(doubt(why)).to_dict() for why in shown.not_searched]
    return SlackMessage("The page of the audit log that you asked for.", [*blocks, context(_told(shown)).to_dict()])


def _events(shown: AuditPage) -> Table:
    head = ("No.", "Time (UTC)", "Event", "By", "Request", "What", "Sealed")
    rows = [_cells(entry, request, shown.sealed) for entry, request in shown.entries]
    return Table(head, rows, code=frozenset({4}), numbers=frozenset({0}), people=frozenset({3}))


def _cells(entry: AuditEntry, request: Request | None, sealed: int) -> tuple[str, ...]:
    about = request.id if request else projection.about(entry)
    what = [f"{request.requester.email} {request.what} {spelled(request)}".strip() if request else "", _why(entry)]
    what += [f"{confirmed.by(proof)} {_utc(proof.at)}"] if (proof := projection.proof(entry)) else []
    said = " · ".join(filter(None, what))
    sure = "sealed" if entry.seq <= sealed else "not sealed yet"
    return f"{entry.seq:,}", _utc(entry.at), entry.kind, projection.by(entry), about, said, sure


def _holdings(shown: AuditPage) -> Table:
    at = shown.filters.at or 0.0
    rows = [
        (
            each.identity,
            f"{each.system}/{each.role}",
            _utc(since),
            until,
            "confirmed" if sure else "unconfirmed",
            each.id,
        )
        for each in shown.holdings
        for since, until, sure in [_times(each, at)]
    ]
    return Table(("Who", "Role", "Since (UTC)", "Until (UTC)", "Confirmed", "Request"), rows, code=frozenset({5}))


def _times(holding: Holding, at: float) -> tuple[float, str, bool]:
    sure = holding.opened_at is not None and holding.opened_at <= at
    since = holding.opened_at if sure and holding.opened_at else holding.tried_at
    return since, _utc(holding.closed_at) if holding.closed_at else "still open", sure


def _utc(at: float) -> str:
    return human_times.spelled(at)[:19].replace("T", " ") if 0 <= at < _LATEST else f"{at:.6g}"


def _asked(question: SearchFilters) -> str:
    """The question in words."""
    if question.at is not None:
        said = [f"Who had access at {_time(question.at, '{date_short} {time_secs}')}"]
    elif question.since is not None or question.until is not None:
        ends = [_moment("from", question.since), _moment("to", question.until)]
        said = [f"Events {' '.join(end for end in ends if end)} ({code(question.when, 60)})"]
    else:
        said = ["Events, latest first"]
    said += [f"person {_by(question.person)}"] if question.person else []
    names = ("system", "role", "request", "kind")
    said += [f"{name} {code(value, 90)}" for name in names if (value := getattr(question, name))]
    return " · ".join(said)


def _moment(word: str, at: float | None) -> str:
    return "" if at is None else f"{word} {_time(at, '{date_short} {time}')}"


def _event(entry: AuditEntry, request: Request | None, sealed: int) -> str:
    """One line. What is not sealed yet could still be changed by a writer of Redis, so it says so."""
    words = [f"*{entry.seq:,}* {_time(entry.at, '{date_short} {time_secs}')} *{safe(entry.kind, 40)}*"]
    by = projection.by(entry)
    words += [f"by {_by(by)}"] if by else []
    if request:
        given = f" {fitting(said, 90)}" if (said := spelled(request)) else ""
        words.append(f"{request.id} {safe(request.requester.email, 80)} {safe(request.what, 90)}{given}")
    elif about := projection.about(entry):
        words.append(code(about, 90))
    why = _why(entry)
    words += [safe(why, 120)] if why else []
    proof = projection.proof(entry)
    words += [f"{confirmed.by(proof)} {_time(proof.at, '{time_secs}')}"] if proof else []
    words += ["_not sealed yet_"] if entry.seq > sealed else []
    return " · ".join(words)


def _why(entry: AuditEntry) -> str:
    fields = projection.fields(entry)
    return next((str(fields[name]) for name in _WHY if isinstance(fields.get(name), str) and fields[name]), "")


def _time(at: float, form: str) -> str:
    """A moment; one outside the calendar, which only an intruder writes, as a number."""
    return when(at, form) if 0 <= at < _LATEST else f"`{at:.6g}`"


def _holding(holding: Holding, at: float) -> str:
    began, _, sure = _times(holding, at)
    since = _time(began, "{date_short} {time_secs}")
    until = f" to {_time(holding.closed_at, '{date_short} {time_secs}')}" if holding.closed_at else ", still open"
    held = f"{'had' if sure else 'may have had'} `{safe(holding.system, 40)}/{safe(holding.role, 40)}`"
    return f"*{safe(holding.identity, 80)}* {held} · {since}{until} · {safe(holding.id, 12)}"


def _by(who: str) -> str:
    """A Slack user as a mention; anything else as it is."""
    return f"<@{who}>" if ACCOUNT.match(who) else code(who, 90)


def _turns(shown: AuditPage) -> list[Block]:
    buttons = []
    if shown.filters.pages:
        newer = _turn(shown, "Newer", "Previous")
        buttons.append(_turn_to(newer, action_ids.NEWER, "newer"))
    if shown.more is not None:
        older = _turn(shown, "Older", "Next")
        buttons.append(_turn_to(older, action_ids.OLDER, str(shown.more)))
    if shown.entries or shown.holdings:
        table = "Send these entries as a table"
        buttons.append(
            ButtonElement(
                action_id=action_ids.AUDIT_TABLE, text="Send as a table", value="table", accessibility_label=table
            )
        )
    return [ActionsBlock(elements=buttons)] if buttons else []


def _turn_to(text: str, action: str, value: str) -> ButtonElement:
    return ButtonElement(text=text, action_id=action, value=value, accessibility_label=f"{text} entries")


def _turn(shown: AuditPage, of_events: str, of_roles: str) -> str:
    return of_events if shown.filters.at is None else of_roles


def _told(shown: AuditPage) -> str:
    """Which part this is, how far it is sealed, and that the read is audited."""
    if shown.filters.at is not None:
        first = (shown.filters.pages[-1] if shown.filters.pages else 0) + 1
        some = f"{first:,} to {first + len(shown.holdings) - 1:,} of " if shown.holdings else ""
        said = [f"Grants {some}{shown.total:,}, including unconfirmed ones."]
    else:
        numbers = shown.read
        said = [f"Events {numbers['first']:,} to {numbers['last']:,}, the matching ones."] if shown.entries else []
    said.append(f"Sealed up to {shown.sealed:,}." if shown.sealed else "Nothing is sealed yet.")
    if shown.tail:
        after = "1 later event is" if shown.tail == 1 else f"{shown.tail:,} later events are"
        said.append(f"{after} not sealed yet, and searched too.")
    return " ".join([*said, "The audit log records that you looked."])


def _joined(lines: Iterable[str]) -> Iterable[str]:
    """As many lines together as a block holds."""
    block = ""
    for line in lines:
        bullet = f"• {line[: _BLOCK - 2]}"
        if block and len(block) + len(bullet) + 1 > _BLOCK:
            yield block
            block = ""
        block += f"\n{bullet}" if block else bullet
    yield block


def _small(words: str) -> ContextBlock:
    return ContextBlock(elements=[MarkdownTextObject(text=words[:2_000], verbatim=True)])
