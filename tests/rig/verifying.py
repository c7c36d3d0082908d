"""A desk where documents are verified: authorities that it trusts, what they say of revocation, a clock that moves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from cardd.documents.requests import ToVerify
from cardd.documents.verdicts import Judged, Verification
from cardd.documents.verification import Anchors, Verifier
from cardd.formats.cades import prepare_cades
from cardd.formats.document import new_document
from cardd.formats.pdf.process import PdfProcess
from cardd.model import Algorithm
from cardd.system.host import SystemClock
from cardd.system.outgoing import RevocationCache, RevocationHttp
from tests.rig.pens import Pen, SmallAuthority, finished
from tests.rig.revoking import Served, revocation_list
from tests.rig.tsa import OpensslTsa

DOCUMENT = b"compte rendu SIMULATION\n" * 100


class MovedClock(SystemClock):
    """The real time, and what the test adds."""

    ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead


@dataclass
class Desk:
    """A verifier, the authorities that it trusts, and what they say of revocation."""

    directory: Path
    served: Served
    pdf: PdfProcess
    network: RevocationHttp
    clock: MovedClock = field(default_factory=MovedClock)

    def __post_init__(self) -> None:
        self.root = SmallAuthority("AC RACINE SIMULATION")
        self.stampers = SmallAuthority("AC HORODATAGE SIMULATION")
        self.root.lists = [self.served.url("list")]
        self.stampers.lists = [self.served.url("stampers")]
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.tell()
        (self.directory / "tsa").mkdir()
        self.tsa = OpensslTsa(self.directory / "tsa", self.stampers)

    def tell(self, revoked: dict[bytes, datetime] | None = None, keeps_since: datetime | None = None) -> None:
        """Publish lists of the desk's own time."""
        age = timedelta(minutes=5) - self.clock.ahead
        self.served.answers["list"] = revocation_list(self.root, revoked, age=age, keeps_since=keeps_since)
        self.served.answers["stampers"] = revocation_list(self.stampers, revoked, age=age, keeps_since=keeps_since)

    def pen(self, days: tuple[int, int] = (-1, 365), usage: str = "content_commitment") -> Pen:
        return self.root.pen(self.key, Algorithm.ES256, days=days, usage=usage)

    def verifier(self, *, offline: bool = False, trusting: SmallAuthority | None = None) -> Verifier:
        files = {"roots": trusting or self.root, "stampers": self.stampers}
        for name, authority in files.items():
            (self.directory / f"{name}.pem").write_bytes(authority.pem)
        anchors = Anchors(self.directory / "roots.pem", self.directory / "stampers.pem")
        network = None if offline else self.network
        return Verifier(anchors, network, RevocationCache(None), self.pdf, self.clock)

    async def verify(self, document: bytes, content: bytes | None = None, *, offline: bool = False) -> Verification:
        with new_document(document) as file, new_document(content or b"") as beside:
            return await self.verifier(offline=offline).verify(ToVerify(file, None if content is None else beside))

    def cades(self, pen: Pen, *, stamped: bool = False) -> bytes:
        prepared = prepare_cades(BytesIO(DOCUMENT), pen.signer, datetime.now(UTC))
        value = pen.sign(prepared.message)
        return finished(prepared, value, self.tsa.token(prepared.stamped(value)) if stamped else None)


@asynccontextmanager
async def verifying(directory: Path) -> AsyncIterator[Desk]:
    """A desk with its own revocation service and PDF process."""
    pdf_process, network = PdfProcess(), RevocationHttp(timeout=5, is_local=True)
    async with Served() as served:
        yield Desk(directory, served, pdf_process, network)
        await network.close()
    pdf_process.close()


def codes(found: Verification | Judged) -> list[str]:
    """The codes of the reasons."""
    return [reason.code for reason in found.reasons]
