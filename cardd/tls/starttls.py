"""STARTTLS: a protocol that begins without TLS is asked for it (IMAP: RFC 9051, 6.2.1; SMTP: RFC 3207).

Whatever was said before TLS may be anybody's. None of it is kept: a program behind a tunnel is greeted by ``GREETING``,
and asks the server what it can do once more. Words that come with the server's consent to TLS, to be taken for words
under TLS (CVE-2011-0411), end the connection.
"""

from __future__ import annotations

import re
from typing import Literal, Protocol

from cardd.errors import UpstreamTlsFailed

StartTls = Literal["none", "imap", "smtp"]

GREETING: dict[StartTls, bytes] = {
    "none": b"",
    "imap": b"* OK IMAP4rev1 by cardd\r\n",
    "smtp": b"220 localhost ESMTP by cardd\r\n",
}
WORDS_MAX = 16 * 1024  # bytes before TLS

_SMTP_MORE = re.compile(rb"\d{3}-")


class Plain(Protocol):
    """A connection that has no TLS yet."""

    async def heard(self) -> bytes:
        """What the server says, never empty; raises UpstreamError."""
        ...

    def say(self, data: bytes) -> None:
        """Send the data."""
        ...


async def ask_for_tls(protocol: StartTls, plain: Plain, name: str) -> None:
    """Return when the server is ready for the handshake. Raises UpstreamTlsFailed, and what ``heard`` raises."""
    lines = _Lines(plain, name)
    if protocol == "imap":
        lines.expect(b"* OK", await lines.next())  # PREAUTH would leave no way to TLS (RFC 3501, 7.1.4)
        plain.say(b"a STARTTLS\r\n")
        while (line := await lines.next()).startswith(b"* "):
            continue
        lines.expect(b"a OK", line)
    else:
        lines.expect(b"220", await lines.reply())
        plain.say(b"EHLO [127.0.0.1]\r\n")
        lines.expect(b"250", await lines.reply())
        plain.say(b"STARTTLS\r\n")
        lines.expect(b"220", await lines.reply())
    lines.end()


class _Lines:
    """What the server says, by lines."""

    def __init__(self, plain: Plain, name: str) -> None:
        self._plain = plain
        self._name = name
        self._rest = b""
        self._left = WORDS_MAX

    async def next(self) -> bytes:
        """Return the next line without its end."""
        while b"\n" not in self._rest:
            data = await self._plain.heard()
            self._left -= len(data)
            if self._left < 0:
                raise self._fault()
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line.rstrip(b"\r")

    async def reply(self) -> bytes:
        """Return the last line of one of SMTP's replies."""
        while _SMTP_MORE.match(line := await self.next()):
            continue
        return line

    def expect(self, begin: bytes, line: bytes) -> None:
        """Raise UpstreamTlsFailed for a line that begins otherwise."""
        if line[: len(begin)].upper() != begin.upper() or line[len(begin) : len(begin) + 1] not in (b"", b" "):
            raise self._fault()

    def end(self) -> None:
        """Raise UpstreamTlsFailed where the server has said more than it was asked."""
        if self._rest:
            raise self._fault()

    def _fault(self) -> UpstreamTlsFailed:
        return UpstreamTlsFailed(name=self._name, why="STARTTLS")
