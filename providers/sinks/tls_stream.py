"""A TLS connection of which it is known how it ended; it reads nothing that is said, and waits for no answer.

`ssl.SSLSocket.unwrap` takes a receiver that turned us away for one that is done: OpenSSL counts a fatal alert as an
end, and under TLS 1.3 a certificate is judged after the handshake seems over. So the end is read here.
"""

from __future__ import annotations

import array
import errno
import fcntl
import os
import socket
import ssl
import sys
import termios
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_CHUNK = 65_536


class TlsStream:
    """One connection, in blocking calls; each step may take the socket's timeout. All raise `OSError`."""

    def __init__(self, plain: socket.socket, context: ssl.SSLContext, name: str) -> None:
        """Over a connected socket, with a receiver whose certificate must bear ``name``."""
        self._plain = plain
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        # Early releases of Python 3.11 set it, and then take a connection that broke for one that was ended.
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=name)

    def shake_hands(self) -> None:
        """The handshake."""
        self._step(self._tls.do_handshake)

    def send(self, data: bytes) -> None:
        """All of it."""
        if data:
            self._tls.write(data)
            self._flush()

    def ended(self) -> bool:
        """Say that we are done, and read to the end; whether the other side said so too, and not only hung up."""
        try:
            self._tls.unwrap()
        except ssl.SSLWantReadError:
            self._flush()
        try:
            # The other side's end may be an error or nothing, by the version of Python; a fatal alert is an error.
            while self._step(lambda: self._tls.read(_CHUNK)):
                pass
        except ssl.SSLZeroReturnError:
            pass
        except ssl.SSLError as error:
            if isinstance(error, ssl.SSLEOFError) or error.reason == "UNEXPECTED_EOF_WHILE_READING":
                return False
            raise
        while self._plain.recv(_CHUNK):
            pass
        return True

    def acknowledged(self) -> bool:
        """Whether the other side's kernel has every byte; False also where that cannot be told.

        An end that crossed our last bytes came before they were read: they are answered by a reset.
        """
        if sys.platform != "linux":
            return False
        deadline = time.monotonic() + (self._plain.gettimeout() or 0)
        while self._unacknowledged():
            self.raise_reset()
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(0.001)
        self.raise_reset()
        return True

    def raise_reset(self) -> None:
        """Raise what the connection has met since it ended."""
        if code := self._plain.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(code, os.strerror(code))

    def close(self) -> None:
        """Let go of it."""
        self._plain.close()

    def _unacknowledged(self) -> int:
        waiting = array.array("i", [0])
        fcntl.ioctl(self._plain.fileno(), termios.TIOCOUTQ, waiting)
        return waiting[0]

    def _step(self, deed: Callable[[], T]) -> T:
        """Do it, with as much reading and writing as it needs."""
        while True:
            try:
                done = deed()
            except ssl.SSLWantReadError:
                self._flush()
                if data := self._plain.recv(_CHUNK):
                    self._in.write(data)
                else:
                    self._in.write_eof()
            else:
                self._flush()
                return done

    def _flush(self) -> None:
        if data := self._out.read():
            try:
                self._plain.sendall(data)
            except BrokenPipeError:
                raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)) from None
