"""Who types at a terminal is the kernel's to say; a name in the environment changes nothing."""

from __future__ import annotations

import os
import socket

import pytest

from bot import local_account
from bot.local_account import Evidence, whose

CASES = {
    "an account of its own": (Evidence(1000), 1000, ""),
    "one that logged in": (Evidence(1000, login=1000), 1000, ""),
    "SUDO_UID of somebody who is not root": (Evidence(1000, sudo="1001"), 1000, ""),
    "an account taken on by another": (Evidence(1000, login=1001), 1000, "uid 1001 logged in"),
    "an account taken on from root": (Evidence(1000, login=0), 1000, ""),
    "sudo after a login": (Evidence(0, login=1000, sudo="1000"), 1000, ""),
    "SUDO_UID that the login belies": (Evidence(0, login=1000, sudo="1001"), 1000, ""),
    "sudo where nobody logged in": (Evidence(0, sudo="1001"), 1001, ""),
    "root": (Evidence(0), 0, "this is root"),
    "root who logged in": (Evidence(0, login=0), 0, "this is root"),
    "root with junk": (Evidence(0, sudo="x"), 0, "this is root"),
    "root who says root": (Evidence(0, sudo="0"), 0, "this is root"),
    "root with another number": (Evidence(0, sudo="٣"), 0, "this is root"),
    "root of a namespace of their own": (Evidence(0, sudo="1001", own_namespace=True), 0, "user namespace"),
    "whoever they like in a namespace": (Evidence(1001, own_namespace=True), 1001, "user namespace"),
}


@pytest.mark.parametrize(("evidence", "uid", "doubt"), CASES.values(), ids=CASES)
def test_the_account_is_the_kernels(evidence: Evidence, uid: int, doubt: str) -> None:
    found, why = whose(evidence)
    assert found == uid
    assert why.startswith(doubt) if not doubt else doubt in why


@pytest.mark.parametrize("name", ["LOGNAME", "USER", "LNAME", "USERNAME"])
def test_a_name_in_the_environment_changes_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "somebody-else")
    account = local_account.account(os.environ)
    assert "somebody-else" not in account.by
    assert account.by.endswith(f"@{socket.gethostname()}")


def test_an_account_without_a_name_is_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_account, "_evidence", lambda _: Evidence(54_321_098))
    assert local_account.account({}).name == "uid54321098"
