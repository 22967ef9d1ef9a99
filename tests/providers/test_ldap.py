"""LDAP: which members count, whatever way a server names them, and what each answer of a server means."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

import pytest
from pydantic import ValidationError

from providers.directories import registry
from providers.directories.base import GroupAnswer, NoAnswer, ProviderError, Refused
from providers.directories.ldap.config import LdapConfig
from providers.directories.ldap.names import domain, escaped, is_name
from providers.directories.ldap.provider import Ldap
from providers.registry import Installed
from providers.secret_refs import Misconfigured
from tests import scratch
from tests.providers.ldap_server import Entries, LdapServer, message, result, text, tlv
from tests.providers.slapd import BASE, BOT, PASSWORD, Slapd, account, dn, group, group_dn, person
from tests.store.redis.test_tls import Authority


@pytest.fixture
def slapd() -> Iterator[Slapd]:
    with scratch.directory() as directory:
        server = Slapd(directory, Authority(directory))
        yield server
        server.stop()


@pytest.fixture
async def server() -> AsyncIterator[LdapServer]:
    server = LdapServer()
    await server.start()
    yield server
    await server.stop()


def at(server: LdapServer, **more: Any) -> Ldap:
    about = {"url": server.url, "bind_dn": BOT, "bind_password": PASSWORD, "base_dn": BASE, "timeout": 1}
    return Ldap(LdapConfig.model_validate({**about, **more}))


async def told(server: Slapd, name: str, now: float = 0.0, **more: Any) -> GroupAnswer:
    return await Ldap(LdapConfig.model_validate(server.config(**more))).members(group_dn(name), now or time.time())


def addresses(*names: str) -> set[str]:
    return {f"{name}@example.com" for name in names}


# Whom a group has.


async def test_groups_in_groups_are_followed_and_cycles_end(slapd: Slapd) -> None:
    slapd.load(
        *(person(name) for name in ("mia", "dan", "kim", "eve", "lee")),
        group("dba", dn("mia"), group_dn("senior"), group_dn("dba")),
        group("senior", dn("dan"), group_dn("unique"), group_dn("dba")),
        group("unique", dn("kim"), f"{dn('eve')}#'0101'B", kind="groupOfUniqueNames", by="uniqueMember"),
        group("other", dn("lee")),
    )
    assert await told(slapd, "dba") == GroupAnswer(frozenset(addresses("mia", "dan", "kim", "eve")))


async def test_groups_that_are_nested_too_deep_are_not_everybody(slapd: Slapd) -> None:
    groups = [group(f"g{n}", dn("mia"), group_dn(f"g{n + 1}")) for n in range(25)]
    slapd.load(person("mia"), *groups, group("g25", dn("mia")))
    assert not (await told(slapd, "g0")).whole
    assert (await told(slapd, "g10")).whole


async def test_members_by_uid_are_those_of_that_uid_alone(slapd: Slapd) -> None:
    odd = ["mia", "*", "a)(uid=*", "b\\2a", "ü"]
    people = [person(f"p{n}", uid=[f"p{n}", name]) for n, name in enumerate(odd)]
    slapd.load(*people, person("dan"), group("dba", *odd, kind="posixGroup", by="memberUid"))
    assert await told(slapd, "dba") == GroupAnswer(frozenset(addresses("p0", "p1", "p2", "p3", "p4")))


async def test_a_uid_of_nobody_or_of_two_is_not_everybody(slapd: Slapd) -> None:
    slapd.load(
        person("mia", uid=["mia", "both"]),
        person("dan", uid=["dan", "both"]),
        group("nobody", "mia", "gone", kind="posixGroup", by="memberUid"),
        group("two", "mia", "both", kind="posixGroup", by="memberUid"),
        group("one", "MIA", "mia", kind="posixGroup", by="memberUid"),
    )
    for name, whole in (("nobody", False), ("two", False), ("one", True)):
        assert await told(slapd, name) == GroupAnswer(frozenset(addresses("mia")), whole=whole)


async def test_three_thousand_members_are_all_told_and_more_than_five_thousand_are_not_everybody(slapd: Slapd) -> None:
    people = [f"p{n}" for n in range(5_001)]
    slapd.load(
        *(person(name) for name in people),
        group("many", *(dn(name) for name in people[:3_000])),
        group("more", *(dn(name) for name in people)),
    )
    assert await told(slapd, "many") == GroupAnswer(frozenset(addresses(*people[:3_000])))
    answer = await told(slapd, "more")
    assert (len(answer.people), answer.whole) == (5_000, False)


async def test_whoever_has_no_one_address_makes_it_not_whole(slapd: Slapd) -> None:
    slapd.load(
        person("mia", mail=["Mia@Example.com", "mia@example.com"]),
        person("none", mail=""),
        person("two", mail=["two@example.com", "second@example.com"]),
        person("odd", mail="no address"),
        *(group(name, dn("mia"), dn(name)) for name in ("none", "two", "odd")),
        group("mia", dn("mia")),
    )
    assert await told(slapd, "mia") == GroupAnswer(frozenset(addresses("mia")))
    for name in ("none", "two", "odd"):
        assert await told(slapd, name) == GroupAnswer(frozenset(addresses("mia")), whole=False)


async def test_another_attribute_may_have_the_address(slapd: Slapd) -> None:
    slapd.load(person("mia", userPrincipalName="m.m@example.org", objectClass="user"), group("dba", dn("mia")))
    assert (await told(slapd, "dba", mail="userPrincipalName")).people == set(), "disabled or not cannot be told"
    slapd.load(account("mia", userPrincipalName="M.M@example.org"), group("dba", dn("mia")))
    assert await told(slapd, "dba", mail="userPrincipalName") == GroupAnswer(frozenset({"m.m@example.org"}))


async def test_a_member_that_is_gone_or_hidden_makes_it_not_whole(slapd: Slapd) -> None:
    hidden = f"uid=spy,ou=hidden,{BASE}"
    slapd.load(
        person("mia"),
        (hidden, person("spy")[1]),
        group("gone", dn("mia"), dn("gone")),
        group("hidden", dn("mia"), hidden),
        group("nested", dn("mia"), group_dn("shy")),
        group("shy", dn("mia")),
        group("unread", dn("mia"), group_dn("gone")),
    )
    for name in ("gone", "hidden", "nested", "unread"):
        assert await told(slapd, name) == GroupAnswer(frozenset(addresses("mia")), whole=False)


async def test_a_group_that_was_renamed_or_hides_its_members_or_is_none_is_refused(slapd: Slapd) -> None:
    url = f"ldap:///ou=people,{BASE}??sub?(uid=*)"
    dynamic = group("dynamic", url, kind="groupOfURLs", by="memberURL")
    hidden = (f"cn=dba,ou=hidden,{BASE}", group("dba", dn("mia"))[1])
    slapd.load(person("mia"), group("dba", dn("mia")), group("shy", dn("mia")), dynamic, hidden)
    assert (await told(slapd, "dba")).whole
    for name, said in (("shy", "shows no member"), ("dynamic", "memberURL"), ("gone", "there is no entry cn=gone,")):
        with pytest.raises(Refused, match=said):
            await told(slapd, name)
    directory = Ldap(LdapConfig.model_validate(slapd.config()))
    with pytest.raises(Refused, match="is no group"):
        await directory.members(dn("mia"), time.time())
    with pytest.raises(Refused, match="may not read it"):
        await directory.members(hidden[0], time.time())
    slapd.load(person("mia"), group("new-dba", dn("mia")))
    with pytest.raises(Refused, match="there is no entry cn=dba,"):
        await told(slapd, "dba")
    assert (await told(slapd, "new-dba")).whole


# Whom a group does not have.


async def test_disabled_locked_and_expired_accounts_are_left_out(slapd: Slapd) -> None:
    now = 1_800_000_000
    ticks = (now + 11_644_473_600) * 10_000_000
    out = [
        account("disabled", userAccountControl="514"),
        account("expired", accountExpires=str(ticks)),
        account("locked", **{"msDS-User-Account-Control-Computed": "16"}),
        person("forever", pwdAccountLockedTime="000001010000Z"),
        person("lately", pwdAccountLockedTime="20260101000000Z"),
        person("inactive", objectClass=["inetOrgPerson", "extensibleObject"], nsAccountLock="TRUE"),
        account("machine", objectClass=["user", "computer", "extensibleObject"]),
        person("contact", objectClass=["contact", "extensibleObject"]),
    ]
    kept = [
        account("mia", accountExpires="0"),
        account("dan", accountExpires="9223372036854775807"),
        account("kim", accountExpires=str(ticks + 10_000_000), userAccountControl="66048"),
        person("eve", objectClass=["inetOrgPerson", "extensibleObject"], nsAccountLock="FALSE"),
        account("lee", **{"msDS-User-Account-Control-Computed": "0"}),
    ]
    slapd.load(*out, *kept, group("dba", *(name for name, _ in [*out, *kept]), kind="group"))
    assert await told(slapd, "dba", now) == GroupAnswer(frozenset(addresses("mia", "dan", "kim", "eve", "lee")))


async def test_an_account_of_active_directory_whose_state_may_not_be_read_makes_it_not_whole(slapd: Slapd) -> None:
    slapd.load(account("mia"), account("dan", userAccountControl=""), group("dba", dn("mia"), dn("dan"), kind="group"))
    assert await told(slapd, "dba") == GroupAnswer(frozenset(addresses("mia")), whole=False)


async def test_those_whose_primary_group_it_is_count_in_pages(slapd: Slapd) -> None:
    people = [f"p{n}" for n in range(1_100)]
    accounts = [account(name, primaryGroupID="513") for name in people]
    name, about = group("users", kind="group")
    users = (name, {**about, "primaryGroupToken": "513"})
    entries = [*accounts, account("mia"), account("eve", primaryGroupID="514"), users]
    slapd.lines = ["sizelimit unlimited"]
    slapd.load(*entries, group("dba", dn("mia"), group_dn("users"), kind="group"))
    for base in (BASE, f"ou=groups,{BASE}"):
        assert await told(slapd, "dba", base_dn=base) == GroupAnswer(frozenset(addresses("mia", *people)))
    slapd.lines = ["sizelimit 700"]
    slapd.load(*entries)
    answer = await told(slapd, "users")
    assert (len(answer.people), answer.whole) == (700, False)


async def test_the_rule_of_the_guide_lets_the_account_read_all_that_it_needs_and_no_more(slapd: Slapd) -> None:
    guide = files("bot").joinpath("guides", "ldap.md").read_text(encoding="utf-8")
    [rule] = re.findall(r"```\n(access to .*?)```", guide, re.DOTALL)
    slapd.rules = [rule.replace("cn=jit,ou=services,dc=example,dc=com", BOT), "access to * by * none"]
    slapd.load(
        *(person(name, description="secret") for name in ("mia", "dan", "kim")),
        person("locked", pwdAccountLockedTime="000001010000Z"),
        group("dba", dn("mia"), dn("locked"), group_dn("unique"), group_dn("posix")),
        group("unique", dn("dan"), kind="groupOfUniqueNames", by="uniqueMember"),
        group("posix", "kim", kind="posixGroup", by="memberUid"),
    )
    assert await told(slapd, "dba") == GroupAnswer(frozenset(addresses("mia", "dan", "kim")))
    assert (await Ldap(LdapConfig.model_validate(slapd.config())).check()).target == BASE
    assert await told(slapd, "unique", mail="description") == GroupAnswer(frozenset(), whole=False)


# How it is reached.


async def test_a_wrong_password_is_a_definite_no_that_does_not_show_it(slapd: Slapd) -> None:
    slapd.load(person("mia"), group("dba", dn("mia")))
    for name in (BOT, f"cn=nobody,{BASE}"):
        directory = Ldap(LdapConfig.model_validate(slapd.config(bind_dn=name, bind_password="hunter2-wrong")))
        for call in (directory.check(), directory.members(group_dn("dba"), time.time())):
            with pytest.raises(Refused, match="see `bind_dn` and `bind_password`") as said:
                await call
            assert "hunter2" not in f"{said.value!r}{said.value.__cause__!r}{directory!r}"


async def test_a_server_is_known_by_its_certificate_and_its_name(slapd: Slapd) -> None:
    slapd.load(person("mia"), group("dba", dn("mia")))
    plain: dict[str, Any] = {"url": f"ldap://127.0.0.1:{slapd.plain}", "start_tls": True}
    assert (await told(slapd, "dba", **plain)).people == addresses("mia")
    assert (await told(slapd, "dba", url=f"ldap://127.0.0.1:{slapd.plain}")).people == addresses("mia")
    others: list[dict[str, Any]] = [{"ca": None}, {**plain, "ca": None}]
    others += [{"url": f"ldaps://localhost:{slapd.tls}"}, {**plain, "url": f"ldap://localhost:{slapd.plain}"}]
    for more in others:
        with pytest.raises(NoAnswer, match="its certificate is not to be trusted"):
            await told(slapd, "dba", **more)
    with pytest.raises(NoAnswer, match="the file `ca`"):
        await told(slapd, "dba", ca="/nowhere/ca.pem")


async def test_a_password_that_cannot_be_one_is_a_definite_no(server: LdapServer) -> None:
    with pytest.raises(Refused, match="`bind_password` has a character") as said:
        await at(server, bind_password="hunter2\x07").check()
    assert "hunter2" not in f"{said.value!r}{said.value.__cause__!r}"
    assert "bindRequest" not in server.asked


async def test_without_tls_where_it_was_asked_for_no_password_is_sent(server: LdapServer) -> None:
    server.codes["extendedReq"] = 2
    with pytest.raises(Refused, match="it does not begin TLS"):
        await at(server, start_tls=True).check()
    server.codes["extendedReq"] = 52
    with pytest.raises(NoAnswer, match="it does not begin TLS now"):
        await at(server, start_tls=True).check()
    assert "bindRequest" not in server.asked


@pytest.mark.parametrize("sent", [len(result(2, 0x61, 0)), 3])
async def test_what_comes_in_plain_behind_the_start_of_tls_is_never_read(server: LdapServer, sent: int) -> None:
    server.behind = result(2, 0x61, 0)[:sent]
    with pytest.raises(NoAnswer, match="something else than LDAP"):
        await at(server, start_tls=True).check()
    assert "bindRequest" not in server.asked


async def test_a_server_that_is_killed_is_no_answer_until_it_is_up_again(slapd: Slapd) -> None:
    slapd.load(person("mia"), group("dba", dn("mia")))
    slapd.stop()
    with pytest.raises(NoAnswer, match="cannot be reached"):
        await told(slapd, "dba")
    slapd.start()
    assert (await told(slapd, "dba")).people == addresses("mia")


@pytest.mark.parametrize("request_", ["bindRequest", "searchRequest", "extendedReq"])
async def test_a_server_that_hangs_is_given_up(server: LdapServer, request_: str) -> None:
    server.hangs_at = request_
    with pytest.raises(NoAnswer, match="did not answer in time"):
        await at(server, timeout=0.2, start_tls=request_ == "extendedReq").check()


async def test_one_that_never_begins_tls_is_given_up(server: LdapServer) -> None:
    for more in ({"url": server.url.replace("ldap:", "ldaps:")}, {"start_tls": True}):
        server.hangs_at = "TLS" if "start_tls" in more else "connection"
        with pytest.raises(NoAnswer, match="did not answer in time"):
            await at(server, timeout=0.2, **more).check()


async def test_one_that_dawdles_is_given_up_with_the_whole_look(
    server: LdapServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("providers.directories.ldap.provider._LOOK", 0.3)
    server.hangs_at = "searchRequest"
    with pytest.raises(NoAnswer, match="takes longer than"):
        await at(server, timeout=5).check()


# What it answers.

TOP = group_dn("dba")
GARBAGE = {
    "another protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "no length": b"\x30\x80\x00\x00",
    "a length of a gigabyte": b"\x30\x84\x40\x00\x00\x00",
    "a length of many bytes": b"\x30\x89" + b"\x01" * 9,
    "nothing in it": tlv(0x30),
    "an answer to nothing": result(77, 0x65, 0),
    "another kind of answer": message(2, tlv(0x69, bytes([10, 1, 0]), text(""), text(""))),
    "no code": message(2, tlv(0x65, text(""), text(""), text(""))),
    "an entry of numbers": message(2, tlv(0x64, bytes([2, 1, 1]), tlv(0x30))),
    "an attribute without values": message(2, tlv(0x64, text(TOP), tlv(0x30, tlv(0x30, text("member"))))),
    "a name that is no text": message(2, tlv(0x64, tlv(4, b"\xff\xfe"), tlv(0x30))),
    "nested for ever": message(2, tlv(0x64, b"\x30\x84\x00\x00\xff\xf0" * 4_000)),
    "two entries of one name": message(2, tlv(0x64, text(TOP), tlv(0x30))) * 2 + result(2, 0x65, 0),
}


@pytest.mark.parametrize("name", GARBAGE)
async def test_nonsense_is_no_answer(server: LdapServer, name: str) -> None:
    server.raw = GARBAGE[name]
    with pytest.raises(NoAnswer, match="something else than"):
        await at(server).members(TOP, 0.0)


async def test_a_notice_that_it_hangs_up_is_no_answer(server: LdapServer) -> None:
    server.raw = message(0, tlv(0x78, bytes([10, 1, 52]), text(""), text(""), tlv(0x8A, b"1.3.6.1.4.1.1466.20036")))
    with pytest.raises(NoAnswer, match="ended the session"):
        await at(server).members(TOP, 0.0)


async def test_more_than_five_megabytes_are_not_read(server: LdapServer) -> None:
    server.raw = (
        message(2, tlv(0x64, text(TOP), tlv(0x30, tlv(0x30, text("member"), tlv(0x31, text("x" * 900_000)))))) * 6
    )
    with pytest.raises(NoAnswer, match="more than 5 MB"):
        await at(server, timeout=5).members(TOP, 0.0)


@pytest.mark.parametrize(
    ("code", "error", "said"),
    [
        (32, Refused, "there is no entry"),
        (50, Refused, "may not read"),
        (10, Refused, "another server"),
        (34, Refused, "distinguished name"),
        (51, NoAnswer, "busy"),
        (52, NoAnswer, "not available"),
        (3, NoAnswer, "longer than it may"),
        (4, NoAnswer, "result 4"),
        (1, NoAnswer, "result 1"),
        (80, NoAnswer, "result 80"),
    ],
)
async def test_each_result_of_a_look_at_a_group(
    server: LdapServer, code: int, error: type[ProviderError], said: str
) -> None:
    server.codes["searchRequest"] = code
    with pytest.raises(error, match=said):
        await at(server).members(TOP, 0.0)


@pytest.mark.parametrize(
    ("code", "error", "said"),
    [
        (49, Refused, "bind_password"),
        (8, Refused, "TLS"),
        (13, Refused, "TLS"),
        (51, NoAnswer, "51"),
        (80, NoAnswer, "80"),
    ],
)
async def test_each_result_of_signing_in(server: LdapServer, code: int, error: type[ProviderError], said: str) -> None:
    server.codes["bindRequest"] = code
    with pytest.raises(error, match=said):
        await at(server).check()


def people_of(server: LdapServer, groups: Mapping[str, Sequence[str]], size: int, codes: Mapping[str, int]) -> None:
    """Have a server tell so many members at a time, as Active Directory does."""

    def found(base: str, attributes: list[str]) -> tuple[Entries, int]:
        if base in codes:
            return (), codes[base]
        if base not in groups:
            name = base.partition(",")[0].removeprefix("CN=")
            return (
                (base, {"objectClass": ["user"], "userAccountControl": ["512"], "mail": [f"{name}@example.com"]}),
            ), 0
        [first] = [int(each.split("=")[1].split("-")[0]) for each in attributes if ";range=" in each] or [0]
        last = min(first + size, len(groups[base]))
        place = f"member;range={first}-{'*' if last == len(groups[base]) else last - 1}"
        return ((base, {"objectClass": ["group"], "member": [], place: groups[base][first:last]}),), 0

    server.found = found


async def test_members_that_come_in_ranges_are_all_read(server: LdapServer) -> None:
    inner = "CN=inner,DC=example,DC=com"
    names = [f"p{n}" for n in range(3_200)]
    people_of(server, {TOP: [inner], inner: [f"CN={name},DC=example,DC=com" for name in names]}, 1_500, {})
    assert await at(server, timeout=5).members(TOP, 0.0) == GroupAnswer(frozenset(addresses(*names)))


async def test_a_range_that_was_not_asked_for_is_no_answer(server: LdapServer) -> None:
    def found(base: str, attributes: list[str]) -> tuple[Entries, int]:
        return ((base, {"objectClass": ["group"], "member;range=0-0": ["CN=mia,DC=example,DC=com"]}),), 0

    server.found = found
    with pytest.raises(NoAnswer, match="something else than it was asked for"):
        await at(server).members(TOP, 0.0)


@pytest.mark.parametrize("code", [10, 32, 50])
async def test_a_member_on_another_server_or_unreadable_makes_it_not_whole(server: LdapServer, code: int) -> None:
    other = "CN=eve,DC=other,DC=com"
    people_of(server, {TOP: ["CN=mia,DC=example,DC=com", other]}, 1_500, {other: code})
    assert await at(server).members(TOP, 0.0) == GroupAnswer(frozenset(addresses("mia")), whole=False)


async def test_a_server_that_is_busy_in_between_is_no_answer(server: LdapServer) -> None:
    other = "CN=eve,DC=other,DC=com"
    people_of(server, {TOP: ["CN=mia,DC=example,DC=com", other]}, 1_500, {other: 51})
    with pytest.raises(NoAnswer, match="busy"):
        await at(server).members(TOP, 0.0)


# What is written.

NAMES = [
    "CN=DBA,OU=Groups,DC=example,DC=com",
    "cn=dba, ou=groups, dc=example",
    "UID=jsmith,DC=example,DC=net",
    "OU=Sales+CN=J.  Smith,DC=example,DC=net",
    r"CN=James \"Jim\" Smith\, III,DC=example,DC=net",
    r"CN=Before\0dAfter,DC=example,DC=net",
    "1.3.6.1.4.1.1466.0=#04024869",
    r"CN=Lu\C4\8Di\C4\87",
    r"cn=ends with a space\ ,dc=example",
    "cn=Größe (x) * y/z,dc=example",
]
FLAWED = [
    "",
    "dba",
    "DBA,OU=Groups",
    "CN=",
    "CN=a,",
    "CN=a,,DC=b",
    "CN=a;DC=b",
    'CN="a"',
    "CN= a",
    "CN=a ,DC=b",
    "CN=#a",
]


@pytest.mark.parametrize("name", [*NAMES, *FLAWED, "CN=a\\", "CN=a\\g0", "CN=a\0", "=a", "C_N=a", "cn=" + "x" * 1_000])
def test_a_group_is_named_by_a_distinguished_name(name: str) -> None:
    assert is_name(name) == (name in NAMES)
    assert bool(Ldap.group_flaw(name)) == (name not in NAMES)


def test_what_ends_a_condition_in_a_filter_is_escaped() -> None:
    assert escaped("a*(b)\\\0 ü") == "a\\2a\\28b\\29\\5c\\00\\20\\c3\\bc"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("CN=DBA,OU=dc,DC=Example,DC=com", "DC=Example,DC=com"),
        ("dc=example", "dc=example"),
        ("CN=a\\,DC=b,DC=c", "DC=c"),
        ("cn=dba,o=example", ""),
        ("dc=x,o=example", ""),
    ],
)
def test_a_domain_is_the_end_of_a_name(name: str, found: str) -> None:
    assert domain(name) == found


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"url": "ldap://ldap.example.com"}, "start_tls"),
        ({"url": "ldaps://ldap.example.com", "start_tls": True}, "under TLS from the start"),
        ({"url": "https://ldap.example.com"}, "ldaps://host:port"),
        ({"url": "ldaps://ldap.example.com/dc=example"}, "ldaps://host:port"),
        ({"url": "ldaps://mia:hunter2@ldap.example.com"}, "ldaps://host:port"),
        ({"url": "ldaps://ldap.example.com:no"}, "ldaps://host:port"),
        ({"url": "ldaps://169.254.169.254"}, "link-local"),
        ({"bind_password": ""}, "at least 1 item"),
        ({"bind_dn": ""}, "at least 1 character"),
        ({"base_dn": "example.com"}, "dc=example,dc=com"),
        ({"mail": "mail)(x=*"}, "pattern"),
        ({"timeout": 6}, "less than or equal to 5"),
        ({"tls_verify": False}, "Extra inputs"),
    ],
)
def test_a_config_that_cannot_be(more: dict[str, Any], said: str) -> None:
    about = {"url": "ldaps://ldap.example.com", "bind_dn": BOT, "bind_password": PASSWORD, "base_dn": BASE}
    assert LdapConfig.model_validate(about).at == ("ldaps", "ldap.example.com", 636)
    with pytest.raises(ValidationError, match=said) as error:
        LdapConfig.model_validate({**about, **more})
    assert "hunter2" not in str(error.value)


def test_a_password_is_a_reference_and_the_library_an_extra() -> None:
    about = {"url": "ldaps://ldap.example.com", "bind_dn": BOT, "bind_password": "env:LDAP_PASSWORD", "base_dn": BASE}
    with pytest.raises(Misconfigured, match="LDAP_PASSWORD is not set"):
        registry.build("ldap", about, {})
    built = registry.build("ldap", about, {"LDAP_PASSWORD": PASSWORD})
    assert PASSWORD not in repr(built)
    lacking: Installed[Any] = Installed(
        registry.DIRECTORIES.group, "directory", "Directory", (), {"ldap": "a_module_of_nobody"}
    )
    with pytest.raises(Misconfigured, match=r"needs more: pip install 'jit-access\[ldap\]'"):
        lacking.build("ldap", about, {"LDAP_PASSWORD": PASSWORD})
    assert "ldap" in registry.DIRECTORIES.extras


def test_the_library_is_loaded_by_the_first_look_and_not_before() -> None:
    said = "import sys, providers.directories.ldap.provider; sys.exit('ldap3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", said], check=False).returncode == 0


async def test_a_look_that_is_given_up_leaves_no_connection_behind(server: LdapServer) -> None:
    server.hangs_at = "searchRequest"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await at(server, timeout=5).check()
    assert server.asked[-1] == "searchRequest"
