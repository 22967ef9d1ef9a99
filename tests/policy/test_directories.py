"""Directories, the groups that they tell of, and calendars, as the policy file has them."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from bot.policy import case_file, loader, lost_rights, policy_diff
from bot.policy.catalog import Catalog
from bot.policy.permission_diff import shift
from bot.policy.problems import PolicyMistakes
from bot.policy.yaml_source import Source
from tests.policy.policies import WHOLE, catalog, marked

SECTIONS = """\
directories:
  pd: {kind: pagerduty, config: {token: "env:PAGERDUTY_TOKEN", levels: 2}}
  rota: {kind: ical, config: {url: "env:ROTA_URL", timezone: Europe/Berlin}}
calendars:
  freeze: {ical: "env:FREEZE_URL", timezone: Europe/Berlin}
  holidays: {ical: "file:/etc/jit/holidays.ics"}
  public: {ical: "https://example.com/freeze.ics?x=1"}
groups:
  db-on-call: {directory: pd, group: PSCHED1}
  all-on-call: {directory: rota}
  primary: {directory: rota, group: Primary}
"""
POLICY = WHOLE.replace("groups:\n", SECTIONS, 1).replace(
    "    approvers: [dba]\n", "    approvers: [dba]\n    on_call: db-on-call\n"
)


def test_directories_groups_of_them_and_calendars_are_read() -> None:
    found = catalog(POLICY)
    assert found.groups["db-on-call"].told_by == "the directory group pd/PSCHED1"
    assert found.groups["all-on-call"].told_by == "the directory group rota"
    assert not found.groups["primary"].is_listed
    assert found.shifts == {"db-on-call", "all-on-call", "primary"}
    assert set(found.calendars) == {"freeze", "holidays", "public"}
    assert found.policy_hash != catalog(WHOLE).policy_hash


def test_they_may_be_in_files_of_their_own() -> None:
    head, tail = POLICY.split("directories:\n")
    sections, groups = tail.split("groups:\n")
    extra = 'calendars:\n  more: {ical: "file:/x.ics"}\n'
    found = catalog(f"{head}groups:\n{groups}", f"version: 1\ndirectories:\n{sections}", f"version: 1\n{extra}")
    assert set(found.calendars) == {"freeze", "holidays", "public", "more"}


TABLE = {
    "an unknown kind": ("kind: pagerduty", "kind: ‸pagerdooty", "directories.pd.kind", "no directory", "`pagerduty`?"),
    "a kind like none": ("kind: pagerduty", "kind: ‸zzz", "directories.pd.kind", "no directory", "ical, "),
    "a plain secret": ('"env:PAGERDUTY_TOKEN"', "‸u+hunter2", "directories.pd.config.token", "`env:NAME`", ""),
    "a plain address": ('"env:ROTA_URL"', '‸"https://x.io/hunter2"', "directories.rota.config.url", "`env:NAME`", ""),
    "a key of a config": ("levels: 2", "‸level: 2", "directories.pd.config.level", "did you mean `levels`?", ""),
    "such a key by reference": ("levels: 2", '‸level: "env:LEVELS"', "pd.config.level", "did you mean `levels`?", ""),
    "too many levels": ("levels: 2", "levels: ‸21", "directories.pd.config.levels", "20", ""),
    "an unknown directory": ("{directory: rota}", "{directory: ‸rotor}", "all-on-call.directory", "`rotor`", "`rota`?"),
    "a name that is no id": ("group: PSCHED1", "group: ‸the-dbas", "db-on-call.group", "id of a schedule", ""),
    "no id": ("  ‸db-on-call: {directory: pd, group: PSCHED1}", "", "groups.db-on-call", "id of a schedule", ""),
    "people besides": ("{directory: rota}", "{directory: rota, people: [a@b.io]}", "all-on-call", "exactly one", ""),
    "a group of nothing": ("{directory: rota}", "{people: [a@b.io], group: ‸x}", "all-on-call.group", "directory", ""),
    "a name of a calendar": ('"env:FREEZE_URL"', "‸freeze.ics", "calendars.freeze.ical", "https://…", ""),
    "a calendar in the clear": ("https://example", "‸http://example", "calendars.public.ical", "https://…", ""),
    "a password in an address": ("https://example", "‸https://a:b@example", "calendars.public.ical", "https://…", ""),
    "a zone that is none": (
        'FREEZE_URL", timezone: Europe/Berlin',
        'FREEZE_URL", timezone: ‸Berlin',
        "freeze.timezone",
        "time zone",
        "",
    ),
    "an unknown key": ("calendars:\n", "calenders:\n", "calenders", "no key `calenders`", "`calendars`"),
}


@pytest.mark.parametrize("name", TABLE)
def test_a_mistake_is_told_with_its_place(name: str) -> None:
    old, new, path, sentence, hint = TABLE[name]
    if name == "no id":
        old, new = "{directory: pd, group: PSCHED1}", "{directory: pd}"
    assert POLICY.count(old) == 1
    text, marks = marked(POLICY.replace(old, new))
    with pytest.raises(PolicyMistakes) as said:
        catalog(text)
    told = [each for each in said.value.mistakes if each.path.endswith(path) and sentence in each.sentence]
    assert told, said.value
    assert hint in told[0].hint
    assert "hunter2" not in str(said.value)
    assert not marks or marks[0].line == told[0].mark.line


def test_a_broken_directory_brings_no_mistake_about_its_groups() -> None:
    with pytest.raises(PolicyMistakes) as said:
        catalog(POLICY.replace("kind: pagerduty, ", ""))
    [mistake] = said.value.mistakes
    assert "`kind` is missing here" in mistake.sentence


def test_more_directories_than_anyone_has_are_too_many() -> None:
    many = "".join(f"  d{n}: {{kind: ical, config: {{file: /x}}}}\n" for n in range(21))
    with pytest.raises(PolicyMistakes, match="at most 20"):
        catalog(POLICY.replace("directories:\n", f"directories:\n{many}"))


def test_a_comparison_says_who_tells_of_a_group_and_never_a_secret() -> None:
    before, after = catalog(WHOLE), catalog(POLICY)
    found = {(change.kind, change.name, change.how) for change in policy_diff.compare(before, after).changes}
    assert {("directory", "pd", "added"), ("calendar", "freeze", "added"), ("group", "primary", "added")} <= found
    may_ask = POLICY.replace("may_ask: [dba]", "may_ask: [db-on-call]")
    assert any(right.who == "the directory group pd/PSCHED1" for right in shift(after, catalog(may_ask)).gained)
    assert policy_diff.compare(after, catalog(POLICY.replace("levels: 2", "levels: 3"))).changes


def test_nobody_loses_access_by_the_end_of_a_shift() -> None:
    roles = {("prod-db", "admin")}
    assert lost_rights.roles_restricted_to_groups(catalog(POLICY)) == roles
    shifts = catalog(POLICY.replace("may_ask: [dba]", "may_ask: [dba, db-on-call]"))
    assert lost_rights.roles_restricted_to_groups(shifts) == frozenset()


def test_the_example_of_the_guide_of_ldap_is_good() -> None:
    guide = files("bot").joinpath("guides", "ldap.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```yaml\n(directories:\n.*?)groups:\n(.*?)```", guide, re.DOTALL)
    found = catalog(WHOLE.replace("groups:\n", f"{example[0]}groups:\n{example[1].replace('dba', 'ad-dba', 1)}", 1))
    assert found.groups["ad-dba"].told_by == "the directory group ad/CN=DBA,OU=Groups,DC=example,DC=com"
    assert found.shifts == frozenset()


def test_a_tested_case_says_who_is_in_a_group_of_a_directory() -> None:
    cases = "groups: {dba: [dan@example.com]}\ncases: [{as: mia@example.com, what: debug, expect: asks}]\n"
    with pytest.raises(PolicyMistakes, match="who is in the directory group `db-on-call` is not said here"):
        case_file.against(case_file.parse(Source("t.yaml", cases)), catalog(POLICY))


def test_the_guides_examples_are_good() -> None:
    guide = files("bot").joinpath("guides", "policy.md").read_text(encoding="utf-8")
    (on_call, others), (calendars,) = (
        re.findall(rf"```yaml\n({section}:\n.*?)```", guide, re.DOTALL) for section in ("directories", "calendars")
    )
    found = catalog(WHOLE.replace("groups:\n", f"{calendars}{on_call}", 1))
    assert {each.kind for each in found.directories.values()} == {"pagerduty", "ical"}
    assert set(found.groups) > {"db-on-call", "web-on-call"}
    assert set(found.calendars) == {"freeze"}
    found = catalog(WHOLE.replace("groups:\n", others, 1))
    assert {each.kind for each in found.directories.values()} == {"okta", "scim", "entra", "google"}
    assert found.shifts == frozenset()
    assert set(found.groups) > {"data-engineers", "auditors", "engineers", "analysts"}


ENTRA = """\
directories:
  entra: {kind: entra, config: {tenant: example.com, client_id: 3f1c2a9e-5b70-4c1d-9a55-0d6f2b7c8e14, PROOF}}
groups:
  engineers: {directory: entra, group: 0b5c5f3e-6d1f-4b2a-8c3d-94f0a1b2c3d4}
"""


@pytest.mark.parametrize(
    ("proof", "sentence"),
    [
        ("client_secret: hunter2", "`env:NAME`"),
        ("certificate: hunter2", "`env:NAME`"),
        ('client_secret: "env:A", certificate: "file:/b"', "`client_secret` or `certificate`"),
        ("timeout: 4", "`client_secret` or `certificate`"),
        ('client_secret: "env:A", tenat: x', "did you mean `tenant`?"),
    ],
)
def test_what_a_directory_is_asked_with_is_a_reference(proof: str, sentence: str) -> None:
    with pytest.raises(PolicyMistakes) as said:
        catalog(WHOLE.replace("groups:\n", ENTRA.replace("PROOF", proof), 1))
    assert any(each.path.startswith("directories.entra.config") for each in said.value.mistakes)
    assert sentence in str(said.value)
    assert "hunter2" not in str(said.value)


def test_a_certificate_and_a_key_file_are_looked_at_where_they_are_resolved() -> None:
    found = catalog(WHOLE.replace("groups:\n", ENTRA.replace("PROOF", 'certificate: "file:/run/secrets/app.pem"'), 1))
    assert found.directories["entra"].kind == "entra"


SCIM = """\
directories:
  idm: {kind: scim, config: {url: "https://id.example.com/scim/v2", ACCOUNT}}
groups:
  auditors: {directory: idm, group: Auditors}
"""


@pytest.mark.parametrize(
    ("account", "sentence"),
    [
        ("token: hunter2", "`env:NAME`"),
        ("username: jit, password: hunter2", "`env:NAME`"),
        ('username: jit, token: "env:T"', "either `token`, or `username` and `password`"),
        ("timeout: 4", "either `token`, or `username` and `password`"),
        ('tokn: "env:T"', "did you mean `token`?"),
    ],
)
def test_the_account_of_a_scim_server_is_one_and_by_reference(account: str, sentence: str) -> None:
    with pytest.raises(PolicyMistakes) as said:
        catalog(WHOLE.replace("groups:\n", SCIM.replace("ACCOUNT", account), 1))
    assert any(each.path.startswith("directories.idm.config") for each in said.value.mistakes)
    assert sentence in str(said.value)
    assert "hunter2" not in str(said.value)


def test_what_is_installed_is_known() -> None:
    assert set(loader.installed().directories.names) >= {"pagerduty", "ical"}
    assert loader.installed().directories.find("zzz") is None


def test_a_catalog_of_before_has_none() -> None:
    found: Catalog = catalog(WHOLE)
    assert (found.directories, found.calendars, found.shifts) == ({}, {}, frozenset())
