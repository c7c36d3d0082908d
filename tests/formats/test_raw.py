"""A raw signature is no way to a signature of another format: what those sign is refused, and found out."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO

import pytest

from cardd.errors import DocumentIsSignedPart, DocumentMalformed
from cardd.formats.cades import prepare_cades
from cardd.formats.jws import prepare_jws
from cardd.formats.options import JwsOptions, XadesOptions
from cardd.formats.prepared import Prepared
from cardd.formats.raw import prepare_raw, verify_raw
from cardd.formats.verified import Flaw
from cardd.formats.xades import prepare_xades
from cardd.model import Message
from tests.rig.pens import Pen

NOW = datetime.now(UTC)
PREPARE: dict[str, Callable[[Pen], Prepared]] = {
    "CAdES": lambda pen: prepare_cades(BytesIO(b"x"), pen.signer, NOW),
    "JWS": lambda pen: prepare_jws(BytesIO(b"x"), pen.signer, NOW, JwsOptions()),
    "XAdES": lambda pen: prepare_xades(BytesIO(b"<x/>"), pen.signer, NOW, XadesOptions()),
}


@pytest.fixture(params=PREPARE)
def part(request: pytest.FixtureRequest, card: Pen) -> tuple[str, Message]:
    """What a signature of this format signs."""
    return request.param, PREPARE[request.param](card).message


def test_what_another_format_signs_is_not_signed_raw(part: tuple[str, Message]) -> None:
    name, message = part
    assert message.content is not None
    with pytest.raises(DocumentIsSignedPart) as refused:
        prepare_raw(BytesIO(message.content), None)
    assert refused.value.params["format"] == name


LONG = 17 * 1024 * 1024  # bytes: longer than what is read whole


@pytest.mark.parametrize(
    ("name", "document"),
    [
        (
            "CAdES",
            b"\x31\x84"
            + (LONG + 6).to_bytes(4, "big")
            + b"\x30\x84"
            + LONG.to_bytes(4, "big")
            + b"\x06"
            + bytes(LONG - 1),
        ),
        ("JWS", b"eyJhbGciOiJSUzI1NiJ9." + b"A" * LONG),
        ("JWS", urlsafe_b64encode(b'{"alg":"RS256","x":' + b"[" * 50_000) + b".A"),
        ("XAdES", b"<SignedInfo " + b" " * LONG + b"/>"),
    ],
    ids=["CAdES", "JWS", "a deep JWS", "XAdES"],
)
def test_what_another_format_signs_is_not_signed_raw_however_long_it_is(name: str, document: bytes) -> None:
    with pytest.raises(DocumentIsSignedPart) as refused:
        prepare_raw(BytesIO(document), None)
    assert refused.value.params["format"] == name


def test_a_value_of_another_format_is_no_raw_signature(part: tuple[str, Message], card: Pen) -> None:
    _, message = part
    assert message.content is not None
    found = verify_raw(BytesIO(message.content), card.sign(message), card.signer.certificate)
    assert found.flaw is Flaw.CONTEXT


@pytest.mark.parametrize(
    "document",
    [b"1. a list\n", b"Monsieur.", b"eyJhbGciOiJub25lIn0 is not a header.", b"<order><SignedInfo/></order>", b"1" * 99],
)
def test_documents_that_only_look_a_little_like_it_are_signed(card: Pen, document: bytes) -> None:
    prepared = prepare_raw(BytesIO(document), None)
    assert verify_raw(BytesIO(document), card.sign(prepared.message), card.signer.certificate).intact


@pytest.mark.parametrize("certificates", [b"", b"-----BEGIN SIMULATION-----\nAA==\n-----END SIMULATION-----\n"])
def test_a_value_without_a_certificate_cannot_be_judged(certificates: bytes) -> None:
    with pytest.raises(DocumentMalformed):
        verify_raw(BytesIO(b"SIMULATION"), bytes(256), certificates)


def test_a_digest_info_is_signed_as_a_document_and_is_no_signature_of_what_it_is_the_digest_of(card: Pen) -> None:
    whole = b"another document"
    info = bytes.fromhex("3031300d060960864801650304020105000420") + sha256(whole).digest()  # PKCS #1, section 9.2
    value = card.sign(prepare_raw(BytesIO(info), None).message)
    assert verify_raw(BytesIO(info), value, card.signer.certificate).intact
    assert verify_raw(BytesIO(whole), value, card.signer.certificate).flaw is Flaw.SIGNATURE
