"""JWS, judged by node's jose: compact and JSON, with the payload inside and apart."""

from __future__ import annotations

import json
from base64 import b64decode, urlsafe_b64decode
from datetime import datetime
from io import BytesIO

import pytest

from cardd.errors import DocumentEmpty, DocumentTimestampForm, DocumentTooLarge
from cardd.formats.jws import PAYLOAD_MAX, prepare_jws
from cardd.formats.options import JwsOptions, Serialization
from tests.rig import jose
from tests.rig.pens import Pen, finished
from tests.rig.tsa import OpensslTsa

PAYLOAD = "ordonnance SIMULATION é\n".encode() * 100
JSON = Serialization.JSON
FORMS = [
    JwsOptions(serialization, detached, typ="JOSE+JSON" if serialization is JSON else "JOSE", cty="text/plain")
    for serialization in Serialization
    for detached in (False, True)
]

judged = pytest.mark.skipif(not jose.is_installed(), reason="node and jose are not installed")


@judged
@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.serialization}-{form.detached}")
def test_jose_accepts_each_form_of_each_key(pen: Pen, now: datetime, form: JwsOptions) -> None:
    signed = pen.write(prepare_jws(BytesIO(PAYLOAD), pen.signer, now, form))
    answer = jose.judge(signed, pen.signer.algorithm, PAYLOAD if form.detached else None)
    assert answer["payload"] == PAYLOAD
    header = answer["header"]
    assert (header["typ"], header["cty"], header["iat"]) == (form.typ, "text/plain", int(now.timestamp()))
    assert [b64decode(found) for found in header["x5c"]] == [pen.signer.certificate, *pen.signer.chain]


@judged
def test_jose_accepts_a_long_payload_that_goes_to_the_key_by_its_digest(card: Pen, now: datetime) -> None:
    payload = bytes(range(256)) * 8000
    prepared = prepare_jws(BytesIO(payload), card.signer, now)
    assert prepared.message.content is None
    assert jose.judge(card.write(prepared), "RS256")["payload"] == payload


def test_a_short_payload_goes_to_the_key_whole_for_cards_that_hash_it(card: Pen, now: datetime) -> None:
    prepared = prepare_jws(BytesIO(PAYLOAD), card.signer, now)
    content = prepared.message.content
    assert content is not None
    assert card.write(prepared).startswith(content)


@judged
def test_a_timestamp_gets_its_place_in_the_unprotected_header(pen: Pen, tsa: OpensslTsa, now: datetime) -> None:
    prepared = prepare_jws(BytesIO(PAYLOAD), pen.signer, now, JwsOptions(JSON, stamped=True))
    value = pen.sign(prepared.message)
    stamp = tsa.token(prepared.stamped(value))
    signed = finished(prepared, value, stamp)
    (entry,) = json.loads(signed)["header"]["etsiU"]
    (token,) = json.loads(urlsafe_b64decode(entry + "=="))["sigTst"]["tstTokens"]
    assert b64decode(token["val"]) == stamp
    assert prepared.stamped(value).decode() == json.loads(signed)["signature"]
    assert jose.judge(signed, pen.signer.algorithm)["payload"] == PAYLOAD


def test_the_compact_form_takes_no_timestamp(card: Pen, now: datetime) -> None:
    with pytest.raises(DocumentTimestampForm):
        prepare_jws(BytesIO(PAYLOAD), card.signer, now, JwsOptions(stamped=True))


def test_an_empty_or_too_long_payload_is_not_signed(card: Pen, now: datetime) -> None:
    with pytest.raises(DocumentEmpty):
        prepare_jws(BytesIO(), card.signer, now)
    with pytest.raises(DocumentTooLarge):
        prepare_jws(BytesIO(bytes(PAYLOAD_MAX + 1)), card.signer, now)
