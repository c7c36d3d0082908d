"""What is true of every signature, whatever its format: made, read, judged from outside, tampered with."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import binary, integers

from cardd.errors import (
    DocumentContentMissing,
    DocumentContentTwice,
    DocumentEmpty,
    DocumentError,
    SigningCertificateExpired,
    SigningCertificateUsage,
)
from cardd.formats.verified import Flaw, Scope, VerifiedSignature
from cardd.model import Algorithm
from tests.formats.forms import DOCUMENT, FORMS, Form
from tests.rig.pens import Pen, SmallAuthority, card_pen, finished
from tests.rig.tsa import OpensslTsa

every_form = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
every_change = pytest.mark.parametrize(
    ("form", "name"),
    [(form, name) for form in FORMS for name in form.changes],
    ids=lambda value: value.name if isinstance(value, Form) else value,
)


def read(form: Form, signed: bytes, beside: bytes | None = None) -> VerifiedSignature:
    """The one signature there is."""
    (found,) = form.verify(BytesIO(signed), None if beside is None else BytesIO(beside))
    return found


def inside(form: Form, pen: Pen, now: datetime) -> bytes:
    """The document signed, and held by its signature or around it."""
    return pen.write(form.prepare(DOCUMENT, pen.signer, now))


def apart(form: Form, pen: Pen, now: datetime) -> bytes:
    """The signature alone."""
    return pen.write(form.prepare_detached(DOCUMENT, pen.signer, now))


@every_form
def test_a_signature_tells_who_what_and_when(form: Form, pen: Pen, now: datetime) -> None:
    found = read(form, inside(form, pen, now))
    assert (found.format, found.scope, found.flaw, found.intact) == (form.format, Scope.WHOLE, None, True)
    assert found.certificate == pen.signer.certificate
    assert set(found.chain) == {*pen.signer.chain} - {pen.signer.certificate}
    assert found.algorithm == pen.signer.algorithm
    assert found.digest == sha256(form.covered).digest()
    assert found.signed_at == now.replace(microsecond=0)
    assert found.timestamp is None


@every_form
def test_a_detached_signature_wants_its_own_document(form: Form, pen: Pen, now: datetime) -> None:
    signed = apart(form, pen, now)
    assert (read(form, signed, DOCUMENT).scope, read(form, signed, DOCUMENT).intact) == (Scope.DETACHED, True)
    other = read(form, signed, DOCUMENT + b".")
    assert (other.flaw, other.digest) == (form.elsewhere, sha256(DOCUMENT + b".").digest())
    with pytest.raises(DocumentContentMissing):
        read(form, signed)


@every_form
def test_a_document_beside_one_that_is_inside_is_refused(form: Form, card: Pen, now: datetime) -> None:
    with pytest.raises(DocumentContentTwice):
        read(form, inside(form, card, now), DOCUMENT)


@every_form
def test_an_outside_judge_accepts_what_is_signed(form: Form, pen: Pen, now: datetime, tmp_path: Path) -> None:
    told = form.judge(tmp_path, pen, inside(form, pen, now), None)
    if told is None:
        pytest.skip("no judge here knows it")
    assert told
    assert form.judge(tmp_path, pen, apart(form, pen, now), DOCUMENT)


@every_form
def test_the_judge_refuses_another_document_beside_the_signature(
    form: Form, card: Pen, now: datetime, tmp_path: Path
) -> None:
    assert not form.judge(tmp_path, card, apart(form, card, now), DOCUMENT + b" ")


@every_change
def test_a_change_is_told_and_the_judge_refuses_it_too(
    form: Form, name: str, card: Pen, now: datetime, tmp_path: Path
) -> None:
    change = form.changes[name]
    signed = inside(form, card, now)
    changed = signed.replace(change.old, change.new, 1)
    assert changed != signed
    assert read(form, changed).flaw is change.flaw
    assert not form.judge(tmp_path, card, changed, None)


@every_form
def test_another_value_is_told(form: Form, pen: Pen, now: datetime) -> None:
    prepared = form.prepare(DOCUMENT, pen.signer, now)
    value = bytearray(pen.sign(prepared.message))
    value[-1] ^= 1
    assert read(form, finished(prepared, bytes(value))).flaw is Flaw.SIGNATURE


@pytest.mark.parametrize("form", [form for form in FORMS if form.stamps], ids=lambda form: form.name)
def test_a_timestamp_is_told_with_its_time_and_whether_it_is_of_this_signature(
    form: Form, pen: Pen, tsa: OpensslTsa, now: datetime
) -> None:
    prepared = form.prepare(DOCUMENT, pen.signer, now)
    value = pen.sign(prepared.message)
    stamp = read(form, finished(prepared, value, tsa.token(prepared.stamped(value)))).timestamp
    assert stamp is not None
    assert stamp.intact
    assert abs((stamp.time - now).total_seconds()) < 60

    prepared = form.prepare(DOCUMENT, pen.signer, now)
    found = read(form, finished(prepared, pen.sign(prepared.message), tsa.token(b"something else")))
    assert found.intact
    assert found.timestamp is not None
    assert found.timestamp.flaw is Flaw.IMPRINT


@every_form
def test_nothing_is_neither_signed_nor_read(form: Form, card: Pen, now: datetime) -> None:
    for prepare in (form.prepare, form.prepare_detached):
        with pytest.raises(DocumentEmpty):
            prepare(b"", card.signer, now)
    with pytest.raises(DocumentEmpty):
        read(form, b"")


@every_form
def test_a_certificate_that_may_not_sign_is_refused_before_anything_is_signed(
    form: Form, authority: SmallAuthority, rsa_key: rsa.RSAPrivateKey, now: datetime
) -> None:
    ended = authority.pen(rsa_key, Algorithm.RS256, days=(-20, -10)).signer
    for prepare in (form.prepare, form.prepare_detached):
        with pytest.raises(SigningCertificateExpired):
            prepare(DOCUMENT, ended, now)
        with pytest.raises(SigningCertificateUsage):
            prepare(DOCUMENT, card_pen(purpose="authentication").signer, now)


@cache
def _small(form: Form) -> bytes:
    """A short document signed, so that damage hits its structure."""
    pen = card_pen()
    return pen.write(form.prepare(b"<a>SIMULATION</a>", pen.signer, datetime.now(UTC)))


@every_form
@given(place=integers(0, 10_000), bytes_there=binary(min_size=1, max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
def test_damage_is_told_and_never_believed(form: Form, place: int, bytes_there: bytes) -> None:
    small = _small(form)
    place %= len(small)
    damaged = small[:place] + bytes_there + small[place + len(bytes_there) :]
    for odd in (damaged, small[:place]):
        try:
            found = form.verify(BytesIO(odd), None)
        except DocumentError:
            continue
        for signature in found:
            told = (signature.certificate, signature.digest)
            is_the_same = told == (card_pen().signer.certificate, sha256(b"<a>SIMULATION</a>").digest())
            assert is_the_same or not signature.intact
