"""People are told apart by ASCII addresses: what Unicode folds into one address is never one person."""

from __future__ import annotations

import unicodedata

import pytest

from bot.access.revoke import RevokeTarget
from bot.core.errors import NotAMember, UnknownPerson
from bot.core.identity import NotAnIdentity, identity_of, identity_or_none
from bot.core.request import Person
from handlers.slack import payloads
from handlers.slack.membership import member
from providers.systems.postgresql.params import PostgresConfig
from tests.handlers.views.drawing import request

ALIKE = {
    "long s": "\u017fam@example.com",
    "Kelvin sign": "\u212aim@example.com",
    "sharp s": "stra\u00dfe@example.com",
    "fullwidth": "\uff53am@example.com",
    "fullwidth at": "sam\uff20example.com",
    "dotless i": "m\u0131a@example.com",
    "dotted capital I": "M\u0130A@example.com",
    "Cyrillic a": "s\u0430m@example.com",
    "Cyrillic domain": "sam@ex\u0430mple.com",
    "ideographic full stop": "sam@example\u3002com",
    "combining dot": "sa\u0323m@example.com",
    "zero width joiner": "sa\u200dm@example.com",
    "no-break space": "sam@example.com\u00a0",
    "ligature": "o\ufb03ce@example.com",
}


@pytest.mark.parametrize("address", ["Sam@Example.COM", "SAM@example.com", "sam@example.com"])
def test_case_makes_no_other_person(address: str) -> None:
    assert identity_of(address) == "sam@example.com"


def test_a_domain_in_its_ascii_form_is_one() -> None:
    assert identity_of("sam@XN--exmple-4nf.com") == "sam@xn--exmple-4nf.com"


@pytest.mark.parametrize("address", ALIKE.values(), ids=ALIKE)
def test_an_address_that_is_not_ascii_is_nobodys(address: str) -> None:
    with pytest.raises(NotAnIdentity, match=r"U\+[0-9A-F]{4}.* is not an ASCII letter") as refused:
        identity_of(address)
    assert "write the address in ASCII" in str(refused.value)
    assert identity_or_none(address) is None
    folded = unicodedata.normalize("NFKC", address).casefold()
    assert identity_or_none(folded) != address


@pytest.mark.parametrize(
    "address", ["", "sam", "@example.com", "sam@", "a@b@c", "a b@c.example", "<sam@x>", "s\x00@x.y"]
)
def test_what_is_no_address_is_nobodys(address: str) -> None:
    assert identity_or_none(address) is None


@pytest.mark.parametrize("address", ALIKE.values(), ids=ALIKE)
def test_an_account_with_such_an_address_is_refused(address: str) -> None:
    with pytest.raises(NotAMember, match="odd_email"):
        member({"id": "USAM", "team_id": "T1", "profile": {"email": address}}, "T1")


@pytest.mark.parametrize("address", ALIKE.values(), ids=ALIKE)
def test_such_an_address_takes_away_nobody_elses_access(address: str) -> None:
    mia = Person(workspace="T1", id="UMIA", identity="mia@example.com", email="mia@example.com")
    for one in (mia, mia.model_copy(update={"identity": "sam@example.com"})):
        assert not RevokeTarget(email=address).fits(request().model_copy(update={"requester": one}))
    with pytest.raises(UnknownPerson):
        payloads.target(f"@{address}", ())


def test_logins_are_told_apart_likewise() -> None:
    with pytest.raises(ValueError, match="not ASCII"):
        PostgresConfig.model_validate({"dsn": "postgresql://x", "logins": {ALIKE["long s"]: "sam"}})
