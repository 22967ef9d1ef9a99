"""The archives of the audit tests."""

from __future__ import annotations

from tests.audit.conftest import archive, postgres, signer, url

__all__ = ["archive", "postgres", "signer", "url"]
