"""The typed inputs of a role: what the policy may say of them, and what becomes of what people type."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bot.core import ssh_keys
from bot.core.errors import BadInput
from bot.policy import bindings
from bot.policy.catalog import Catalog
from bot.policy.inputs import InputShape, checked
from tests.policy.policies import HERE, WHOLE, catalog, marked, mistakes

ROLES = "grants: {member_of: [app_readers]}"
ASKS = """\
grants: {member_of: [{ask: group}], database: {ask: database}}
        asks:
          group: {choice: [app_readers, audit_readers]}
          database: {pattern: "[a-z]+", example: app}"""


def asking(new: str = ASKS, **more: str) -> str:
    """The policy with another role; ``more``: other parts of it, by what they replace."""
    text = WHOLE.replace(ROLES, new)
    for old, other in more.items():
        assert old in text
        text = text.replace(old, other)
    return text


def read(new: str = ASKS) -> Catalog:
    """The catalog of it."""
    return catalog(asking(new))


BAD = {
    # What is written in place of the role's grants: (path below the role, what is said, the hint)
    "no kind": (
        "grants: {member_of: [{ask: x}]}\n        asks: {x: ‸{title: X}}",
        "asks.x",
        "an input is one of `choice: […]`",
        "",
    ),
    "two kinds": (
        "grants: {member_of: [{ask: x}]}\n        asks: {x: ‸{choice: [a, b], ssh_public_key: true}}",
        "asks.x",
        "an input is one of `choice: […]`",
        "",
    ),
    "one choice": (
        "grants: {member_of: [{ask: x}]}\n        asks: {x: ‸{choice: [a]}}",
        "asks.x",
        "a `choice` has 2 to 50 values",
        "",
    ),
    "a choice twice": (
        "grants: {member_of: [{ask: x}]}\n        asks: {x: ‸{choice: [a, a]}}",
        "asks.x",
        "a `choice` is here twice",
        "",
    ),
    "a choice that is a number": (
        "grants: {member_of: [{ask: x}]}\n        asks: {x: {choice: [a, ‸8]}}",
        "asks.x.choice.1",
        "this should be text",
        "in quotes",
    ),
    "a choice that nobody could type": (
        'grants: {member_of: [{ask: x}]}\n        asks: {x: {choice: [a, ‸"b  c"]}}',
        "asks.x.choice.1",
        "single blanks",
        "",
    ),
    "a pattern without an example": (
        "grants: {member_of: [{ask: x}]}\n        asks: {x: ‸{pattern: a+}}",
        "asks.x",
        "needs an `example`",
        "",
    ),
    "an example that fits in part": (
        "grants: {member_of: [{ask: x}]}\n        asks: {x: ‸{pattern: a+, example: aab}}",
        "asks.x",
        "the whole `example` has to fit",
        "",
    ),
    "a pattern that takes for ever": (
        'grants: {member_of: [{ask: x}]}\n        asks: {x: {pattern: ‸"(a+)+", example: a}}',
        "asks.x.pattern",
        "could take for ever",
        "",
    ),
    "a default that is no choice": (
        "grants: {member_of: [{ask: x}]}\n        asks: {x: ‸{choice: [a, b], default: c}}",
        "asks.x",
        "the `default` would be refused",
        "",
    ),
    "a default of a key": (
        "grants: {member_of: [{ask: x}]}\n        asks: {x: ‸{ssh_public_key: true, default: c}}",
        "asks.x",
        "the `default` would be refused",
        "",
    ),
    "an unknown key": (
        "grants: {member_of: [{ask: x}]}\n        asks: {x: {choice: [a, b], ‸defualt: a}}",
        "asks.x.defualt",
        "no key `defualt`",
        "`default`",
    ),
    "a name that is none": (
        "grants: {member_of: [{ask: data-base}]}\n        asks: {‸Data Base: {choice: [a, b]}}",
        "asks.Data Base",
        "is no name",
        "`data-base`? a name has letters, digits, dashes and underscores",
    ),
    "an input that nothing uses": (
        "grants: {member_of: [a]}\n        asks: {x: ‸{choice: [a, b]}}",
        "asks.x",
        "nothing in `grants` uses the input `x`",
        "`{ask: x}`",
    ),
    "a reference to none": (
        "grants: {member_of: [‸{ask: databse}], database: {ask: database}}\n        asks: {database: {choice: [a, b]}}",
        "grants.member_of.0",
        "there is no input `databse`",
        "`database`",
    ),
    "a reference to one that is spelt otherwise": (
        "grants: {member_of: [‸{ask: a-b}], database: {ask: a_b}}\n        asks: {a_b: {choice: [a, b]}}",
        "grants.member_of.0",
        "there is no input `a-b`",
        "`a_b`",
    ),
    "a reference without asks": (
        "grants: {member_of: [‸{ask: database}]}",
        "grants.member_of.0",
        "there is no input `database`",
        "`asks`",
    ),
    "a choice that its provider refuses": (
        "grants: {member_of: [{ask: x}]}\n        asks: {x: {choice: [a, ‸pg_signal_backend]}}",
        "asks.x.choice.1",
        "pg_signal_backend is never granted",
        "",
    ),
    "an example that its provider refuses": (
        'grants: {member_of: [a], login: {ask: x}}\n        asks: {x: {pattern: "[a-z]+", example: ‸theirs}}',
        "asks.x.example",
        "`theirs` does not fit `grants.login`",
        "",
    ),
    "a choice that reveals secrets of the system": (
        "grants: {member_of: [{ask: x}]}\n        asks: {x: {choice: [a, ‸pg_read_all_data]}}",
        "asks.x.choice.1",
        "so it is not low",
        "high or critical",
    ),
    "what is wrong without any input": (
        "grants: {member_of: [{ask: x}], lgin: ‸own}\n        asks: {x: {choice: [a, b]}}",
        "grants.lgin",
        "",
        "",
    ),
    "a reference within a text": (
        'grants: {member_of: [‸"{ask: x}_readers"]}\n        asks: {x: {choice: [a, b]}}',
        "grants.member_of.0",
        "nothing is put into a text",
        "without quotes",
    ),
    "a choice that is no list": (
        "grants: {member_of: [{ask: x}]}\n        asks: {x: {choice: ‸a}}",
        "asks.x.choice",
        "this should be a list",
        "[a]",
    ),
    "text that is to be filled in where an input belongs": (
        'grants: {member_of: [‸"${x}"]}\n        asks: {x: {choice: [a, b]}}',
        "grants.member_of.0",
        "nothing is filled in here",
        "`{ask: x}`",
    ),
    "text that is to be filled in": (
        'grants: {member_of: [‸"${database}"]}',
        "grants.member_of.0",
        "nothing is filled in here",
        "`{ask: database}`",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_mistake_is_told_once_with_its_place(name: str) -> None:
    new, path, phrase, hint = BAD[name]
    text, places = marked(asking(new))
    found = mistakes(text)
    assert [mistake.path for mistake in found] == [f"systems.prod-db.roles.read-only.{path}"], found
    assert [mistake.mark for mistake in found] == places
    assert phrase in found[0].sentence
    assert hint in found[0].hint


def test_roles_of_a_template_ask_alike_for_what_is_asked_for_once() -> None:
    admin = "grants: {member_of: [{ask: group}]}\n        asks: {group: {choice: [prod_admin, prod_owner]}}"
    text = asking().replace("grants: {member_of: [prod_admin]}", admin)
    assert mistakes(text) == ()
    both = text.replace("[prod-db/read-only]", f"[prod-db/read-only, {HERE}prod-db/admin]")
    both, places = marked(both.replace("[30m, 1h, 4h]", "[30m]"))
    found = mistakes(both)
    assert [(m.path, m.mark) for m in found] == [("templates.debug.roles.1", places[0])]
    assert "`group` takes other values here than in `prod-db/read-only`" in found[0].sentence
    alike = both.replace("[prod_admin, prod_owner]", "[app_readers, audit_readers], title: Whose")
    debug = catalog(alike).find("debug")
    assert debug
    assert [(name, shape.title) for name, shape in debug.inputs.items()] == [("group", None), ("database", None)]


def test_a_form_has_room_for_what_a_template_asks_for() -> None:
    names = [f"x{n}" for n in range(6)]
    roles = []
    for names_ in (names, [f"y{n}" for n in range(6)]):
        uses = ", ".join(f"{{ask: {name}}}" for name in names_)
        defined = ", ".join(f'{name}: {{pattern: "[a-z0-9]+", example: {name}}}' for name in names_)
        roles.append(f"grants: {{member_of: [{uses}]}}\n        asks: {{{defined}}}")
    text = asking(roles[0]).replace("grants: {member_of: [prod_admin]}", roles[1])
    text = text.replace("[prod-db/read-only]", "[prod-db/read-only, prod-db/admin]").replace("[30m, 1h, 4h]", "[30m]")
    (found,) = mistakes(text)
    assert "ask for 12 inputs, and a form has at most 10" in found.sentence


def test_a_role_without_inputs_grants_what_it_did() -> None:
    before, after = catalog(WHOLE).role("prod-db", "admin"), read().role("prod-db", "admin")
    assert before
    assert after
    assert before.digest == after.digest


@pytest.mark.parametrize("name", ["x", "Public_Key", "9z", "a-b_C9", "x" * 40])
def test_a_name_has_letters_digits_dashes_and_underscores(name: str) -> None:
    role = read(f"grants: {{member_of: [{{ask: {name}}}]}}\n        asks: {{{name}: {{choice: [a, b]}}}}").role(
        "prod-db", "read-only"
    )
    assert role
    assert list(role.asks) == [name]


# what people type


@pytest.mark.parametrize(
    ("text", "value"),
    [("app", "app"), (" app ", "app"), ("APP", "app"), ("Audit Log", "Audit Log"), ("audit  log", "Audit Log")],
)
def test_a_choice_is_found_as_it_is_typed(text: str, value: str) -> None:
    shape = InputShape.model_validate({"choice": ["app", "Audit Log"]})
    assert shape.check("x", text) == value


def test_a_choice_that_differs_in_capitals_alone_has_to_be_exact() -> None:
    shape = InputShape.model_validate({"choice": ["app", "App"]})
    assert [shape.check("x", text) for text in ("app", "App")] == ["app", "App"]
    with pytest.raises(BadInput, match="choice"):
        shape.check("x", "APP")


@pytest.mark.parametrize(("pattern", "example"), [(r"\w+", "\u0440rod"), ("(?i)[a-z]+", "key\u017f")])
def test_an_example_with_a_letter_of_another_alphabet_does_not_fit(pattern: str, example: str) -> None:
    with pytest.raises(ValidationError, match="the whole `example` has to fit"):
        InputShape.model_validate({"pattern": pattern, "example": example})


@pytest.mark.parametrize(
    ("shape", "text", "problem"),
    [
        ({"choice": ["a", "b"]}, "", "missing"),
        ({"choice": ["a", "b"]}, "c", "choice"),
        ({"pattern": "[a-z]+", "example": "a"}, "a1", "form"),
        ({"pattern": "[a-z]+", "example": "a"}, "a; DROP TABLE x", "form"),
        ({"pattern": "[a-z]+", "example": "a"}, "a" * 201, "long"),
        ({"pattern": "[a-z]+", "example": "a"}, "\u200b", "missing"),
        ({"pattern": r"\w+", "example": "prod"}, "\u0440rod", "form"),
        ({"pattern": r"\d+", "example": "7"}, "\u0667", "form"),
        ({"pattern": "(?i)[a-z]+", "example": "Keys"}, "key\u017f", "form"),
        ({"pattern": "(?i)[a-z]+", "example": "Keys"}, "\u212aeys", "form"),
        ({"ssh_public_key": True}, "x", "key"),
        ({"ssh_public_key": True}, "ssh-ed25519 " + "A" * 3000, "long"),
    ],
)
def test_what_will_not_do_is_refused(shape: dict[str, Any], text: str, problem: str) -> None:
    with pytest.raises(BadInput) as refused:
        InputShape.model_validate(shape).check("x", text)
    assert (refused.value.name, refused.value.problem) == ("x", problem)


def test_a_default_stands_for_nothing_typed() -> None:
    shape = InputShape.model_validate({"choice": ["a", "b"], "default": "b"})
    assert checked({"x": shape}, "role", {}) == {"x": "b"}
    with pytest.raises(BadInput, match="unasked"):
        checked({"x": shape}, "role", {"y": "b"})


@given(st.text(max_size=300))
def test_what_passes_is_what_the_policy_says_to_the_last_sign(text: str) -> None:
    asks = {
        "choice": InputShape.model_validate({"choice": ["app", "Audit"]}),
        "pattern": InputShape.model_validate({"pattern": "[a-z-]{1,20}", "example": "a"}),
    }
    for name, shape in asks.items():
        try:
            value = shape.check(name, text)
        except BadInput:
            continue
        assert shape.takes(value)
        assert value in {"app", "Audit"} or (value.isascii() and set(value) <= set("abcdefghijklmnopqrstuvwxyz-"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4), st.text(max_size=50))
def test_a_value_gets_where_it_is_named_and_nowhere_else(grants: dict[str, Any], value: str) -> None:
    whole = {**grants, "here": {"ask": "x"}, "there": [{"deep": {"ask": "x"}}, "{ask: x}", "{x}", "x"]}
    known = {name: value for _, name in bindings.references(whole)}
    found = bindings.bound(whole, known)
    assert found["here"] == value
    assert found["there"] == [{"deep": value}, "{ask: x}", "{x}", "x"]
    plain = {key: part for key, part in grants.items() if not list(bindings.references({key: part}))}
    assert {key: found[key] for key in plain if key not in {"here", "there"}} == {
        key: part for key, part in plain.items() if key not in {"here", "there"}
    }


# SSH public keys


def _line(key: Any) -> str:
    public = key.public_key()
    return str(public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode())


@pytest.mark.parametrize(
    "key",
    [
        ed25519.Ed25519PrivateKey.generate(),
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP521R1()),
        rsa.generate_private_key(65537, 3072),
    ],
    ids=["ed25519", "p256", "p384", "p521", "rsa"],
)
def test_a_key_is_its_type_and_its_base64(key: Any) -> None:
    line = _line(key)
    for text in (line, f" {line} mia@laptop ", f"{line}\tand more words"):
        assert ssh_keys.normalized(text) == line


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "begin with one of"),
        ("mia", "begin with one of"),
        ("ssh-ed25519", "begin with one of"),
        ('command="sh" ' + ssh_keys.EXAMPLE, "begin with one of"),
        ("ssh-dss AAAAB3NzaC1kc3M=", "begin with one of"),
        ("-----BEGIN OPENSSH PRIVATE KEY----- b3BlbnNzaC1rZXktdjEA", "private key"),
        ("ssh-ed25519 AAAA", "damaged"),
        (ssh_keys.EXAMPLE[:-8], "damaged"),
        (ssh_keys.EXAMPLE + "AAAA", "damaged"),
        (ssh_keys.EXAMPLE.replace("ssh-ed25519", "ssh-rsa"), "damaged"),
        (ssh_keys.EXAMPLE.replace("ssh-ed25519 ", "ssh-ed25519 'x'"), "damaged"),
    ],
)
def test_what_is_no_such_key_is_refused_and_not_repeated(text: str, why: str) -> None:
    with pytest.raises(ssh_keys.BadKey) as refused:
        ssh_keys.normalized(text)
    assert why in str(refused.value)
    assert "b3Blbn" not in str(refused.value)


def test_a_short_rsa_key_is_refused() -> None:
    with pytest.raises(ssh_keys.BadKey, match="3072 to 8192 bits, and this has 2048"):
        ssh_keys.normalized(_line(rsa.generate_private_key(65537, 2048)))


@given(st.text(max_size=200))
def test_text_is_a_key_or_is_refused(text: str) -> None:
    for whole in (text, f"ssh-ed25519 {text}", f"{ssh_keys.EXAMPLE}{text}"):
        try:
            found = ssh_keys.normalized(whole)
        except ssh_keys.BadKey:
            continue
        assert ssh_keys.normalized(found) == found
        assert found == ssh_keys.EXAMPLE


def test_a_fingerprint_is_that_of_ssh_keygen(tmp_path: Path) -> None:
    file = tmp_path / "key.pub"
    file.write_text(ssh_keys.EXAMPLE + "\n", encoding="utf-8")
    try:
        said = subprocess.run(["ssh-keygen", "-l", "-f", file], capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        pytest.skip("there is no ssh-keygen here")
    assert said.split()[1] == ssh_keys.fingerprint(ssh_keys.EXAMPLE).split()[1]
