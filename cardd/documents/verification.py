"""Verifies signed documents: their format, their signatures, and whether those can be trusted.

Nothing of what it needs is loaded before the first document.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from cardd.documents.requests import ToVerify
from cardd.formats.pdf.process import PdfProcess
from cardd.ports import Clock
from cardd.values import Record, Value, field

if TYPE_CHECKING:
    from cardd.documents.judging import Judge
    from cardd.documents.verdicts import Verification
    from cardd.formats.revocation import Answers, Network
    from cardd.formats.verified import VerifiedSignature

THREADS, OF_ONE_USER = 4, 2


class Anchors(Value):
    """Whom to trust: PEM files, for signers and for timestamps (the signers' when None), and certificates (DER).

    ``simulated`` are a simulator's, which revoke nobody: of a daemon that simulates, or where they are asked for.
    """

    authorities: Path | None = None
    timestamps: Path | None = None
    simulated: Sequence[bytes] = ()


class Verifier(Record):
    """``network`` is None where nobody may be asked about revocation: only ``answers`` are known then."""

    anchors: Anchors
    network: Network | None
    answers: Answers
    pdf: PdfProcess
    clock: Clock
    _judge: Judge | None = None
    _threads: ThreadPoolExecutor = field(default_factory=partial(ThreadPoolExecutor, THREADS, "verifying"))
    _turns: WeakValueDictionary[int, asyncio.Semaphore] = field(default_factory=WeakValueDictionary)

    async def verify(self, given: ToVerify, whose: int = 0) -> Verification:
        """The verdict on a document of this OS user's.

        Reading one may take half a minute, and anybody may hand it over. So it has threads of its own, and a user has
        two of them at most: neither signing nor other users wait for more.

        Raises what ``cardd.documents.formats.signatures_of`` does for one that cannot be read, and ConfigInvalid
        for authorities that cannot.
        """
        turn = self._turns.setdefault(whose, asyncio.Semaphore(OF_ONE_USER))
        async with turn:
            loop = asyncio.get_running_loop()
            found, judge = await loop.run_in_executor(self._threads, self._found, given)
            return await judge.verification(found)

    def _found(self, given: ToVerify) -> tuple[list[VerifiedSignature], Judge]:
        from cardd.documents.formats import signatures_of  # noqa: PLC0415 - with the first document to verify

        found = signatures_of(given, self.pdf)
        if self._judge is None:
            self._judge = self._made()
        return found, self._judge

    def _made(self) -> Judge:
        from cardd.documents.judging import Judge  # noqa: PLC0415 - with the first document to verify
        from cardd.formats.revocation import Revocations  # noqa: PLC0415
        from cardd.formats.trust import TrustedAuthorities, authorities_of  # noqa: PLC0415

        anchors = self.anchors
        signers = [*(authorities_of(anchors.authorities) if anchors.authorities else ()), *anchors.simulated]
        stampers = authorities_of(anchors.timestamps) if anchors.timestamps else signers
        revocations = Revocations(self.network, self.answers, self.clock.now)
        trusted = TrustedAuthorities(signers), TrustedAuthorities(stampers)
        return Judge(*trusted, revocations, self.clock.now, anchors.simulated)
