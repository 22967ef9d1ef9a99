"""SSH public keys as people paste them: parsed, checked for strength, normalised; it never repeats what was pasted."""

from __future__ import annotations

import base64
import hashlib

LONGEST = 3000
"""Characters of a pasted key that are read."""
EXAMPLE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMpV3HeJDpjrASKGLWdop"
"""A key whose private half nobody keeps, to check a policy with."""
_FEWEST_BITS, _MOST_BITS = 3072, 8192
_CURVES = ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")
KINDS = ("ssh-ed25519", *_CURVES, "ssh-rsa")
"""How a key begins that is taken."""


class BadKey(ValueError):
    """Text that is no key which is taken; its message says why and what to do."""


def normalized(text: str) -> str:
    """Its type and its base64, without options and comment. Raises `BadKey`."""
    if "PRIVATE KEY" in text:
        raise BadKey("this is a private key: keep it secret, replace it if others saw it, and paste the `.pub` file")
    kind, encoded, *_ = [*text.split(), "", ""]
    if kind not in KINDS or not encoded:
        raise BadKey(f"it has to begin with one of {', '.join(KINDS)}, as the `.pub` file does")
    return _checked(kind, encoded)


def _checked(kind: str, encoded: str) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415  # most processes never parse a key
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415

    try:
        key = serialization.load_ssh_public_key(f"{kind} {encoded}".encode())
    except (ValueError, UnsupportedAlgorithm):
        raise BadKey("it is damaged or cut off; copy the whole line of the `.pub` file") from None
    if isinstance(key, RSAPublicKey) and not _FEWEST_BITS <= key.key_size <= _MOST_BITS:
        raise BadKey(
            f"an RSA key needs {_FEWEST_BITS} to {_MOST_BITS} bits, and this has {key.key_size}; "
            "`ssh-keygen -t ed25519` makes a better one"
        )
    said = key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return said.decode()


def fingerprint(key: str) -> str:
    """A normalised key as `ssh-keygen -l` names it, behind its type."""
    kind, _, encoded = key.partition(" ")
    digest = hashlib.sha256(base64.b64decode(encoded)).digest()
    return f"{kind} SHA256:{base64.b64encode(digest).decode().rstrip('=')}"
