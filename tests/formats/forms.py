"""The forms that the formats' contract is tried on: how each is made, read, judged from outside and tampered with."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path

from cardd.formats.cades import prepare_cades, verify_cms
from cardd.formats.jws import encoded, prepare_jws, verify_jws
from cardd.formats.options import JwsOptions, Packaging, Serialization, XadesOptions
from cardd.formats.prepared import Prepared, Signer
from cardd.formats.verified import Flaw, Format, VerifiedSignature
from cardd.formats.xades import prepare_xades
from cardd.formats.xades_read import verify_xades
from cardd.model import Algorithm
from tests.rig import jose, xml_judges
from tests.rig.openssl import accepts_cms
from tests.rig.pens import Pen

DOCUMENT = b'<order xmlns="urn:x" Id="o"><!-- SIMULATION --><amount>10</amount><to>A</to></order>'
BESIDE = "document.xml"


@dataclass(frozen=True)
class Change:
    """A change to a signed document, and what verification says of it."""

    old: bytes
    new: bytes
    flaw: Flaw


@dataclass(frozen=True, eq=False)
class Form:
    """One form of a format.

    ``prepare`` and ``verify`` are cardd's; ``judge`` is an outside judge's word on a signed document, with the document
    beside a detached one, None where it is not installed or knows no such key. ``covered`` is what is signed of
    ``DOCUMENT``; ``elsewhere`` is what verification says of a detached signature with another document.
    """

    name: str
    format: Format
    prepare: Callable[[bytes, Signer, datetime], Prepared]
    prepare_detached: Callable[[bytes, Signer, datetime], Prepared]
    verify: Callable[[BytesIO, BytesIO | None], list[VerifiedSignature]]
    judge: Callable[[Path, Pen, bytes, bytes | None], bool | None]
    changes: Mapping[str, Change]
    covered: bytes = DOCUMENT
    elsewhere: Flaw = Flaw.CONTENT
    stamps: bool = True


def _openssl(directory: Path, pen: Pen, signed: bytes, beside: bytes | None) -> bool:
    (directory / "message.p7m").write_bytes(signed)
    if beside is not None:
        (directory / BESIDE).write_bytes(beside)
    return accepts_cms(directory / "message.p7m", pen.roots, None if beside is None else directory / BESIDE)


def _jose(_directory: Path, pen: Pen, signed: bytes, beside: bytes | None) -> bool | None:
    return "payload" in jose.judge(signed, pen.signer.algorithm, beside) if jose.is_installed() else None


def _xmlsec(directory: Path, pen: Pen, signed: bytes, beside: bytes | None) -> bool | None:
    if pen.signer.algorithm is Algorithm.PS256:  # Debian 12's knows no PSS: signxml judges it
        return None
    (directory / "signed.xml").write_bytes(signed)
    if beside is not None:
        (directory / BESIDE).write_bytes(beside)
    return xml_judges.xmlsec_accepts(directory / "signed.xml", pen.roots)


CADES = Form(
    "cades",
    Format.CADES,
    lambda document, signer, now: prepare_cades(BytesIO(document), signer, now),
    lambda document, signer, now: prepare_cades(BytesIO(document), signer, now, detached=True),
    verify_cms,
    _openssl,
    {"document": Change(b">10<", b">99<", Flaw.CONTENT)},
)


def _jws(serialization: Serialization, *, stamps: bool) -> Form:
    def prepare(document: bytes, signer: Signer, now: datetime) -> Prepared:
        return prepare_jws(BytesIO(document), signer, now, JwsOptions(serialization, stamped=stamps))

    def detached(document: bytes, signer: Signer, now: datetime) -> Prepared:
        return prepare_jws(BytesIO(document), signer, now, JwsOptions(serialization, detached=True))

    changed = Change(encoded(DOCUMENT[:6]), encoded(b"<ordre"), Flaw.SIGNATURE)
    return Form(
        f"jws-{serialization}",
        Format.JWS,
        prepare,
        detached,
        verify_jws,
        _jose,
        {"document": changed},
        elsewhere=Flaw.SIGNATURE,
        stamps=stamps,
    )


def _xades(packaging: Packaging, changed: Change, covered: bytes) -> Form:
    def prepare(document: bytes, signer: Signer, now: datetime) -> Prepared:
        return prepare_xades(BytesIO(document), signer, now, XadesOptions(packaging))

    def detached(document: bytes, signer: Signer, now: datetime) -> Prepared:
        return prepare_xades(BytesIO(document), signer, now, XadesOptions(Packaging.DETACHED, uri=BESIDE))

    changes = {
        "document": changed,
        "time": Change(b"<xades:SigningTime>2", b"<xades:SigningTime>3", Flaw.CONTENT),
        "method": Change(b"xml-exc-c14n#", b"xml-exc-c14n#WithComments", Flaw.SIGNATURE),
        "type": Change(b"</xades:MimeType>", b"x</xades:MimeType>", Flaw.CONTENT),
    }
    name = f"xades-{packaging}"
    return Form(name, Format.XADES, prepare, detached, verify_xades, _xmlsec, changes, covered)


FORMS = (
    CADES,
    _jws(Serialization.COMPACT, stamps=False),
    _jws(Serialization.JSON, stamps=True),
    _xades(
        Packaging.ENVELOPED,
        Change(b">10<", b">99<", Flaw.CONTENT),
        DOCUMENT.replace(b"<!-- SIMULATION -->", b""),
    ),
    _xades(
        Packaging.ENVELOPING,
        Change(b64encode(DOCUMENT[:6]), b64encode(b"<ordre"), Flaw.CONTENT),
        DOCUMENT,
    ),
)
