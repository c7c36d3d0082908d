"""Whether the certificate of a configured server, or one above it, was revoked: asked before anything is sent to it.

The server may have brought its authority's answer with it (OCSP stapling, RFC 6066). Else the certificates name whom
to ask (OCSP, then revocation lists); answers are kept. The path is the one that TLS has
verified. EX_0.X-1070 wants a server's certificate checked; that its revocation is too, REC_0.X-1090 recommends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from cardd.config import Upstream
from cardd.errors import UpstreamNotVouchedFor, UpstreamRevoked
from cardd.ports import Clock
from cardd.values import Value

if TYPE_CHECKING:
    from pyhanko_certvalidator.path import ValidationPath

    from cardd.formats.revocation import Answers, Network
    from cardd.formats.verified import Revocation

LIMIT = 5.0  # seconds for all answers, where the connection is not to fail without them
SOURCES = (b"\x06\x08\x2b\x06\x01\x05\x05\x07\x01\x01", b"\x06\x03\x55\x1d\x1f")  # authority access; points of lists
_log = logging.getLogger(__name__)


class Vouching(Value):
    """Asks the authorities over ``network``; ``answers`` keeps what they said."""

    network: Network
    answers: Answers
    clock: Clock

    async def require(self, upstream: Upstream, path: Sequence[bytes], stapled: bytes = b"") -> None:
        """Let a server be spoken to whose path (DER, its own certificate first) nobody revoked; ``stapled``: RFC 6066.

        Raises UpstreamRevoked, and UpstreamNotVouchedFor where that must be known and is not.
        """
        if upstream.revocation == "off" or len(path) < 2:  # a certificate that is trusted itself has nobody above it
            return
        is_demanded = upstream.revocation == "require"
        try:
            async with asyncio.timeout(None if is_demanded else LIMIT):
                unknown = await self._unknown(upstream, path, stapled)
        except TimeoutError:
            unknown = upstream.host
        if unknown and is_demanded:
            raise UpstreamNotVouchedFor(name=upstream.name, certificate=unknown)
        if unknown:
            _log.info("nobody tells whether the certificate %s of %s was revoked", unknown, upstream.name)

    async def _unknown(self, upstream: Upstream, path: Sequence[bytes], stapled: bytes) -> str:
        """Return the name of one of which it is not known, empty where it is of all. Raises UpstreamRevoked."""
        if not stapled and not any(source in der for der in path[:-1] for source in SOURCES):
            return upstream.host  # without loading what could ask
        from cardd.formats.verified import Status  # noqa: PLC0415 - pyhanko, when a server's certificate names a source

        found = await self._revocations(path, stapled)
        for one in found:
            if one.status is Status.REVOKED:
                raise UpstreamRevoked(name=upstream.name, certificate=one.subject)
        return next((one.subject for one in found if one.status is Status.UNKNOWN), "" if found else upstream.host)

    async def _revocations(self, path: Sequence[bytes], stapled: bytes) -> Sequence[Revocation]:
        from cardd.formats.revocation import Revocations  # noqa: PLC0415 - as above

        found = await asyncio.to_thread(_path_of, path, self.clock.now())
        asked = Revocations(self.network, self.answers, self.clock.now)
        return () if found is None else await asked.of(found, stapled)


def _path_of(path: Sequence[bytes], now: datetime) -> ValidationPath | None:
    from cardd.formats.trust import NoPath, TrustedAuthorities  # noqa: PLC0415 - as above

    found = TrustedAuthorities(path[-1:]).path(path[0], tuple(path[1:-1]), now)
    return None if isinstance(found, NoPath) else found
