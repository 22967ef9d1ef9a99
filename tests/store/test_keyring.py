"""The key ring: what it seals it knows again, what others made it refuses, and it shows no key anywhere."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import stat
import subprocess
import sys
import time
import traceback
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bot.store.keyring import BadKeys, CannotDecrypt, KeyRing

KEY = bytes(range(32))
OTHER = bytes(range(32, 64))
SPELLED = base64.b64encode(KEY).decode()


def test_a_tag_names_its_key_and_is_known_again() -> None:
    ring = KeyRing({"k1": KEY})
    tag = ring.mac("record", b"body")
    assert tag.startswith("k1:")
    assert len(tag) == len("k1:") + 64
    assert ring.verify("record", b"body", tag)


def test_the_tag_is_hmac_sha256_with_a_subkey_by_hkdf() -> None:
    """By hand from RFC 5869 and RFC 2104, so that another program could check our records."""
    extracted = hmac.digest(bytes(32), KEY, hashlib.sha256)
    subkey = hmac.digest(extracted, b"jit record\x01", hashlib.sha256)
    expected = hmac.digest(subkey, b"body", hashlib.sha256).hex()
    assert KeyRing({"k1": KEY}).mac("record", b"body") == f"k1:{expected}"


@pytest.mark.parametrize(
    ("purpose", "message"), [("record", b"bodY"), ("seal", b"body"), ("record", b""), ("", b"body")]
)
def test_another_message_or_purpose_is_refused(purpose: str, message: bytes) -> None:
    ring = KeyRing({"k1": KEY})
    assert not ring.verify(purpose, message, ring.mac("record", b"body"))


@pytest.mark.parametrize(
    "tag", ["", "k1", "k1:", ":", "k2:" + "0" * 64, "k1:é", "k1:\ud800", "\ud800:x", "k1:" + "0" * 99]
)
def test_a_tag_that_is_none_is_refused_and_breaks_nothing(tag: str) -> None:
    assert not KeyRing({"k1": KEY}).verify("record", b"body", tag)


def test_every_changed_sign_of_a_tag_is_refused() -> None:
    ring = KeyRing({"k1": KEY})
    tag = ring.mac("record", b"body")
    for place in range(len(tag)):
        changed = tag[:place] + ("0" if tag[place] != "0" else "1") + tag[place + 1 :]
        assert not ring.verify("record", b"body", changed), place


def test_an_upper_case_tag_is_another_tag() -> None:
    ring = KeyRing({"k1": KEY})
    id_, _, digest = ring.mac("record", b"body").partition(":")
    assert not ring.verify("record", b"body", f"{id_}:{digest.upper()}")


def test_rotation_signs_with_the_first_key_and_still_knows_the_others() -> None:
    old = KeyRing({"k1": KEY})
    rotated = KeyRing.parse(f"k2:{base64.b64encode(OTHER).decode()},k1:{SPELLED}")
    assert rotated.verify("record", b"body", old.mac("record", b"body"))
    assert rotated.mac("record", b"body").startswith("k2:")
    assert not old.verify("record", b"body", rotated.mac("record", b"body"))


def test_the_same_id_with_another_key_is_refused() -> None:
    assert not KeyRing({"k1": OTHER}).verify("record", b"body", KeyRing({"k1": KEY}).mac("record", b"body"))


@pytest.mark.parametrize(
    "text",
    [
        f"k1:{SPELLED}",
        f"k1:{SPELLED.rstrip('=')}",
        f"  k1:{SPELLED}\n",
        f"k1:{SPELLED},\n",
        f"k1:{SPELLED},k2:{base64.b64encode(OTHER).decode()}",
        f"k1:{SPELLED}\r\nk2:{base64.urlsafe_b64encode(OTHER).decode()}\r\n",
        f"k1:{base64.urlsafe_b64encode(KEY).decode()}, k2:{base64.b64encode(OTHER).decode()}",
    ],
)
def test_a_ring_is_read_with_commas_or_lines_and_either_alphabet(text: str) -> None:
    assert KeyRing.parse(text).mac("p", b"m") == KeyRing({"k1": KEY}).mac("p", b"m")


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("", "key 1 is not of the form"),
        (" \n, ", "key 1 is not of the form"),
        (SPELLED, "key 1 is not of the form"),
        (f"k1:{SPELLED} k2:abc", "key 2 is not of the form"),
        (f"k 1:{SPELLED}", "key 1 is not of the form"),
        (f"{'k' * 17}:{SPELLED}", "key 1 is not of the form"),
        (f"k1:{SPELLED},k1:{SPELLED}", "k1 is there twice"),
        (f"k1:{base64.b64encode(bytes(33)).decode()}", "32 bytes"),
        (f"k1:{base64.b64encode(bytes(31)).decode()}", "32 bytes"),
        ("k1:" + "A" * 20 + "=" + "A" * 23, "key 1 is not base64|32 bytes"),
    ],
)
def test_a_ring_that_cannot_be_used_says_which_key_and_shows_none(text: str, phrase: str) -> None:
    with pytest.raises(BadKeys, match=phrase) as caught:
        KeyRing.parse(text)
    shown = "".join(traceback.format_exception_only(caught.value)) + repr(caught.value.args)
    assert SPELLED not in shown
    assert SPELLED[:12] not in shown


def test_an_empty_ring_is_refused() -> None:
    with pytest.raises(BadKeys, match="at least one key"):
        KeyRing({})


def test_what_is_spelled_is_read_again() -> None:
    ring = KeyRing.generate("k7")
    assert KeyRing.parse(ring.spelled()).verify("p", b"m", ring.mac("p", b"m"))


def test_two_generated_rings_differ() -> None:
    assert not KeyRing.generate().verify("p", b"m", KeyRing.generate().mac("p", b"m"))


def test_a_repr_names_the_ids_only() -> None:
    ring = KeyRing({"k1": KEY, "old": OTHER})
    ring.mac("p", b"m")
    assert repr(ring) == str(ring) == f"{ring}" == "KeyRing(k1, old)"


def test_the_file_is_made_once_and_for_us_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    before = os.umask(0)
    try:
        made = KeyRing.load_or_create(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert KeyRing.load_or_create(path).verify("p", b"m", made.mac("p", b"m"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_a_file_that_others_may_read_is_refused_with_what_to_do(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "keys"
    KeyRing.load_or_create(path)
    path.chmod(mode)
    with pytest.raises(BadKeys, match=f"chmod 600 {path}"):
        KeyRing.load_or_create(path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe" + SPELLED.encode(), b"k1:" + b"A" * 100_000])
def test_a_file_that_holds_no_ring_is_refused_not_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "keys"
    path.touch(0o600)
    path.write_bytes(content)
    with pytest.raises(BadKeys) as caught:
        KeyRing.load_or_create(path)
    assert SPELLED not in repr(caught.value)
    assert path.read_bytes() == content


def test_who_comes_second_takes_the_ring_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when there was none yet as it looked."""
    path = tmp_path / "keys"
    made = KeyRing.load_or_create(path)
    monkeypatch.setattr(Path, "exists", lambda _: False)
    assert KeyRing.load_or_create(path).verify("p", b"m", made.mac("p", b"m"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys"]


def test_processes_that_race_for_the_first_ring_all_have_the_same(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from bot.store.keyring import KeyRing; input(); "
    code += "print(KeyRing.load_or_create(Path(sys.argv[1])).mac('p', b'm'))"
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "keys")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    said = []
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    for racer in racers:
        said.append(racer.communicate(timeout=30)[0])
        assert racer.returncode == 0
    assert len(set(said)) == 1


def test_sealing_a_record_costs_microseconds() -> None:
    """Each read of a record verifies one. What counts is the time of this thread, however busy the machine is."""
    ring, body = KeyRing.generate(), bytes(1024)
    ring.mac("record", body)
    best = min(_seconds(ring, body) for _ in range(5))
    assert best < 40e-6


def _seconds(ring: KeyRing, body: bytes) -> float:
    started = time.thread_time()
    for _ in range(200):
        ring.mac("record", body)
    return (time.thread_time() - started) / 200


# encryption

BOUND = b"mia\0f1"


def test_what_was_encrypted_is_decrypted_for_the_same_purpose_and_place_alone() -> None:
    ring = KeyRing({"k1": KEY})
    text = ring.encrypt("factors", b"the seed", BOUND)
    assert ring.decrypt("factors", text, BOUND) == b"the seed"
    others = (
        (ring, "other", text, BOUND),
        (ring, "factors", text, b"dan\0f1"),
        (ring, "factors", text, b""),
        (KeyRing({"k1": OTHER}), "factors", text, BOUND),
        (KeyRing({"k2": KEY}), "factors", text, BOUND),
    )
    for reader, purpose, given, bound in others:
        with pytest.raises(CannotDecrypt):
            reader.decrypt(purpose, given, bound)


def test_it_is_aes_256_gcm_with_a_subkey_that_no_mac_uses() -> None:
    """By hand from RFC 5869, so that another program could read it."""
    extracted = hmac.digest(bytes(32), KEY, hashlib.sha256)
    subkey = hmac.digest(extracted, b"jit encrypt factors\x01", hashlib.sha256)
    id_, _, encoded = KeyRing({"k1": KEY}).encrypt("factors", b"the seed", BOUND).partition(":")
    sealed = base64.urlsafe_b64decode(encoded)
    assert id_ == "k1"
    assert len(sealed) == 12 + len(b"the seed") + 16
    assert AESGCM(subkey).decrypt(sealed[:12], sealed[12:], BOUND) == b"the seed"


def test_the_same_is_encrypted_differently_each_time() -> None:
    ring = KeyRing({"k1": KEY})
    assert len({ring.encrypt("factors", b"the seed", BOUND)[:19] for _ in range(1_000)}) == 1_000


def test_every_changed_sign_of_a_ciphertext_is_refused() -> None:
    ring = KeyRing({"k1": KEY})
    text = ring.encrypt("factors", b"the seed", BOUND)
    for place in range(len(text)):
        changed = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
        with pytest.raises(CannotDecrypt):
            ring.decrypt("factors", changed, BOUND)


@pytest.mark.parametrize("text", ["", "k1", "k1:", ":", "k2:AAAA", "k1:é", "k1:\ud800", "k1:A", "k1:AAAA", "k1:%%%%"])
def test_what_was_never_encrypted_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(CannotDecrypt) as said:
        KeyRing({"k1": KEY}).decrypt("factors", text, BOUND)
    shown = "".join(traceback.format_exception(said.value))
    assert "UnicodeEncodeError" not in shown
    assert "binascii" not in shown
    assert len(text) < 4 or text not in str(said.value)


def test_after_a_rotation_both_keys_decrypt_and_the_first_encrypts() -> None:
    old = KeyRing({"k1": KEY}).encrypt("factors", b"the seed", BOUND)
    ring = KeyRing({"k2": OTHER, "k1": KEY})
    assert ring.decrypt("factors", old, BOUND) == b"the seed"
    new = ring.encrypt("factors", b"the seed", BOUND)
    assert (ring.is_current(old), ring.is_current(new)) == (False, True)
    assert KeyRing({"k2": OTHER}).decrypt("factors", new, BOUND) == b"the seed"
