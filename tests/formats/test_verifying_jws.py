"""What is read of JWS alone: several signatures, PyJWT's, hostile ones."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import datetime
from io import BytesIO

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cardd.errors import (
    DocumentAmbiguous,
    DocumentMalformed,
    DocumentTooLarge,
    DocumentUnsupported,
)
from cardd.formats.jws import encoded, prepare_jws, verify_jws
from cardd.formats.options import JwsOptions, Serialization
from cardd.formats.verified import Flaw, Scope, VerifiedSignature
from cardd.model import Algorithm
from tests.rig.pens import Pen, SmallAuthority

PAYLOAD = b"ordonnance SIMULATION " * 50
JSON = Serialization.JSON


def _x5c(pen: Pen) -> list[str]:
    return [b64encode(der).decode() for der in (pen.signer.certificate, *pen.signer.chain)]


def _read(signed: bytes | str, payload: bytes | None = None) -> VerifiedSignature:
    """The one signature there is."""
    text = signed.encode() if isinstance(signed, str) else signed
    (found,) = verify_jws(BytesIO(text), BytesIO(payload) if payload is not None else None)
    return found


@pytest.mark.parametrize("algorithm", ["RS256", "RS512", "PS256", "PS384"])
def test_what_pyjwt_signs_is_read(card: Pen, algorithm: str) -> None:
    made = jwt.PyJWS().encode(PAYLOAD, card.key, algorithm, headers={"x5c": _x5c(card), "typ": None})
    found = _read(made)
    assert (found.intact, found.algorithm, found.signed_at) == (True, algorithm, None)


def test_a_general_one_tells_each_signature(
    card: Pen, authority: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey, now: datetime
) -> None:
    pens = (card, authority.pen(ec_key, Algorithm.ES256))
    flattened = [
        json.loads(pen.write(prepare_jws(BytesIO(PAYLOAD), pen.signer, now, JwsOptions(JSON)))) for pen in pens
    ]
    signatures = [{name: found[name] for name in ("protected", "signature")} for found in flattened]
    general = json.dumps({"payload": flattened[0]["payload"], "signatures": signatures})
    found = verify_jws(BytesIO(general.encode()))
    assert [signature.certificate for signature in found] == [pen.signer.certificate for pen in pens]
    assert all(signature.intact for signature in found)


def test_another_certificate_than_the_named_one_is_told(card: Pen) -> None:
    header = {"x5c": _x5c(card), "x5t#S256": encoded(bytes(32)).decode()}
    assert _read(jwt.PyJWS().encode(PAYLOAD, card.key, "RS256", headers=header)).flaw is Flaw.CERTIFICATE


def test_a_signature_of_another_key_is_told(card: Pen) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    assert _read(jwt.PyJWS().encode(PAYLOAD, other, "ES256", headers={"x5c": _x5c(card)})).flaw is Flaw.SIGNATURE


@pytest.mark.parametrize(
    ("header", "what"),
    [
        ({"alg": "none"}, "alg none"),
        ({"alg": "HS256"}, "alg HS256"),
        ({"crit": ["b64"], "b64": False}, "crit b64"),
        ({"x5c": []}, "x5c"),
    ],
)
def test_what_cannot_be_judged_is_not_taken(card: Pen, header: dict[str, object], what: str) -> None:
    whole = {"alg": "RS256", "x5c": _x5c(card), **header}
    signed = b".".join(encoded(part) for part in (json.dumps(whole).encode(), PAYLOAD, b"value"))
    with pytest.raises(DocumentUnsupported) as refused:
        _read(signed)
    assert refused.value.params == {"format": "JWS", "what": what}


@pytest.mark.parametrize("time", [-1e17, 1e17, 1e300])
def test_a_time_beyond_all_dates_is_malformed(card: Pen, time: float) -> None:
    with pytest.raises(DocumentMalformed):
        _read(jwt.PyJWS().encode(PAYLOAD, card.key, "RS256", headers={"x5c": _x5c(card), "iat": time}))


def test_a_list_of_no_signatures_is_not_taken() -> None:
    with pytest.raises(DocumentUnsupported):
        _read(b'{"payload": "YQ", "signatures": []}')


def test_a_document_beside_that_is_too_large_for_jws_is_told(card: Pen, now: datetime) -> None:
    detached = JwsOptions(JSON, detached=True)
    signed = card.write(prepare_jws(BytesIO(PAYLOAD), card.signer, now, detached))
    with pytest.raises(DocumentTooLarge):
        _read(signed, bytes(10 * 1024 * 1024 + 1))


def test_what_else_stands_in_the_unprotected_header_is_passed_over(card: Pen, now: datetime) -> None:
    signed = json.loads(card.write(prepare_jws(BytesIO(PAYLOAD), card.signer, now, JwsOptions(JSON))))
    signed["header"] = {"etsiU": [encoded(b'{"cSig": {}}').decode()]}
    found = _read(json.dumps(signed))
    assert (found.intact, found.timestamp) == (True, None)


@pytest.mark.parametrize(
    "text",
    [
        b"nothing",
        b"a.b",
        b"a.b.c.d",
        b"{}",
        b'{"payload": 7}',
        b"[" * 10_000,
        b"{" * 10_000,
        b'{"payload":"' + b'{"a":' * 10_000,
        b"\xff\xfe.a.b",
        b"e30.YQ.YQ",
        b"e30=.YQ.YQ",
    ],
    ids=lambda text: text[:12].decode("latin-1"),
)
def test_what_is_no_jws_is_malformed(text: bytes) -> None:
    with pytest.raises(DocumentMalformed):
        _read(text)


@pytest.mark.parametrize(
    "more",
    ['"payload": "YQ"', '"p\\u0061yload": "YQ"', '"Payload": "YQ"', '"signatures": []'],
    ids=["twice", "escaped", "capital", "both"],
)
def test_what_two_readers_read_in_two_ways_is_told_and_why(card: Pen, now: datetime, more: str) -> None:
    signed = card.write(prepare_jws(BytesIO(PAYLOAD), card.signer, now, JwsOptions(JSON)))
    with pytest.raises(DocumentAmbiguous) as told:
        _read(b"{" + more.encode() + b"," + signed[1:])
    why = "members for one signature and for several" if "signatures" in more else "ayload” is there twice"
    assert why in told.value.told("en").detail
    assert "moved" not in told.value.told("en").detail


def test_a_header_that_two_readers_read_in_two_ways_is_told(card: Pen) -> None:
    header = json.dumps({"alg": "RS256", "x5c": _x5c(card)})
    signed = b".".join(encoded(part) for part in (f'{{"alg": "PS256",{header[1:]}'.encode(), PAYLOAD, b"value"))
    with pytest.raises(DocumentAmbiguous):
        _read(signed)


@pytest.mark.parametrize("place", ["beside the payload", "beside a signature"])
def test_what_nobody_signed_beside_the_payload_makes_it_a_part(card: Pen, now: datetime, place: str) -> None:
    whole = json.loads(card.write(prepare_jws(BytesIO(PAYLOAD), card.signer, now, JwsOptions(JSON))))
    assert _read(json.dumps(whole).encode()).scope is Scope.WHOLE
    one = {name: whole.pop(name) for name in ("protected", "signature")}
    whole["signatures"] = [one]
    assert _read(json.dumps(whole).encode()).scope is Scope.WHOLE
    (whole if place == "beside the payload" else one)["dose"] = "100 mg"
    assert _read(json.dumps(whole).encode()).scope is Scope.PART


@pytest.mark.parametrize("crit", [[], ["sigT"]], ids=["nothing", "what is not there"])
def test_what_is_critical_is_something_that_is_there(card: Pen, crit: list[str]) -> None:
    header = json.dumps({"alg": "RS256", "x5c": _x5c(card), "crit": crit}).encode()
    with pytest.raises(DocumentMalformed):
        _read(b".".join(encoded(part) for part in (header, PAYLOAD, b"value")))


def test_base64_is_read_strictly(card: Pen, now: datetime) -> None:
    protected, payload, signature = card.write(prepare_jws(BytesIO(PAYLOAD), card.signer, now)).split(b".")
    for odd in (signature + b"==", signature[:9] + b"\n" + signature[9:], signature[:-1] + b"/"):
        with pytest.raises(DocumentMalformed):
            _read(b".".join((protected, payload, odd)))
