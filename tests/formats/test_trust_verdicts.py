"""Verdicts on whole documents: what is valid, what is not, what cannot be told, and the time that counts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from cardd.documents.judging import WITHOUT_PATH
from cardd.documents.requests import ToVerify
from cardd.documents.verdicts import Judged, Reason, Verdict, Verification
from cardd.documents.verification import OF_ONE_USER, THREADS, Anchors, Verifier
from cardd.errors import (
    CarddError,
    ConfigInvalid,
    DocumentContentTwice,
    DocumentEmpty,
    DocumentUnrecognised,
    InvalidRequest,
    PdfDamaged,
)
from cardd.formats.cades import prepare_cades
from cardd.formats.document import new_document
from cardd.formats.jws import prepare_jws
from cardd.formats.options import JwsOptions, PadesOptions, XadesOptions
from cardd.formats.pades import prepare_pades
from cardd.formats.pdf.process import PdfProcess
from cardd.formats.pdf.wire import Answer, Request
from cardd.formats.prepared import Prepared
from cardd.formats.raw import prepare_raw
from cardd.formats.verified import Flaw, Format, Scope, Source, Status, Why
from cardd.formats.xades import prepare_xades
from cardd.i18n import LANGUAGES
from cardd.model import Algorithm, Identity
from cardd.system.outgoing import RevocationCache
from tests.rig.openssl import run
from tests.rig.pdf import pdf
from tests.rig.pens import Pen, SmallAuthority, card_pen, der, finished
from tests.rig.revoking import revocation_list
from tests.rig.simulator import store
from tests.rig.tsa import OpensslTsa
from tests.rig.verifying import DOCUMENT, Desk, codes, verifying
from tests.rig.waiting import eventually

DAY = timedelta(days=1)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with verifying(tmp_path) as made:
        yield made


def only(found: Verification) -> Judged:
    (one,) = found.signatures
    return one


def _pades(desk: Desk, pen: Pen) -> Prepared:
    now, who = datetime.now(UTC), Identity("899000000010", "SIMULATION", "CAMILLE")
    return prepare_pades(new_document(pdf()), pen.signer, now, PadesOptions(), process=desk.pdf, who=who)


PREPARE: dict[Format, Callable[[Desk, Pen], Prepared]] = {
    Format.JWS: lambda _, pen: prepare_jws(BytesIO(DOCUMENT), pen.signer, datetime.now(UTC), JwsOptions()),
    Format.CADES: lambda _, pen: prepare_cades(BytesIO(DOCUMENT), pen.signer, datetime.now(UTC)),
    Format.XADES: lambda _, pen: prepare_xades(BytesIO(b"<a>b</a>"), pen.signer, datetime.now(UTC), XadesOptions()),
    Format.PADES: _pades,
}


@pytest.mark.parametrize("kind", PREPARE)
async def test_a_good_signature_of_each_format_is_valid(desk: Desk, kind: Format) -> None:
    pen = desk.pen()
    found = await desk.verify(pen.write(PREPARE[kind](desk, pen)))
    one = only(found)
    assert (found.verdict, found.reasons, one.verdict, codes(one)) == (Verdict.VALID, (), Verdict.VALID, [])
    assert (one.found.format, one.found.scope, one.stamped) == (kind, Scope.WHOLE, False)
    assert (one.chain.trusted, one.chain.authority) == (True, "AC RACINE SIMULATION")
    assert one.revocation is not None
    assert (one.revocation.status, one.revocation.source) == (Status.GOOD, Source.CRL)
    assert (one.signer.subject, one.signer.is_test, one.signer.holder) == ("CN=PERSONNE SIMULATION", False, None)
    assert abs(one.at - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize("kind", PREPARE)
async def test_a_changed_document_of_each_format_is_invalid(desk: Desk, kind: Format) -> None:
    pen = desk.pen()
    signed = pen.write(PREPARE[kind](desk, pen))
    old, new = {
        Format.JWS: (b".Y29tcHRl", b".Y29tcHRF"),
        Format.CADES: (b"compte", b"comptE"),
        Format.XADES: (b"<a>b", b"<a>c"),
        Format.PADES: (b"595 842", b"596 842"),
    }[kind]
    assert old in signed
    found = await desk.verify(signed.replace(old, new))
    assert found.verdict is Verdict.INVALID
    assert set(codes(only(found))) & {"flaw_content", "flaw_signature"}
    assert only(found).revocation is None
    assert desk.served.asked == {}, "nobody is asked about a signature that is broken"


async def test_a_raw_signature_comes_with_its_certificate(desk: Desk) -> None:
    pen = desk.pen()
    value = pen.write(prepare_raw(BytesIO(DOCUMENT), None))
    certificate = pen.signer.certificate
    with new_document(DOCUMENT) as document, new_document(DOCUMENT + b".") as other:
        found = await desk.verifier().verify(ToVerify(document, signature=value, certificate=certificate))
        assert (found.verdict, only(found).found.format, only(found).found.algorithm) == ("valid", "raw", "ES256")
        changed = await desk.verifier().verify(ToVerify(other, signature=value, certificate=certificate))
        assert (changed.verdict, only(changed).found.flaw) == (Verdict.INVALID, Flaw.SIGNATURE)
        for half in (ToVerify(document, signature=value), ToVerify(document, certificate=certificate)):
            with pytest.raises(InvalidRequest):
                await desk.verifier().verify(half)


async def test_a_detached_signature_wants_its_document(desk: Desk) -> None:
    pen = desk.pen()
    signed = pen.write(prepare_cades(BytesIO(DOCUMENT), pen.signer, datetime.now(UTC), detached=True))
    found = await desk.verify(signed, DOCUMENT)
    assert (found.verdict, only(found).found.scope) == (Verdict.VALID, Scope.DETACHED)
    assert (await desk.verify(signed, DOCUMENT + b".")).verdict is Verdict.INVALID


async def test_cms_may_be_pem(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "signed").write_bytes(desk.cades(desk.pen()))
    run("cms", "-cmsout", "-inform", "DER", "-in", tmp_path / "signed", "-outform", "PEM", "-out", tmp_path / "pem")
    assert (await desk.verify((tmp_path / "pem").read_bytes())).verdict is Verdict.VALID


async def test_a_key_that_others_may_have_found_makes_it_invalid(desk: Desk) -> None:
    for bits, verdict in ((1024, Verdict.INVALID), (2048, Verdict.VALID)):
        key = rsa.generate_private_key(65537, bits)
        found = await desk.verify(desk.cades(desk.root.pen(key, Algorithm.PS256)))
        assert (found.verdict, "weak_key" in codes(only(found))) == (verdict, bits < 2048)


async def test_without_a_trusted_authority_nothing_is_known(desk: Desk) -> None:
    desk.root, known = SmallAuthority("AC RACINE SIMULATION"), desk.root  # of the same name, by another key
    signed = desk.cades(desk.pen())
    desk.root = known
    found = await desk.verify(signed)
    assert (found.verdict, codes(only(found))) == (Verdict.UNDETERMINED, ["untrusted"])
    assert only(found).chain.trusted is False
    assert desk.served.asked == {}, "nobody is asked on the word of a certificate that nobody vouches for"


async def test_with_no_authority_at_all_none_of_the_system_s_is_taken(desk: Desk) -> None:
    verifier = Verifier(Anchors(), desk.network, RevocationCache(None), desk.pdf, desk.clock)
    with new_document(desk.cades(desk.pen())) as signed:
        found = await verifier.verify(ToVerify(signed))
    assert (found.verdict, codes(only(found))) == (Verdict.UNDETERMINED, ["untrusted"])


async def test_the_simulation_s_authorities_are_trusted_only_where_they_are_given(desk: Desk) -> None:
    pen = card_pen()
    with new_document(pen.write(prepare_cades(BytesIO(DOCUMENT), pen.signer, datetime.now(UTC)))) as signed:
        simulated = Verifier(Anchors(simulated=store().authorities), None, RevocationCache(None), desk.pdf, desk.clock)
        one = only(await simulated.verify(ToVerify(signed)))
        assert (one.chain.trusted, one.chain.authority) == (True, "AC SIMULATION IGC-SANTE FORT PERSONNES")
        assert (one.verdict, codes(one)) == (Verdict.VALID, ["test"])
        assert one.signer.holder is not None
        assert (one.signer.is_test, one.signer.holder.national_id) == (True, "899000000010")
        other = only(await desk.verifier().verify(ToVerify(signed)))
        assert codes(other) == ["test", "untrusted"]


async def test_a_revoked_certificate_makes_it_invalid(desk: Desk) -> None:
    pen = desk.pen()
    desk.tell({pen.signer.certificate: datetime.now(UTC) - DAY})
    found = await desk.verify(desk.cades(pen))
    assert (found.verdict, codes(only(found))) == (Verdict.INVALID, ["revoked"])


async def test_a_revoked_authority_between_makes_it_invalid(desk: Desk) -> None:
    persons = SmallAuthority("AC PERSONNES SIMULATION", desk.root)
    persons.lists = [desk.served.url("persons")]
    desk.served.answers["persons"] = revocation_list(persons)
    pen = persons.pen(desk.key, Algorithm.ES256)
    assert (await desk.verify(desk.cades(pen))).verdict is Verdict.VALID
    desk.tell({pen.signer.chain[0]: datetime.now(UTC) - DAY})
    found = only(await desk.verify(desk.cades(pen)))
    assert (found.verdict, codes(found)) == (Verdict.INVALID, ["revoked"])
    assert found.revocation is not None
    assert found.revocation.subject == "AC PERSONNES SIMULATION"


async def test_offline_it_is_not_known_and_the_verdict_says_so(desk: Desk) -> None:
    found = await desk.verify(desk.cades(desk.pen()), offline=True)
    assert (found.verdict, codes(only(found))) == (Verdict.UNDETERMINED, ["revocation_offline"])
    assert only(found).revocation is not None
    assert desk.served.asked == {}


async def test_an_authority_that_does_not_answer_leaves_it_undetermined(desk: Desk) -> None:
    del desk.served.answers["list"]
    found = only(await desk.verify(desk.cades(desk.pen())))
    assert (found.verdict, codes(found)) == (Verdict.UNDETERMINED, ["revocation_unreachable"])
    assert found.revocation is not None
    assert found.revocation.why is Why.UNREACHABLE


async def test_a_timestamp_is_the_time_that_counts(desk: Desk) -> None:
    pen = desk.pen()
    signed = desk.cades(pen, stamped=True)
    one = only(await desk.verify(signed))
    assert one.timestamp is not None
    assert (one.verdict, one.stamped, one.at) == (Verdict.VALID, True, one.timestamp.time)
    assert one.timestamp.authority == "HORODATAGE SIMULATION"


async def test_what_was_stamped_before_its_certificate_was_revoked_stays_valid(desk: Desk) -> None:
    pen = desk.pen()
    stamped, bare = desk.cades(pen, stamped=True), desk.cades(pen)
    desk.clock.ahead = 2 * DAY
    desk.tell({pen.signer.certificate: datetime.now(UTC) + DAY})
    found = only(await desk.verify(stamped))
    assert (found.verdict, codes(found)) == (Verdict.VALID, ["revoked_later"])
    assert codes(only(await desk.verify(bare))) == ["revoked"]


async def test_what_was_stamped_after_its_certificate_was_revoked_is_invalid(desk: Desk) -> None:
    pen = desk.pen()
    stamped = desk.cades(pen, stamped=True)
    desk.tell({pen.signer.certificate: datetime.now(UTC) - DAY})
    found = only(await desk.verify(stamped))
    assert (found.verdict, found.stamped, codes(found)) == (Verdict.INVALID, True, ["revoked"])


async def test_what_was_stamped_before_its_certificate_expired_stays_valid(desk: Desk) -> None:
    pen = desk.pen(days=(-1, 10))
    stamped, bare = desk.cades(pen, stamped=True), desk.cades(pen)
    desk.clock.ahead = 20 * DAY
    desk.tell(keeps_since=datetime.now(UTC) - 100 * DAY)
    found = only(await desk.verify(stamped))
    assert (found.verdict, codes(found)) == (Verdict.VALID, [])
    late = only(await desk.verify(bare))
    assert (late.verdict, codes(late)) == (Verdict.UNDETERMINED, ["expired"])
    desk.tell()  # lists that forget who has expired
    forgotten = only(await desk.verify(stamped))
    assert (forgotten.verdict, codes(forgotten)) == (Verdict.UNDETERMINED, ["revocation_expired"])


async def test_what_was_stamped_after_its_certificate_expired_is_invalid(desk: Desk) -> None:
    good = desk.pen()
    expired = desk.root.pen(desk.key, Algorithm.ES256, days=(-20, -10))
    prepared = prepare_cades(BytesIO(DOCUMENT), good.signer, datetime.now(UTC))
    forged = prepare_cades(BytesIO(DOCUMENT), expired.signer, datetime.now(UTC) - 15 * DAY)
    value = expired.sign(forged.message)
    assert prepared.message != forged.message
    found = only(await desk.verify(finished(forged, value, desk.tsa.token(forged.stamped(value)))))
    assert (found.verdict, codes(found)) == (Verdict.INVALID, ["expired_when_signed"])


async def test_a_timestamp_of_an_unknown_authority_does_not_count(desk: Desk) -> None:
    signed = desk.cades(desk.pen(), stamped=True)
    desk.stampers = SmallAuthority("AC AUTRE SIMULATION")
    found = only(await desk.verify(signed))
    assert (found.verdict, found.stamped, codes(found)) == (Verdict.VALID, False, ["timestamp_untrusted"])


async def test_a_timestamp_whose_authority_s_revocation_is_not_known_does_not_count(desk: Desk) -> None:
    signed = desk.cades(desk.pen(), stamped=True)
    del desk.served.answers["stampers"]
    found = only(await desk.verify(signed))
    assert found.timestamp is not None
    assert (found.timestamp.intact, found.timestamp.trusted, found.timestamp.chain.trusted) == (True, False, True)
    assert (found.verdict, found.stamped, codes(found)) == (Verdict.VALID, False, ["timestamp_untrusted"])


async def test_a_timestamp_of_something_else_does_not_count(desk: Desk) -> None:
    pen = desk.pen()
    prepared = prepare_cades(BytesIO(DOCUMENT), pen.signer, datetime.now(UTC))
    found = only(await desk.verify(finished(prepared, pen.sign(prepared.message), desk.tsa.token(b"something else"))))
    assert (found.verdict, found.stamped, codes(found)) == (Verdict.VALID, False, ["timestamp_broken"])


async def test_a_timestamp_of_tomorrow_does_not_count(desk: Desk) -> None:
    signed = desk.cades(desk.pen(), stamped=True)
    desk.clock.ahead = -DAY / 2
    desk.tell()
    found = only(await desk.verify(signed))
    assert (found.stamped, codes(found)) == (False, ["timestamp_untrusted"])


async def test_a_certificate_that_is_not_for_signing_makes_it_invalid(desk: Desk) -> None:
    value = desk.pen(usage="key_agreement")
    with new_document(DOCUMENT) as document:
        raw = ToVerify(document, None, value.sign(prepare_raw(document, None).message), value.signer.certificate)
        found = only(await desk.verifier().verify(raw))
    assert (found.verdict, codes(found)) == (Verdict.INVALID, ["usage"])


async def test_of_two_signatures_of_a_pdf_the_worst_counts(desk: Desk) -> None:
    first, second = desk.pen(), desk.pen()
    once = first.write(PREPARE[Format.PADES](desk, first))
    who = Identity("899000000010", "SIMULATION", "CAMILLE")
    again = prepare_pades(
        new_document(once), second.signer, datetime.now(UTC), PadesOptions(), process=desk.pdf, who=who
    )
    twice = second.write(again)
    found = await desk.verify(twice)
    assert (found.verdict, found.reasons) == (Verdict.VALID, ())
    assert [one.found.scope for one in found.signatures] == [Scope.PART, Scope.WHOLE]
    desk.tell({first.signer.certificate: datetime.now(UTC) - DAY})
    worse = await desk.verify(twice)
    assert (worse.verdict, [one.verdict for one in worse.signatures]) == ("invalid", ["invalid", "valid"])


async def test_a_pdf_without_signature_is_not_valid(desk: Desk) -> None:
    found = await desk.verify(pdf())
    assert (found.verdict, codes(found), found.signatures) == (Verdict.INVALID, ["unsigned"], ())


async def test_what_cannot_be_read_is_refused(desk: Desk) -> None:
    for document, refusal in ((b"", DocumentEmpty), (b" \n", DocumentEmpty), (b"bonjour", DocumentUnrecognised)):
        with pytest.raises(refusal):
            await desk.verify(document)
    with pytest.raises(DocumentContentTwice):
        await desk.verify(pdf(), DOCUMENT)


async def test_authorities_that_cannot_be_read_are_a_fault_of_the_configuration(desk: Desk) -> None:
    verifier = Verifier(Anchors(desk.directory / "none.pem"), None, RevocationCache(None), desk.pdf, desk.clock)
    with new_document(desk.cades(desk.pen())) as signed, pytest.raises(ConfigInvalid):
        await verifier.verify(ToVerify(signed))


async def test_a_damaged_document_is_refused_or_found_invalid_and_nothing_else(desk: Desk) -> None:
    """Every 13th byte of a CMS message, its certificates and its timestamp, changed alone."""
    signed = desk.cades(desk.pen(), stamped=True)
    whole, seen = await desk.verify(signed), set[str]()
    assert whole.verdict is Verdict.VALID
    for place in range(0, len(signed), 13):
        damaged = signed[:place] + bytes([signed[place] ^ 0x41]) + signed[place + 1 :]
        try:
            found = await desk.verify(damaged, offline=True)
        except CarddError as error:
            seen.add(error.code)
        else:
            assert found.verdict is not Verdict.VALID, place
            seen.add(found.verdict)
    assert {"invalid", "document.malformed"} <= seen
    assert not {code for code in seen if code.startswith("internal")}


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_reason_that_is_named_has_its_sentence(language: str) -> None:
    codes = [*(f"flaw_{flaw}" for flaw in Flaw), *(f"revocation_{why}" for why in Why)]
    codes += [code for code, _ in WITHOUT_PATH.values()]
    assert all(Reason(code, Verdict.INVALID).sentence(language) for code in codes)


async def test_a_timestamp_of_a_short_key_does_not_count(desk: Desk) -> None:
    (weak := desk.directory / "weak").mkdir()
    desk.tsa = OpensslTsa(weak, desk.stampers, bits=1024)
    found = only(await desk.verify(desk.cades(desk.pen(), stamped=True)))
    assert (found.verdict, found.stamped, codes(found)) == (Verdict.VALID, False, ["timestamp_broken"])


async def test_what_ends_at_a_simulation_s_authority_is_a_test_whatever_it_says_of_itself(desk: Desk) -> None:
    simulated = Anchors(simulated=[der(desk.root.certificate)])
    with new_document(desk.cades(desk.pen())) as signed:
        found = only(
            await Verifier(simulated, None, RevocationCache(None), desk.pdf, desk.clock).verify(ToVerify(signed))
        )
    assert (found.verdict, codes(found), found.signer.is_test) == (Verdict.VALID, ["test"], True)


class SlowPdf(PdfProcess):
    """A process that reads no document before it may."""

    asked = 0

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Event()

    def ask(self, document: BinaryIO, request: Request) -> Answer:
        self.asked += 1
        self.may.wait(20)
        raise PdfDamaged(why="SIMULATION")


async def test_the_slow_documents_of_one_user_keep_neither_others_nor_signing_waiting(desk: Desk) -> None:
    verifier, slow = desk.verifier(), SlowPdf()
    verifier.pdf = slow
    theirs = [asyncio.ensure_future(verifier.verify(ToVerify(BytesIO(b"%PDF-1.7")), 1000)) for _ in range(20)]
    try:
        await eventually(lambda: slow.asked == OF_ONE_USER)
        async with asyncio.timeout(5):
            mine = await verifier.verify(ToVerify(BytesIO(b"<order/>")), 1001)
            await asyncio.to_thread(int)  # what signing is prepared in
        assert (mine.verdict, slow.asked) == (Verdict.INVALID, OF_ONE_USER)
    finally:
        slow.may.set()
    assert {type(found) for found in await asyncio.gather(*theirs, return_exceptions=True)} == {PdfDamaged}


async def test_the_slow_documents_of_many_users_do_not_keep_signing_waiting(desk: Desk) -> None:
    verifier, slow = desk.verifier(), SlowPdf()
    verifier.pdf = slow
    theirs = [asyncio.ensure_future(verifier.verify(ToVerify(BytesIO(b"%PDF-1.7")), user)) for user in range(40)]
    try:
        await eventually(lambda: slow.asked == THREADS)
        async with asyncio.timeout(5):
            await asyncio.to_thread(int)  # what signing is prepared in
        assert slow.asked == THREADS
    finally:
        slow.may.set()
    assert {type(found) for found in await asyncio.gather(*theirs, return_exceptions=True)} == {PdfDamaged}
