"""What is wrong with a policy file is told with its place, its path, a sentence, and what was probably meant."""

from __future__ import annotations

import time

import pytest

from bot.policy.problems import MOST_MISTAKES, PolicyMistakes
from tests.policy.policies import HERE, WHOLE, broken, catalog, marked, mistakes

TABLE = {
    # What is broken: (what is replaced, by what, path, what the sentence says, what the hint says)
    "an unknown key": (
        "max: 8h",
        "max: 8h\n        ‸sensitivty: low",
        "@read-only.sensitivty",
        "no key",
        "`sensitivity`",
    ),
    "an unknown key below a line that YAML counts as three": (
        "max: 8h",
        "max: 8h # one\x85        # two\u2029\n        ‸sensitivty: low",
        "@read-only.sensitivty",
        "no key",
        "`sensitivity`",
    ),
    "an unknown key in a line that YAML counts as two": (
        "max: 8h",
        "max: 8h\u2028        ‸sensitivty: low",
        "@read-only.sensitivty",
        "no key",
        "`sensitivity`",
    ),
    "no YAML below a line that YAML counts as two": (
        "max: 8h",
        "max: 8h\x85\n        x: ‸@",
        "",
        "this is no YAML",
        "leave the @ out",
    ),
    "an unknown key at the top": ("version: 1\n", "version: 1\n‸temlates: {}\n", "temlates", "no key", "`templates`"),
    "an unknown key that is like none": ("version: 1\n", "version: 1\n‸zzz: 1\n", "zzz", "no key", ""),
    "an unknown key of a step": ("count: 2", "‸cuont: 2", "@admin.approval.steps.1.cuont", "no key", "`count`"),
    "an unknown key of a reason": ("hint: Ticket", "‸hnit: Ticket", "templates.debug.reason.hnit", "no key", "`hint`"),
    "a time of day that is none": (
        "  mfa:",
        '  digest: {at: ‸"9:00"}\n  mfa:',
        "workspace.digest.at",
        "a time of day is written in quotes",
        "",
    ),
    "a time of day without quotes": (
        "  mfa:",
        "  digest: {at: ‸12:30}\n  mfa:",
        "workspace.digest.at",
        "a time of day is written in quotes",
        "",
    ),
    "a zone that is none": (
        "  mfa:",
        '  digest: {at: "09:00", timezone: ‸Mars/Olympus}\n  mfa:',
        "workspace.digest.timezone",
        "there is no such time zone",
        "",
    ),
    "a week that has no weekday": (
        "  mfa:",
        "  digest: {weekly: ‸mon 09:00}\n  mfa:",
        "workspace.digest.weekly",
        "write a weekday and a time, like `monday 09:00`",
        "",
    ),
    "a weekly time that is none": (
        "  mfa:",
        "  digest: {weekly: ‸monday 9:00}\n  mfa:",
        "workspace.digest.weekly",
        "write a weekday and a time, like `monday 09:00`",
        "",
    ),
    "a day that not every month has": (
        "  mfa:",
        "  digest: {monthly: ‸31 09:00}\n  mfa:",
        "workspace.digest.monthly",
        "write a day of the month (1 to 28, which every month has) and a time, like `1 09:00`",
        "",
    ),
    "a day of the month without a time": (
        "  mfa:",
        "  digest: {monthly: ‸1}\n  mfa:",
        "workspace.digest.monthly",
        "write a day of the month (1 to 28, which every month has) and a time, like `1 09:00`",
        "",
    ),
    "a digest without a time": (
        "  mfa:",
        "  ‸digest: {timezone: Europe/Berlin}\n  mfa:",
        "workspace.digest",
        "a digest needs a time",
        'say `at: "09:00"` for each day, `weekly: monday 09:00` or `monthly: 1 09:00`',
    ),
    "an address that passes for another": (
        "{people: [pat@",
        "{people: [‸ſam@example.com, pat@",
        "groups.platform.people.0",
        "ſ (U+017F) is not an ASCII letter",
        "",
    ),
    "auditors of no group": (
        "  mfa:",
        "  auditors: [‸audti]\n  mfa:",
        "workspace.auditors.0",
        "there is no group `audti`",
        "",
    ),
    "stand-ins of no group": (
        "dba: {slack_usergroup: S0DBA0001}",
        "dba: {slack_usergroup: S0DBA0001, may_stand_in: [‸platfrom]}",
        "groups.dba.may_stand_in.0",
        "there is no group `platfrom`",
        "`platform`",
    ),
    "everyone as stand-in": (
        "dba: {slack_usergroup: S0DBA0001}",
        "dba: {slack_usergroup: S0DBA0001, may_stand_in: [‸everyone]}",
        "groups.dba.may_stand_in.0",
        "there is no group `everyone`",
        "`everyone` is for `may_ask` alone",
    ),
    "a delegation that is too long": (
        "  mfa:",
        "  delegation: {at_most: ‸31d}\n  mfa:",
        "workspace.delegation.at_most",
        "a stand-in is named for 30 days at most",
        "",
    ),
    "a wait for new members that is none": (
        "  mfa:",
        "  fresh_member: ‸no\n  mfa:",
        "workspace.fresh_member",
        "write it like 8h, 3d or 14d",
        "",
    ),
    "a step of nobody": (
        "{any_of: [dba]}",
        "‸{count: 1}",
        "@admin.approval.steps.0",
        "a step needs `any_of: [GROUP]`, or `owner: true`",
        "",
    ),
    "a step of its owners and of a group": (
        "{any_of: [dba]}",
        "‸{any_of: [dba], owner: true}",
        "@admin.approval.steps.0",
        "`owner: true` stands for the system's `approvers`",
        "",
    ),
    "a step that a group skips that there is not": (
        "count: 2",
        "count: 2, skip_if_requester_in: [‸platfrom]",
        "@admin.approval.steps.1.skip_if_requester_in.0",
        "there is no group `platfrom`",
        "did you mean `platform`?",
    ),
    "a step that everyone skips": (
        "count: 2",
        "count: 2, skip_if_requester_in: [‸everyone]",
        "@admin.approval.steps.1.skip_if_requester_in.0",
        "there is no group `everyone`",
        "",
    ),
    "steps that can all be skipped": (
        "{steps: [{any_of: [dba]}, {any_of: [platform], count: 2}]}",
        "{steps: ‸[{any_of: [dba], skip_if_requester_in: [platform]}]}",
        "@admin.approval.steps",
        "each step can be skipped, so that nobody would approve",
        "leave `skip_if_requester_in` out of one of them",
    ),
    "an escalation to a group that there is not": (
        "count: 2",
        "count: 2, escalate: {after: 30m, to: [‸mangers]}",
        "@admin.approval.steps.1.escalate.to.0",
        "there is no group `mangers`",
        "",
    ),
    "an escalation to nobody else": (
        "count: 2",
        "count: 2, escalate: {after: 30m, to: ‸[platform]}",
        "@admin.approval.steps.1.escalate.to",
        "all of them can fill the step anyway",
        "name a group that is not in the step",
    ),
    "an escalation of owners to nobody else": (
        "{any_of: [dba]}",
        "{owner: true, escalate: {after: 30m, to: ‸[dba]}}",
        "@admin.approval.steps.0.escalate.to",
        "all of them can fill the step anyway",
        "",
    ),
    "an escalation that never comes": (
        "count: 2",
        "count: 2, escalate: {after: ‸4h, to: [dba]}",
        "@admin.approval.steps.1.escalate.after",
        "a request expires after 4h, so it would never escalate",
        "make it shorter",
    ),
    "an escalation without a time": (
        "count: 2",
        "count: 2, ‸escalate: {to: [dba]}",
        "@admin.approval.steps.1.escalate",
        "`after` is missing",
        "",
    ),
    "more steps than a card shows": (
        "{steps: [{any_of: [dba]}, {any_of: [platform], count: 2}]}",
        "{steps: ‸[" + ", ".join(["{any_of: [dba]}"] * 11) + "]}",
        "@admin.approval.steps",
        "at most 10",
        "",
    ),
    "an order that is none": (
        "{steps: [{any_of: [dba]}, {any_of: [platform], count: 2}]}",
        "{ordered: ‸first, steps: [{any_of: [dba]}, {any_of: [platform], count: 2}]}",
        "@admin.approval.ordered",
        "true or false",
        "",
    ),
    "a word where ways to be reached are due": (
        "max: 8h",
        "max: 8h\n        notify: ‸dm",
        "@read-only.notify",
        "this should be a mapping",
        "",
    ),
    "another way to be mentioned": (
        "max: 8h",
        "max: 8h\n        notify: {mention: ‸everyone}",
        "@read-only.notify.mention",
        "'on-call', 'group' or 'none'",
        "",
    ),
    "on call, and nobody is": (
        "max: 8h",
        "max: 8h\n        notify: {mention: ‸on-call}",
        "@read-only.notify.mention",
        "nobody is known to be on call for `prod-db`",
        "name a group of those who are as its `on_call`",
    ),
    "a message to who is on call, and nobody is": (
        "max: 8h",
        "max: 8h\n        notify: {dm: ‸on-call}",
        "@read-only.notify.dm",
        "nobody is known to be on call for `prod-db`",
        "`on_call`",
    ),
    "an unknown group is on call": (
        "approvers: [dba]",
        "approvers: [dba]\n    on_call: ‸dbas",
        "systems.prod-db.on_call",
        "no group `dbas`",
        "did you mean `dba`?",
    ),
    "another version": ("version: 1", "version: ‸2", "version", "this should be 1", ""),
    "a missing key": ("    channel: C0PRODDB1\n", "", "systems.prod-db", "`channel` is missing", ""),
    "a missing section": ("version: 1\n", "", "", "`version` is missing", ""),
    "text where a list is due": ("approvers: [dba]", "approvers: ‸dba", "systems.prod-db.approvers", "a list", ""),
    "a number where text is due": ("title: Production", "title: ‸12", "systems.prod-db.title", "text", ""),
    "text where a number is due": ("count: 2", "count: ‸two", "@admin.approval.steps.1.count", "whole number", ""),
    "true where a number is due": ("count: 2", "count: ‸yes", "@admin.approval.steps.1.count", "whole number", ""),
    "nothing where a mapping is due": ("grants: {member_of: [prod_admin]}", "grants:‸", "@admin.grants", "mapping", ""),
    "a list where a role is due": (
        "roles:\n      read-only:",
        "roles:\n      x: ‸[]\n      read-only:",
        "@x",
        "mapping",
        "",
    ),
    "a number as a duration": ("max: 8h", "max: ‸8", "@read-only.max", "write it like 30m, 1h30m or 2d", ""),
    "a clock as a duration": ("max: 8h", "max: ‸1:30", "@read-only.max", "write it like 30m, 1h30m or 2d", ""),
    "words as a duration": ("max: 8h", "max: ‸8 hours", "@read-only.max", "'8 hours' is no duration", ""),
    "a duration of nothing": ("max: 8h", "max: ‸0m", "@read-only.max", "not between", ""),
    "one duration of three": ("[30m, 1h, 4h]", "[30m, ‸1x, 4h]", "templates.debug.durations.1", "no duration", ""),
    "a duration over a cap": (
        "[30m, 1h, 4h]",
        "[30m, 1h, ‸9h]",
        "templates.debug.durations.2",
        "9h is longer than `prod-db/read-only` may be open",
        "its `max` is 8h",
    ),
    "a duration twice": ("[30m, 1h, 4h]", "‸[30m, 1h, 60m]", "templates.debug.durations", "twice", ""),
    "no durations": ("[30m, 1h, 4h]", "‸[]", "templates.debug.durations", "at least 1", ""),
    "an unknown group approves": (
        "approvers: [dba]",
        "approvers: [‸dbas]",
        "systems.prod-db.approvers.0",
        "there is no group `dbas`",
        "did you mean `dba`?",
    ),
    "an unknown group asks": ("[everyone]", "[‸everyon]", "@read-only.may_ask.0", "no group", "`everyone`"),
    "everyone approves": ("approvers: [dba]", "approvers: [‸everyone]", "systems.prod-db.approvers.0", "no group", ""),
    "an unknown operator": (
        "[platform]\ngroups",
        "[‸platfrm]\ngroups",
        "workspace.operators.0",
        "no group",
        "`platform`",
    ),
    "an unknown group of a step": (
        "{any_of: [dba]}",
        "{any_of: [‸dab]}",
        "@admin.approval.steps.0.any_of.0",
        "no group",
        "`dba`",
    ),
    "an unknown role": (
        "prod-db/read-only]",
        "‸prod-db/readonly]",
        "templates.debug.roles.0",
        "no role",
        "`prod-db/read-only`",
    ),
    "a role without its system": (
        "[prod-db/read-only]",
        "[‸xyz]",
        "templates.debug.roles.0",
        "no role",
        "`system/role`",
    ),
    "a role twice": (
        "[prod-db/read-only]",
        "‸[prod-db/read-only, prod-db/read-only]",
        "templates.debug.roles",
        "twice",
        "",
    ),
    "an unknown provider": ("postgresql", "‸postgres", "systems.prod-db.provider", "no provider", "`postgresql`"),
    "a provider like none": ("postgresql", "‸qqq", "systems.prod-db.provider", "no provider", "there are"),
    "a group without people": (
        "{people: [pat@example.com, kim@example.com]}",
        "{people: ‸[]}",
        "groups.platform.people",
        "nobody is in this group",
        "at least one e-mail address",
    ),
    "everyone by another name": ("[everyone]", "[‸all]", "@read-only.may_ask.0", "no group", "`everyone`"),
    "everyone by a star": ("[everyone]", "[‸'*']", "@read-only.may_ask.0", "no group", "`everyone`"),
    "everyone with a capital": ("[everyone]", "[‸Everyone]", "@read-only.may_ask.0", "no group", "`everyone`"),
    "all approve": (
        "approvers: [dba]",
        "approvers: [‸all]",
        "systems.prod-db.approvers.0",
        "no group `all`",
        "`everyone` is for `may_ask` alone",
    ),
    "a list without brackets": ("[everyone]", "‸everyone", "@read-only.may_ask", "a list", "in brackets: [everyone]"),
    "a word with a capital": ("sensitivity: low", "sensitivity: ‸Low", "@read-only.sensitivity", "'low'", "`low`?"),
    "a word that is nearly right": (
        "sensitivity: low",
        "sensitivity: ‸critcal",
        "@read-only.sensitivity",
        "'critical'",
        "`critical`?",
    ),
    "on in place of required": ("request: off", "request: ‸on", "workspace.mfa.request", "'required'", "`required`?"),
    "a word in place of the keys of mfa": (
        "mfa: {request: off}",
        "mfa: ‸off",
        "workspace.mfa",
        "mapping",
        "`mfa: {request: off}`",
    ),
    "a variable of a shell": (
        "channel: C0PRODDB1",
        "channel: ‸${CHANNEL}",
        "systems.prod-db.channel",
        "nothing is filled in here",
        "write it out",
    ),
    "a variable of a shell in a config": (
        '"env:PROD_DB_DSN"',
        '‸"${PROD_DB_DSN}"',
        "systems.prod-db.config.dsn",
        "nothing is filled in here",
        "`env:PROD_DB_DSN`",
    ),
    "a variable of a shell within a config": (
        '"env:PROD_DB_DSN"',
        '‸"postgresql://jit:${PASSWORD}@db/prod"',
        "systems.prod-db.config.dsn",
        "nothing is filled in here",
        "have that variable hold the whole value",
    ),
    "a variable of a template": (
        "title: Production",
        'title: ‸"{{ name }}"',
        "systems.prod-db.title",
        "nothing is filled in here",
        "write it out",
    ),
    "a number for a channel": (
        "channel: C0PRODDB1",
        "channel: ‸12345",
        "systems.prod-db.channel",
        "text",
        "its id, which begins with C or G",
    ),
    "a number for the audit channel": (
        "audit_channel: C0AUDIT01",
        "audit_channel: ‸1",
        "workspace.audit_channel",
        "text",
        "its id, which begins with C or G",
    ),
    "a channel in small letters": (
        "channel: C0PRODDB1",
        "channel: ‸c0proddb1",
        "systems.prod-db.channel",
        "by its id",
        "in capitals: C0PRODDB1",
    ),
    "a channel's name, of which YAML makes a comment": (
        "channel: C0PRODDB1",
        "channel:‸ #prod-db",
        "systems.prod-db.channel",
        "text",
        "a comment unless it is in quotes",
    ),
    "a misspelt key that has to be there": (
        "channel: C0PRODDB1",
        "‸chanel: C0PRODDB1",
        "systems.prod-db.chanel",
        "no key",
        "`channel`",
    ),
    "a misspelt section": ("systems:\n", "‸system:\n", "system", "no key `system`", "`systems`"),
    "an empty group": ("dba: {slack_usergroup: S0DBA0001}", "‸dba: {}", "groups.dba", "exactly one of", ""),
    "a group of both kinds": (
        "dba: {slack_usergroup: S0DBA0001}",
        "‸dba: {slack_usergroup: S0DBA0001, people: [a@example.com]}",
        "groups.dba",
        "exactly one of",
        "",
    ),
    "a group called everyone": (
        "groups:\n",
        "groups:\n  ‸everyone: {people: [a@b.c]}\n",
        "groups.everyone",
        "no name",
        "",
    ),
    "a name with capitals": (
        "groups:\n",
        "groups:\n  ‸DBA: {people: [a@b.c]}\n",
        "groups.DBA",
        "no name",
        "small letters",
    ),
    "a name like pydantic's own": (
        "groups:\n",
        "groups:\n  ‸'[key]': {people: [a@b.c]}\n",
        "groups.[key]",
        "no name",
        "",
    ),
    "a name that is too long": (
        "groups:\n",
        f"groups:\n  ‸{'a' * 41}: {{people: [a@b.c]}}\n",
        "groups." + "a" * 41,
        "no name",
        "at most 40",
    ),
    "no groups in a step": ("{any_of: [dba]}", "{any_of: ‸[]}", "@admin.approval.steps.0.any_of", "at least 1", ""),
    "no steps": (
        "{steps: [{any_of: [dba]}, {any_of: [platform], count: 2}]}",
        "{steps: ‸[]}",
        "@admin.approval.steps",
        "at least 1",
        "",
    ),
    "more answers than people": ("count: 2", "count: 3", "@admin.approval.steps.1", "there are 2 in its groups", ""),
    "answers that only the requesters could give": (
        "may_ask: [dba]\n",
        "may_ask: [platform]\n",
        "@admin.approval.steps.1",
        "nobody could ever be given it",
        "",
    ),
    "a channel by its name": ("C0PRODDB1", '‸"#prod-db"', "systems.prod-db.channel", "by its id (C…)", ""),
    "a channel with a line end": ("C0PRODDB1", '‸"C0PRODDB1\\n"', "systems.prod-db.channel", "by its id (C…)", ""),
    "a user group by its handle": ("S0DBA0001", '‸"@dba"', "groups.dba.slack_usergroup", "by its id (S…)", ""),
    "a person by name": ("kim@example.com", "‸kim", "groups.platform.people.1", "by e-mail address", ""),
    "an address with a line end": (
        "kim@example.com",
        '‸"kim@example.com\\n"',
        "groups.platform.people.1",
        "e-mail",
        "",
    ),
    "a word that is no sensitivity": (
        "sensitivity: low",
        "sensitivity: ‸lo",
        "@read-only.sensitivity",
        "'low', 'medium'",
        "",
    ),
    "a title that is too long": (
        "title: Production\n",
        f"title: ‸{'x' * 61}\n",
        "systems.prod-db.title",
        "60 characters",
        "",
    ),
    "an empty title": ("title: Production\n", 'title: ‸""\n', "systems.prod-db.title", "at least 1", ""),
    "a title of two lines": ("title: Production\n", 'title: ‸"a\\nb"\n', "systems.prod-db.title", "one line", ""),
    "a secret in plain": (
        '"env:PROD_DB_DSN"',
        '‸"postgresql://jit:hunter2@db/prod"',
        "systems.prod-db.config.dsn",
        "written as `env:NAME` or `file:PATH`",
        "",
    ),
    "a missing config": ('    config: {dsn: "env:PROD_DB_DSN"}\n', "", "systems.prod-db.config.dsn", "missing", ""),
    "an unknown key of a config": (
        '"env:PROD_DB_DSN"}',
        '"env:PROD_DB_DSN", timout: ‸5}',
        "systems.prod-db.config.timout",
        "did you mean `timeout`?",
        "",
    ),
    "a config out of bounds": (
        '"env:PROD_DB_DSN"}',
        '"env:PROD_DB_DSN", timeout: ‸600}',
        "systems.prod-db.config.timeout",
        "less than or equal to 60",
        "",
    ),
    "an unknown key of the grants": (
        "member_of: [prod_admin]",
        "member_of: [x], lgin: ‸own",
        "@admin.grants.lgin",
        "`login`",
        "",
    ),
    "grants of a wrong type": ("[prod_admin]", "[prod_admin, ‸7]", "@admin.grants.member_of.1", "text", ""),
    "grants that are never granted": (
        "[prod_admin]",
        "‸[pg_write_server_files]",
        "@admin.grants.member_of",
        "never granted",
        "",
    ),
    "a template called like a system": (
        "  debug:\n",
        "  ‸prod-db:\n",
        "templates.prod-db",
        "a system has the name `prod-db` already",
        "",
    ),
    "a key twice": ("max: 8h", "max: 8h\n        ‸max: 2h", "@read-only.max", "a second time", ""),
    "a system twice": ("templates:\n", "  ‸prod-db: {}\ntemplates:\n", "systems.prod-db", "a second time", ""),
    "an alias": (
        "approvers: [dba]",
        "approvers: [&a dba, ‸*a]",
        "systems.prod-db.approvers.1",
        "aliases",
        "",
    ),
    "a tag": ("title: Production\n", "title: ‸!!python/name:os.system x\n", "systems.prod-db.title", "the tag", ""),
    "a tag of another kind": ("title: Production\n", "title: ‸!!map x\n", "systems.prod-db.title", "the tag", ""),
    "a tag that its value is not": ("count: 2", "count: ‸!!bool maybe", "@admin.approval.steps.1.count", "be read", ""),
    "a merge": (
        "    title: Production\n",
        "    title: Production\n    ‸<<: {a: 1}\n",
        "systems.prod-db.<<",
        "no key",
        "",
    ),
    "a key that is a list": ("groups:\n", "groups:\n  ‸[a]: 1\n", "groups", "a plain word", ""),
    "a number beyond all": (
        "count: 2",
        "count: ‸" + "9" * 5000,
        "@admin.approval.steps.1.count",
        "cannot be read",
        "",
    ),
    "a number beyond all in hex": (
        "count: 2",
        "count: ‸0x" + "f" * 9000,
        "@admin.approval.steps.1.count",
        "too large",
        "",
    ),
    "no number": ("count: 2", "count: ‸.nan", "@admin.approval.steps.1.count", "number is too large, or none", ""),
    "a character of a terminal": (
        "title: Production\n",
        'title: ‸"\\e[2J"\n',
        "systems.prod-db.title",
        "cannot be shown",
        "",
    ),
    "half a character": ("title: Production\n", 'title: ‸"\\ud800"\n', "systems.prod-db.title", "cannot be shown", ""),
    "a key that cannot be shown": ("groups:\n", 'groups:\n  ‸"\\a": {}\n', "groups.\a", "cannot be shown", ""),
    "nested without end": (
        "grants: {member_of: [prod_admin]}",
        "grants: {member_of: [x, " + "[" * 14 + "‸" + "[" * 16 + "]" * 30 + "]}",
        None,
        "deep",
        "",
    ),
    "no expression": ('"[A-Z]+-[0-9]+"', '‸"[A-Z"', "templates.debug.reason.pattern", "no regular expression", ""),
    "a pattern that nobody is shown": (
        'reason: {hint: Ticket, pattern: "[A-Z]+-[0-9]+", example: INC-42}',
        'reason: ‸{hint: Ticket, pattern: "[A-Z]+-[0-9]+"}',
        "templates.debug.reason",
        "needs an `example`",
        "",
    ),
    "an example that does not fit": (
        'reason: {hint: Ticket, pattern: "[A-Z]+-[0-9]+", example: INC-42}',
        'reason: ‸{hint: Ticket, pattern: "[A-Z]+-[0-9]+", example: later}',
        "templates.debug.reason",
        "does not fit the `pattern`",
        "",
    ),
    "an expression that takes for ever": (
        '"[A-Z]+-[0-9]+"',
        '‸"(a+)+"',
        "templates.debug.reason.pattern",
        "for ever",
        "",
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_a_mistake_is_told_with_its_place(name: str) -> None:
    old, new, path, phrase, hint = TABLE[name]
    text, marks = broken(old, new)
    found = mistakes(text)
    assert len(found) == 1, "\n".join(map(str, found))
    if marks:
        assert [found[0].mark] == marks
    if path is not None:
        assert found[0].path == path.replace("@", "systems.prod-db.roles.")
    assert phrase in f"{found[0].sentence} {found[0].hint}"
    assert hint in found[0].hint


SYNTAX = {
    "an open bracket": ("version: [1\nworkspace‸: x\n", "the `[` in line 1 is not closed"),
    "an open brace": ("version: 1\nworkspace: {mfa: {request: off}\n‸groups: {}\n", "the `{` in line 2 is not closed"),
    "a tab": ("version: 1\nworkspace:\n‸\taudit_channel: C0AUDIT01\n", "indent with spaces"),
    "an indentation": ("version: 1\n workspace‸: 1\n", "look at the indentation"),
    "a key too far in": ("workspace:\n  a: 1\n    b‸: 2\n", "look at the indentation"),
    "a key not far enough in": ("a:\n    b:\n      c: 1\n  ‸d: 2\n", "look at the indentation"),
    "an @": ("approvers: [‸@dba]\n", "leave the @ out where it is the name of a group"),
    "a backtick": ("title: ‸`x`\n", "put the text in quotes: YAML has a meaning of its own for `"),
    "a percent sign": ("title: ‸%x\n", "put the text in quotes: YAML has a meaning of its own for %"),
    "a colon in a text": (
        "version: 1\ntitle: Vault‸: the first\n",
        "put the text in quotes: it has a colon and a space",
    ),
    "no space behind a colon": ("a:\n  b: 1\n  ‸channel:C0SANDBOX\n", "a space behind the colon: `channel: …`"),
    "no space behind the first colon": ("a:\n  channel:C0SANDBOX\n  b‸: 1\n", "colon in line 2: `channel: …`"),
    "no colon": ("a:\n  b: 1\n  ‸channel\n", "write it as `key: value`"),
    "no colon at first": ("a:\n  channel\n  b‸: 1\n", "write line 2 as `key: value`"),
    "an open quote": ('version: "1\n‸', 'the quote " in line 1 is not closed'),
    "a quote that is closed by the next one": ('a: "1\nb: 2\nc: "‸x"\n', 'the quote " in line 1 is not closed'),
    "two documents": ("version: 1\n‸---\nversion: 1\n", "take the `---` out"),
    "a null byte": ("version: 1\nwork‸\0space:\n", "U+0000"),
    "nothing": ("‸", "the file is empty; `jit init` writes one"),
    "only a comment": ("‸# later\n", "the file is empty"),
    "a list": ("‸- version: 1\n", "a mapping that begins with `version: 1`"),
    "a word": ("‸version\n", "a mapping that begins with `version: 1`"),
    "too much": ("‸" + "# " + "x" * 1_000_000, "more than 1,000,000 characters"),
    "a pit": ("‸" + "[" * 5000, "nested more than 20 deep"),
}


@pytest.mark.parametrize("name", SYNTAX)
def test_what_is_no_mapping_of_yaml_is_told_alone(name: str) -> None:
    text, phrase = SYNTAX[name]
    text, marks = marked(text)
    found = mistakes(text)
    assert [mistake.mark for mistake in found] == marks, "\n".join(map(str, found))
    assert phrase in f"{found[0].sentence}; {found[0].hint}"


EVERYTHING = """\
version: 1
workspace:
  audit_channel: ‸"#audit"
  mfa: {request: ‸never}
  operators: [‸platfrm]
groups:
  dba: {slack_usergroup: ‸"@dba"}
  platform: {people: [pat@example.com, ‸kim]}
  ‸Bad: {people: [a@b.c]}
systems:
  sandbox:
    title: Sandbox
    provider: ‸sandbx
    channel: C0SANDBOX
    approvers: [platform, Bad]
    roles:
      open:
        grants: {door: a}
        sensitivity: ‸lo
        max: ‸8 hours
        may_ask: [everyone, ‸dbaa]
      shut:
        grants: {door: a}
        max: 1h
        may_ask: ‸[]
        approval: {steps: [{any_of: [platform], count: 2}, {‸count: 2}]}
        ‸titel: Shut
templates:
  debug:
    title: Debug
    roles: [‸sandbox/opn, sandbox/open, sandbox/shut]
    durations: [30m, ‸4h, ‸1x]
"""


def test_every_mistake_is_told_at_once_and_nothing_that_only_follows() -> None:
    text, marks = marked(EVERYTHING)
    # A missing key is told at what lacks it, and a flow mapping begins at its brace.
    marks = [mark if mark.line != 26 else type(mark)(mark.file, 26, mark.column - 1) for mark in marks]
    assert [mistake.mark for mistake in mistakes(text)] == marks


NAMES = {
    "sändbox": ("  prod-db:\n", "  ‸pröd-db:\n", "systems.pröd-db", "`prod-db`"),
    "a system with a capital": ("  prod-db:\n", "  ‸Prod-DB:\n", "systems.Prod-DB", "`prod-db`"),
    "a role with a space": (
        "      read-only:\n",
        "      ‸Read Only:\n",
        "systems.prod-db.roles.Read Only",
        "`read-only`",
    ),
    "a group in capitals": ("  dba: {", "  ‸DBA: {", "groups.DBA", "`dba`"),
    "a template with an underscore": ("  debug:\n", "  ‸debug_:\n", "templates.debug_", "`debug`"),
    "a name of which nothing remains": ("  prod-db:\n", "  ‸数据库:\n", "systems.数据库", "small letters"),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_none_is_one_mistake_and_what_refers_to_it_is_none(name: str) -> None:
    old, new, path, hint = NAMES[name]
    text, marks = broken(old, new)
    found = mistakes(text)
    assert [(mistake.mark, mistake.path) for mistake in found] == [(marks[0], path)], "\n".join(map(str, found))
    assert hint in found[0].hint


BROKEN = [
    "max: 8h",
    "  prod-db:\n",
    "provider: postgresql",
    "approvers: [dba]",
    "channel: C0PRODDB1",
    "- x\n",
    "  dba:",
]


@pytest.mark.parametrize("old", BROKEN)
def test_what_stands_in_for_a_broken_part_is_never_told_of(old: str) -> None:
    for new in ("", "? : x\n", "  Ä: 1\n", "    x: []\n", "    roles: {Ä: 1}\n"):
        for told in map(str, mistakes(WHOLE.replace(old, new))):
            assert "`-`" not in told
            assert "systems.0" not in told


def test_a_reference_to_what_is_broken_is_not_called_unknown() -> None:
    text = WHOLE.replace("max: 8h", "max: x").replace("{slack_usergroup: S0DBA0001}", "12")
    assert [mistake.path for mistake in mistakes(text)] == ["groups.dba", "systems.prod-db.roles.read-only.max"]


def test_a_section_that_is_broken_hides_no_mistake_elsewhere() -> None:
    text = WHOLE.replace("max: 8h", "max: x").replace("groups:", "groups: nobody\nsystms:")
    told = {mistake.path for mistake in mistakes(text)}
    assert told == {"groups", "systms", "systems.prod-db.roles.read-only.max"}


def test_mistakes_read_like_a_compilers() -> None:
    text, _ = broken("approvers: [dba]", "approvers: [dbas]")
    with pytest.raises(PolicyMistakes) as caught:
        catalog(text)
    line = "a.yaml:15:17: systems.prod-db.approvers.0: there is no group `dbas`; did you mean `dba`?"
    assert str(caught.value) == line


def test_an_approver_alone_among_the_approvers_cannot_be_the_only_asker() -> None:
    text = WHOLE.replace("pat@example.com, kim@example.com", "pat@example.com")
    text = text.replace("approvers: [dba]", "approvers: [platform]").replace(", count: 2", "")
    assert mistakes(text) == ()
    found = mistakes(text.replace("[everyone]", "[platform]"))
    assert [(mistake.path, mistake.mark.line) for mistake in found] == [("systems.prod-db.roles.read-only", 17)]
    assert "nobody could ever be given it" in found[0].sentence


def test_a_plain_secret_is_not_repeated() -> None:
    text, _ = broken('"env:PROD_DB_DSN"', '"postgresql://jit:hunter2@db/prod"')
    assert "hunter2" not in "\n".join(map(str, mistakes(text)))


def test_each_mistake_is_one_line_that_can_be_shown() -> None:
    text = WHOLE.replace("groups:\n", 'groups:\n  "\\e[2J\\n": {}\n  "a\\nb": {}\n')
    told = [str(mistake) for mistake in mistakes(text)]
    assert told
    assert all(line.isprintable() for line in told)


def test_a_flood_of_mistakes_is_cut_soon() -> None:
    text = WHOLE + "".join(f"  debug{number}: {{titel: x}}\n" for number in range(5000))
    started = time.process_time()
    with pytest.raises(PolicyMistakes) as caught:
        catalog(text)
    assert time.process_time() - started < 20
    assert len(caught.value.mistakes) == MOST_MISTAKES
    assert str(caught.value).endswith(" more")


def test_who_is_on_call_can_decide() -> None:
    known = WHOLE.replace("dba: {slack_usergroup: S0DBA0001}", "dba: {people: [dan@example.com, eve@example.com]}")
    text, marks = marked(known.replace("approvers: [dba]", f"approvers: [dba]\n    on_call: {HERE}platform"))
    [found] = mistakes(text)
    assert (found.mark, found.path) == (marks[0], "systems.prod-db.on_call")
    assert "nobody in `platform`, who are on call, can decide about `prod-db/read-only`" in found.sentence


def test_no_system_is_called_what_lifts_a_lockdown() -> None:
    text, marks = marked(WHOLE.replace("  prod-db:", f"  {HERE}lift:").replace("prod-db/", "lift/"))
    [found] = mistakes(text)
    assert (found.mark, found.path) == (marks[0], "systems.lift")
    assert "so no system has that name" in found.sentence
