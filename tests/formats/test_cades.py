"""CAdES, judged by openssl: with the document inside, beside, by digest, and with a timestamp."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest

from cardd.formats.cades import prepare_cades, prepare_cades_digest
from tests.rig.openssl import accepts_cms, run
from tests.rig.pens import Pen, finished
from tests.rig.tsa import OpensslTsa

DOCUMENT = b"compte rendu SIMULATION\r\n\0" * 5000


@pytest.fixture
def message(tmp_path: Path) -> Path:
    """Where the CMS message goes for openssl."""
    return tmp_path / "message.p7m"


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """The document as a file."""
    path = tmp_path / "document"
    path.write_bytes(DOCUMENT)
    return path


def test_openssl_takes_the_document_out_of_an_attached_signature(pen: Pen, message: Path, now: datetime) -> None:
    message.write_bytes(pen.write(prepare_cades(BytesIO(DOCUMENT), pen.signer, now)))
    assert accepts_cms(message, pen.roots)
    assert message.with_suffix(".content").read_bytes() == DOCUMENT


def test_a_digest_alone_makes_the_detached_signature_of_its_document(
    pen: Pen, message: Path, beside: Path, now: datetime
) -> None:
    message.write_bytes(pen.write(prepare_cades_digest(sha256(DOCUMENT).digest(), pen.signer, now)))
    assert accepts_cms(message, pen.roots, beside)


@pytest.mark.parametrize("size", [1, 127, 128, 255, 256, 65_535, 65_536, 1024 * 1024 + 1])
def test_lengths_are_right_at_each_width(card: Pen, message: Path, now: datetime, size: int) -> None:
    message.write_bytes(card.write(prepare_cades(BytesIO(b"\xa5" * size), card.signer, now)))
    assert accepts_cms(message, card.roots)
    assert message.with_suffix(".content").read_bytes() == b"\xa5" * size


def test_the_signed_attributes_are_those_of_the_baseline(card: Pen, message: Path, now: datetime) -> None:
    prepared = prepare_cades(BytesIO(DOCUMENT), card.signer, now, mime_type="text/plain")
    message.write_bytes(card.write(prepared))
    assert accepts_cms(message, card.roots)
    told = run("cms", "-cmsout", "-print", "-noout", "-inform", "DER", "-in", message)
    signed = told[told.index("signedAttrs:") : told.index("unsignedAttrs:")]
    for attribute in ("contentType", "messageDigest", "signingTime", "id-smime-aa-signingCertificateV2"):
        assert signed.count(f"object: {attribute} ") == 1
    assert "0.4.0.1733.2.1" in signed
    assert "text/plain" in signed
    assert now.strftime("%b %e %H:%M:%S %Y GMT") in signed


def test_a_timestamp_gets_its_place_in_the_unsigned_attributes(
    pen: Pen, message: Path, beside: Path, tsa: OpensslTsa, now: datetime
) -> None:
    prepared = prepare_cades(BytesIO(DOCUMENT), pen.signer, now, detached=True)
    value = pen.sign(prepared.message)
    covered = prepared.stamped(value)
    token = tsa.token(covered)
    message.write_bytes(finished(prepared, value, token))
    assert accepts_cms(message, pen.roots, beside)
    told = run("cms", "-cmsout", "-print", "-noout", "-inform", "DER", "-in", message)
    assert "id-smime-aa-timeStampToken" in told[told.index("unsignedAttrs:") :]
