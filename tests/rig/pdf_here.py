"""PDFs read, signed and appended to in this process: quick, and without what keeps damage away from the daemon."""

from __future__ import annotations

from io import BytesIO
from typing import BinaryIO

from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import FieldMDPSpec, MDPPerm, SigFieldSpec, SigSeedSubFilter
from pyhanko.sign.signers import PdfSignatureMetadata, SimpleSigner, sign_pdf
from pyhanko_certvalidator.registry import SimpleCertificateStore

from cardd.formats.pdf.fields import listed, place
from cardd.formats.pdf.process import PdfProcess
from cardd.formats.pdf.wire import Answer, Place, Request
from tests.rig.pens import Pen


class PdfHere(PdfProcess):
    """Answers as the process does, for documents that do no harm; ``last`` is the one asked about last."""

    last: BinaryIO

    def ask(self, document: BinaryIO, request: Request) -> Answer:
        """The answer to a request about this document."""
        self.last = document
        return place(document, request) if isinstance(request, Place) else listed(document)


def author_signed(
    pen: Pen, content: bytes, allowing: MDPPerm | None = None, locked: FieldMDPSpec | None = None
) -> bytes:
    """Return a file that its author signed by pyHanko: certified, or with some of its fields locked."""
    about = PdfSignatureMetadata(
        field_name="author",
        subfilter=SigSeedSubFilter.PADES,
        certify=allowing is not None,
        docmdp_permissions=allowing or MDPPerm.FILL_FORMS,
    )
    place = SigFieldSpec("author", field_mdp_spec=locked)
    return bytes(
        sign_pdf(IncrementalPdfFileWriter(BytesIO(content)), about, signer_of(pen), new_field_spec=place).getvalue()
    )


def signer_of(pen: Pen) -> SimpleSigner:
    """Return this pen for pyHanko."""
    key = asn1_keys.PrivateKeyInfo.load(pen.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    return SimpleSigner(asn1.Certificate.load(pen.signer.certificate), key, SimpleCertificateStore())  # type: ignore[no-untyped-call]  # pyHanko's own
