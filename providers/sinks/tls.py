"""Whom a sink trusts and who it says that it is, over TLS; there is no way to switch the checking off."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Self

from pydantic import model_validator

from providers.base import Frozen
from providers.http_client import connection_error
from providers.sinks.base import NotDelivered


class Tls(Frozen):
    """Part of a config: files in PEM. Without ``ca`` the machine's own authorities are trusted."""

    ca: Path | None = None
    certificate: Path | None = None
    """The client's, with its chain."""
    key: Path | None = None
    """The key of the client's certificate."""

    @model_validator(mode="after")
    def _both(self) -> Self:
        if bool(self.certificate) != bool(self.key):
            raise ValueError("`certificate` and `key` belong together: give both, or none")
        return self

    def context(self) -> ssl.SSLContext:
        """A client's context, TLS 1.2 or later. Raises `NotDelivered` for a file that cannot be used."""
        try:
            context = ssl.create_default_context(cafile=self.ca)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if self.certificate and self.key:
                # Without a password, so that a key that has one is an error and no question at the terminal.
                context.load_cert_chain(self.certificate, self.key, password="")
        except (OSError, ssl.SSLError) as error:
            files = ", ".join(str(path) for path in (self.ca, self.certificate, self.key) if path)
            raise NotDelivered(f"the TLS files ({files}) cannot be used: {connection_error(error)}") from None
        return context
