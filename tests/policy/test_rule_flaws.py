"""A rule that could never be meant so is a mistake at its place, with how to write it."""

from __future__ import annotations

import pytest

from tests.policy.policies import broken, mistakes

TICKETS = 'tickets: {jira: {url: "https://jira.example.com/{ticket}", secret: "env:JIRA"}}'
DENY = "then: {deny: Not now}"
WRITTEN = {
    "no condition": ("‸{then: {deny: Not now}}", "this rule is for everything", "write one in `when`"),
    "a budget to deny": (
        "{when: {what: [debug]}, then: {deny: No way}, budget: ‸3/day}",
        "only a rule",
        "leave",
    ),
    "two outcomes": ("{when: {what: [debug]}, then: ‸{deny: No way, shorten: 1h}}", "write `approve`, `{deny:", ""),
    "no outcome": ("{when: {what: [debug]}, then: ‸{}}", "write `approve`, `{deny:", ""),
    "approve in a mapping": ("{when: {what: [debug]}, then: ‸{approve: true}}", "write `approve`", ""),
    "an empty sentence": ('{when: {what: [debug]}, then: {deny: ‸""}}', "at least 3", ""),
    "no steps": ("{when: {what: [debug]}, then: {require: {steps: ‸[]}}}", "at least 1", ""),
    "a step of nobody": (
        "{when: {what: [debug]}, then: {require: {steps: [{any_of: [‸dbaa]}]}}}",
        "no group `dbaa`",
        "`dba`",
    ),
    "a step of everyone": (
        "{when: {what: [debug]}, then: {require: {steps: [{any_of: [‸everyone]}]}}}",
        "no group `everyone`",
        "name a group",
    ),
    "more people than there are": (
        "{when: {what: [debug]}, then: {require: {steps: [‸{any_of: [platform], count: 3}]}}}",
        "3 different people are needed",
        "",
    ),
    "the same in both": (
        "{when: {what: [debug]}, unless: {what: ‸[debug]}, then: {deny: Not now}}",
        "`when` has the same condition",
        "leave one out",
    ),
    "an unknown group in unless": (
        "{unless: {requester_in: [‸dbaa]}, then: {deny: Not now}}",
        "no group `dbaa`",
        "`dba`",
    ),
    "something unknown in unless": (
        "{unless: {what: [‸debugg]}, then: {deny: Not now}}",
        "nothing called `debugg`",
        "`debug`",
    ),
    "on call of nobody": (
        "{when: {on_call: ‸true}, then: {deny: Not now}}",
        "no system says who",
        "on_call",
    ),
    "not on call": ("{when: {on_call: ‸false}, then: {deny: Not now}}", "this should be", ""),
    "no calendar": ("{when: {frozen: [‸release]}, then: {deny: Not now}}", "no calendar `release`", "`calendars`"),
    "no ticket system": (
        '{when: {ticket: {check: ‸jura, pattern: "X-[0-9]+"}}, then: {deny: Not now}}',
        "no ticket system `jura`",
        "`jira`",
    ),
    "no such input": (
        "{when: {ticket: {check: jira, input: ‸ticket}}, then: {deny: Not now}}",
        "no role asks for an input `ticket`",
        "asks",
    ),
    "no ticket": ("{when: {ticket: ‸{check: jira}}, then: {deny: Not now}}", "an `input` of the role, or", ""),
    "a slow pattern": (
        '{when: {ticket: {check: jira, pattern: ‸"(a+)+b"}}, then: {deny: Not now}}',
        "",
        "",
    ),
    "half of the hours": ('{when: {hours: ‸{from: "09:00"}}, then: {deny: Not now}}', "`from` and `to` belong", ""),
    "no hours": (
        '{when: {hours: ‸{from: "09:00", to: "09:00"}}, then: {deny: Not now}}',
        "at the same time",
        "",
    ),
    "all hours": ("{when: {hours: ‸{timezone: UTC}}, then: {deny: Not now}}", "these hours are all the time", ""),
    "no such day": ("{when: {hours: {days: [‸freitag]}}, then: {deny: Not now}}", "this should be", ""),
    "no such zone": (
        "{when: {hours: {days: [friday], timezone: ‸Berlin}}, then: {deny: Not now}}",
        "no such time",
        "",
    ),
    "no time": ("{when: {denied_lately: ‸{count: 2}}, then: {deny: Not now}}", "`within` is missing", ""),
    "never live": ("{when: {live: ‸0}, then: {deny: Not now}}", "greater than or equal to 1", ""),
    "twice": (
        "{when: {what: [debug]}, then: {deny: A b}}, ‸{when: {what: [debug]}, then: {deny: A b}}",
        "same cond",
        "",
    ),
}


@pytest.mark.parametrize("name", list(WRITTEN))
def test_what_cannot_be_meant_is_a_mistake_at_its_place(name: str) -> None:
    written, sentence, hint = WRITTEN[name]
    text, marks = broken("templates:\n", f"{TICKETS}\nrules: [{written}]\ntemplates:\n")
    found = mistakes(text)
    assert len(found) == 1, found
    assert sentence in found[0].sentence
    assert hint in found[0].hint
    assert (found[0].mark.line, found[0].path[:6]) == (marks[0].line, "rules.")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://jira.example.com/{ticket}", "begins with https://"),
        ("https://jira.example.com/", "has `{ticket}` once"),
        ("https://jira.example.com/{ticket}/{ticket}", "has `{ticket}` once"),
        ("https://{ticket}.example.com/", "has `{ticket}` once"),
        ("https://jira.example.com/a?id={ticket}", "has `{ticket}` once"),
        ("https://jira.example.com/{ticket}?a=b", "no user, `?` or `#`"),
        ("https://user:pass@jira.example.com/{ticket}", "no user, `?` or `#`"),
        ("https://jira.example.com/x{ticket}", "a whole part of the path"),
        ("https://jira.example.com/%2e%2e/{ticket}", "has `{ticket}` once"),
        ("https:///{ticket}", "has a host"),
        ("ftp://jira.example.com/{ticket}", "begins with https://"),
        ("https://jira.example.com:x/{ticket}", "this is no address"),
    ],
)
def test_the_host_of_a_ticket_system_is_the_policys_alone(url: str, sentence: str) -> None:
    tickets = f'tickets: {{jira: {{url: "{url}", secret: "env:JIRA"}}}}'
    [found] = mistakes(broken("templates:\n", f"{tickets}\ntemplates:\n")[0])
    assert sentence in found.sentence
    assert found.path == "tickets.jira.url"


@pytest.mark.parametrize("secret", ["hunter2 hunter2 hunter2", "env:", ""])
def test_its_secret_is_a_reference(secret: str) -> None:
    tickets = f'tickets: {{jira: {{url: "https://jira.example.com/{{ticket}}", secret: "{secret}"}}}}'
    [found] = mistakes(broken("templates:\n", f"{tickets}\ntemplates:\n")[0])
    assert found.path == "tickets.jira.secret"
    assert "hunter2" not in str(found)


def test_a_machine_of_ones_own_may_be_asked_without_tls() -> None:
    tickets = 'tickets: {jira: {url: "http://127.0.0.1:8080/{ticket}", secret: "file:/run/secret"}}'
    assert mistakes(broken("templates:\n", f"{tickets}\ntemplates:\n")[0]) == ()
