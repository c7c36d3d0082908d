"""What is read of JWS alone: several signatures, PyJWT's, hostile ones."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from io import BytesIO

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512

from cardd.errors import (
    DocumentAmbiguous,
    DocumentMalformed,
    DocumentTooLarge,
    DocumentUnsupported,
)
from cardd.formats.jws import decoded, encoded, prepare_jws, verify_jws
from cardd.formats.options import JwsOptions, Serialization
from cardd.formats.verified import Flaw, Format, Scope, VerifiedSignature
from cardd.model import Algorithm, Message
from tests.rig.pens import Pen, SmallAuthority, finished
from tests.rig.tsa import OpensslTsa

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


# --- whose value it is


def _signed(pen: Pen, value: bytes | None = None, /, **header: object) -> bytes:
    """A compact JWS with this header, and the pen's own value where none is given."""
    protected = encoded(json.dumps({"alg": str(pen.signer.algorithm), "x5c": _x5c(pen), **header}).encode())
    before = b".".join((protected, encoded(PAYLOAD)))
    made = pen.sign(Message(sha256(before).digest(), before)) if value is None else value
    return b".".join((before, encoded(made)))


@pytest.mark.parametrize("part", range(3), ids=["header", "payload", "value"])
def test_what_was_changed_since_is_told(pen: Pen, part: int) -> None:
    whole = _signed(pen, typ="JOSE")
    assert _read(whole).flaw is None
    parts = [bytearray(decoded(text.decode())) for text in whole.split(b".")]
    parts[part][-4] ^= 1
    assert _read(b".".join(encoded(bytes(octets)) for octets in parts)).flaw is Flaw.SIGNATURE


def test_a_value_of_a_curve_is_two_numbers_of_the_algorithm_s_own_curve(
    authority: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey
) -> None:
    curves = {
        "ES256": (ec_key, SHA256(), 32),
        "ES384": (ec.generate_private_key(ec.SECP384R1()), SHA384(), 48),
        "ES512": (ec.generate_private_key(ec.SECP521R1()), SHA512(), 66),
    }
    for algorithm, (_, hashed, _) in curves.items():
        for own, (key, _, size) in curves.items():
            pen = authority.pen(key, Algorithm.ES256)
            before = _signed(pen, b"", alg=algorithm)[:-1]
            der = key.sign(before, ec.ECDSA(hashed))
            numbers = b"".join(number.to_bytes(size, "big") for number in decode_dss_signature(der))
            found = _read(before + b"." + encoded(numbers))
            assert (found.algorithm, found.intact) == (algorithm, own == algorithm)
            assert _read(before + b"." + encoded(der)).flaw is Flaw.SIGNATURE
            assert _read(before + b"." + encoded(b"\0" * 2 + numbers)).flaw is Flaw.SIGNATURE
    other = ec.generate_private_key(ec.SECP256K1())  # of the same length
    assert _read(_signed(authority.pen(other, Algorithm.ES256))).flaw is Flaw.SIGNATURE


def test_a_value_is_of_the_kind_of_key_that_its_header_names(card: Pen, authority: SmallAuthority) -> None:
    of_curve = authority.pen(ec.generate_private_key(ec.SECP256R1()), Algorithm.ES256)
    assert _read(_signed(of_curve, alg="RS256")).flaw is Flaw.SIGNATURE
    assert _read(_signed(card, bytes(64), alg="ES256")).flaw is Flaw.SIGNATURE


@pytest.mark.parametrize("salt", [20, 32, 64])
def test_a_pss_value_has_the_salt_of_the_standard(
    authority: SmallAuthority, rsa_key: rsa.RSAPrivateKey, salt: int
) -> None:
    pen = authority.pen(rsa_key, Algorithm.PS256)
    before = _signed(pen, b"")[:-1]
    value = rsa_key.sign(before, padding.PSS(padding.MGF1(SHA256()), salt), SHA256())
    assert _read(before + b"." + encoded(value)).intact is (salt == 32)


@pytest.mark.parametrize("odd", ["behind the certificate", "among its letters"])
def test_a_certificate_is_read_strictly(card: Pen, odd: str) -> None:
    first, *others = _x5c(card)
    longer = b64encode(card.signer.certificate + b"and more").decode()
    changed = longer if odd == "behind the certificate" else f"{first[:9]}!{first[9:]}"
    with pytest.raises(DocumentMalformed) as told:
        _read(_signed(card, x5c=[changed, *others]))
    assert told.value.params == {"format": "JWS"}


@pytest.fixture
def elsewhere() -> Iterator[None]:
    """The machine is in another time zone."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("header", "told"),
    [
        ({"iat": 1_700_000_000}, "2023-11-14T22:13:20+00:00"),
        ({"sigT": "2023-11-14T22:13:20Z", "crit": ["sigT"]}, "2023-11-14T22:13:20+00:00"),
        ({"sigT": "2023-11-14T23:13:20+01:00"}, "2023-11-14T22:13:20+00:00"),
        ({"sigT": "2023-11-14T22:13:20"}, "2023-11-14T22:13:20+00:00"),
        ({"iat": 1_700_000_000, "sigT": "2001-01-01T00:00:00Z"}, "2023-11-14T22:13:20+00:00"),
        ({}, None),
    ],
    ids=["iat", "sigT", "a zone", "no zone", "both", "none"],
)
def test_the_time_that_the_signer_claims_is_told_in_utc_wherever_the_reader_is(
    card: Pen, header: dict[str, object], told: str | None
) -> None:
    found = _read(_signed(card, **header))
    assert (found.signed_at.isoformat() if found.signed_at else None) == told
    assert (found.format, found.chain, found.scope) == (Format.JWS, card.signer.chain, Scope.WHOLE)
    assert (found.digest, found.flaw) == (sha256(PAYLOAD).digest(), None)


def test_the_first_timestamp_of_the_value_is_told(card: Pen, tsa: OpensslTsa, now: datetime) -> None:
    options = JwsOptions(JSON, stamped=True, typ="JOSE+JSON", cty="text/plain")
    prepared = prepare_jws(BytesIO(PAYLOAD), card.signer, now, options)
    value = card.sign(prepared.message)
    of_value, of_another = tsa.token(prepared.stamped(value)), tsa.token(b"something else")
    signed = finished(prepared, value, of_value)
    read = json.loads(signed)
    stamp = _read(signed).timestamp
    assert stamp is not None
    assert stamp.intact
    assert json.loads(decoded(read["protected"])) == {
        "alg": "RS256",
        "typ": "JOSE+JSON",
        "cty": "text/plain",
        "iat": int(now.timestamp()),
        "x5t#S256": encoded(sha256(card.signer.certificate).digest()).decode(),
        "x5c": _x5c(card),
    }
    assert list(read) == ["payload", "protected", "header", "signature"]
    assert b" " not in signed

    def flaw_of(*tokens: str) -> Flaw | str | None:
        entry = {"sigTst": {"tstTokens": [{"val": token} for token in tokens]}}
        read["header"]["etsiU"] = [encoded(json.dumps(entry).encode()).decode()]
        stamp = _read(json.dumps(read)).timestamp
        return stamp.flaw if stamp else "none"

    good, other = b64encode(of_value).decode(), b64encode(of_another).decode()
    assert [flaw_of(good), flaw_of(good, other), flaw_of(other, good), flaw_of()] == [
        None,
        None,
        Flaw.IMPRINT,
        "none",
    ]
    for odd in (f"{good[:9]}!{good[9:]}", "MAA="):
        with pytest.raises(DocumentMalformed) as told:
            flaw_of(odd)
        assert told.value.params == {"format": "JWS"}


# --- how much of it, and where


def test_the_payload_beside_is_what_a_detached_one_covers(card: Pen, now: datetime) -> None:
    for serialization, beginning in ((Serialization.COMPACT, b"ey"), (JSON, b'{"protected":"')):
        options = JwsOptions(serialization, detached=True)
        document = card.write(prepare_jws(BytesIO(PAYLOAD), card.signer, now, options))
        found = _read(document, PAYLOAD)
        assert (found.scope, found.intact, found.digest) == (Scope.DETACHED, True, sha256(PAYLOAD).digest())
        assert document.startswith(beginning)
        assert PAYLOAD not in document
        assert b"payload" not in document


def test_sixty_four_signatures_are_read_and_no_more(card: Pen, now: datetime) -> None:
    whole = json.loads(card.write(prepare_jws(BytesIO(PAYLOAD), card.signer, now, JwsOptions(JSON))))
    one = {name: whole.pop(name) for name in ("protected", "signature")}
    whole["signatures"] = [one] * 64
    assert len(verify_jws(BytesIO(json.dumps(whole).encode()))) == 64
    whole["signatures"] = [one] * 65
    with pytest.raises(DocumentUnsupported) as refused:
        verify_jws(BytesIO(json.dumps(whole).encode()))
    assert refused.value.params == {"format": "JWS", "what": "signatures"}


def test_space_around_a_jws_is_passed_over(card: Pen, now: datetime) -> None:
    for serialization in Serialization:
        signed = card.write(prepare_jws(BytesIO(PAYLOAD), card.signer, now, JwsOptions(serialization)))
        assert _read(b" \n" + signed + b"\n").intact


def test_members_for_one_and_for_several_are_told_where_there_is_nothing_else() -> None:
    with pytest.raises(DocumentAmbiguous) as told:
        _read(b'{"signature": "", "signatures": []}')
    assert told.value.params == {"what": "signature, signatures", "why": "both"}


def test_base64url_is_as_short_as_it_can_be() -> None:
    for content, text in ((b"", b""), (b"\0\0\x17", b"AAAX"), (b"\0", b"AA"), (b"\xfb\xff", b"-_8")):
        assert (encoded(content), decoded(text.decode())) == (text, content)
