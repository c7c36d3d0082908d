"""Answers about revocation that are crafted: at the edges of their times, shown by others, with more than is wanted."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from asn1crypto import core, ocsp
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from pyhanko_certvalidator.path import ValidationPath

from cardd.formats.prepared import Signer
from cardd.formats.revocation import ANSWER_MAX, URL_MAX, Revocations
from cardd.formats.trust import NoPath, TrustedAuthorities
from cardd.formats.verified import Revocation, Source, Status, Why
from cardd.model import Algorithm
from cardd.system.outgoing import RevocationCache
from tests.rig.pens import Pen, SmallAuthority, der
from tests.rig.revoking import ocsp_answer, revocation_list

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
KEY = ec.generate_private_key(ec.SECP256R1())
RESPONDER, LIST = "http://ocsp.simulation.invalid/", "http://list.simulation.invalid/"
PERSON = "PERSONNE SIMULATION"
GOOD, REVOKED, UNKNOWN = Status.GOOD, Status.REVOKED, Status.UNKNOWN


@dataclass
class Authorities:
    """What the authorities answer, by address, and at what time they are asked."""

    answers: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    async def fetch(self, url: str, body: bytes | None, limit: int) -> bytes | None:
        """The network, as ``Revocations`` wants it."""
        self.asked.append(url)
        return self.answers.get(url)

    async def of(self, path: ValidationPath, stapled: bytes = b"", *, offline: bool = False) -> tuple[Revocation, ...]:
        network = None if offline else self
        return await Revocations(network, RevocationCache(None), lambda: self.now).of(path, stapled)


@pytest.fixture
def root() -> SmallAuthority:
    made = SmallAuthority("AC RACINE SIMULATION")
    made.ocsp, made.lists = [RESPONDER], [LIST]
    return made


@pytest.fixture
def authorities() -> Authorities:
    return Authorities()


def pen_of(authority: SmallAuthority, days: tuple[int, int] = (-1, 365)) -> Pen:
    return authority.pen(KEY, Algorithm.ES256, days=days)


async def path_of(root: SmallAuthority, pen: Pen, at: datetime | None = None) -> ValidationPath:
    trusted = TrustedAuthorities([der(root.certificate)])
    found = await asyncio.to_thread(trusted.path, pen.signer.certificate, pen.signer.chain, at or datetime.now(UTC))
    assert not isinstance(found, NoPath), found
    return found


def as_of(answer: bytes) -> datetime:
    """When a list was made."""
    return x509.load_der_x509_crl(answer).last_update_utc


# --- an answer that is shown by whom it is about


async def test_an_answer_that_is_shown_spares_the_question(root: SmallAuthority, authorities: Authorities) -> None:
    pen = pen_of(root)
    answer = ocsp_answer(root, pen.signer.certificate)
    (found,) = await authorities.of(await path_of(root, pen), answer)
    assert (found.subject, found.status, found.source, found.why) == (PERSON, GOOD, Source.OCSP, None)
    assert authorities.asked == []
    (offline,) = await authorities.of(await path_of(root, pen), answer, offline=True)
    assert offline == found


async def test_an_answer_that_is_shown_is_held_to_the_time_and_to_the_certificate_as_any_other(
    root: SmallAuthority, authorities: Authorities
) -> None:
    pen, other = pen_of(root), pen_of(root)
    path = await path_of(root, pen)
    authorities.answers[LIST] = revocation_list(root, {pen.signer.certificate: authorities.now - DAY})
    for lie in (
        ocsp_answer(root, other.signer.certificate),
        ocsp_answer(root, pen.signer.certificate, age=DAY),
        ocsp_answer(root, pen.signer.certificate) + b"\0",
        b"\0",
    ):
        authorities.asked.clear()
        (found,) = await authorities.of(path, lie)
        assert (found.status, authorities.asked) == (REVOKED, [RESPONDER, LIST])
    honest = ocsp_answer(root, pen.signer.certificate)
    authorities.now += 2 * HOUR  # by its own clock
    (found,) = await authorities.of(path, honest, offline=True)
    assert (found.status, found.why) == (UNKNOWN, Why.OFFLINE)


async def test_an_answer_that_is_shown_and_too_large_is_not_read(
    root: SmallAuthority, authorities: Authorities
) -> None:
    pen = pen_of(root)
    padding = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), bytes(ANSWER_MAX[Source.OCSP]))
    large = root.issue(KEY, "SIMULATION", None, more=[padding])
    answer = ocsp_answer(root, pen.signer.certificate, beside=[large])
    (found,) = await authorities.of(await path_of(root, pen), answer, offline=True)
    assert (len(answer) > ANSWER_MAX[Source.OCSP], found.why) == (True, Why.OFFLINE)


async def test_an_answer_that_is_shown_is_about_the_first_of_the_path_only(
    root: SmallAuthority, authorities: Authorities
) -> None:
    between = SmallAuthority("AC PERSONNES SIMULATION", root)
    pen = pen_of(between)
    path, authority = await path_of(root, pen), der(between.certificate)
    of_person, of_authority = await authorities.of(path, ocsp_answer(root, authority))
    assert (of_person, of_authority) == (
        Revocation(PERSON, UNKNOWN, why=Why.NO_SOURCE),
        Revocation("AC PERSONNES SIMULATION", UNKNOWN, why=Why.UNREACHABLE),
    )
    authorities.asked.clear()
    authorities.answers[LIST] = revocation_list(root)
    of_person, of_authority = await authorities.of(path, ocsp_answer(between, pen.signer.certificate))
    assert (of_person.source, of_authority.source) == (Source.OCSP, Source.CRL)
    assert authorities.asked == [RESPONDER, LIST]


# --- what is told of each


async def test_all_is_told_of_who_is_revoked(root: SmallAuthority, authorities: Authorities) -> None:
    pen = pen_of(root)
    since = authorities.now.replace(microsecond=0) - DAY
    answer = authorities.answers[LIST] = revocation_list(root, {pen.signer.certificate: since})
    (found,) = await authorities.of(await path_of(root, pen))
    assert found == Revocation(PERSON, REVOKED, Source.CRL, as_of(answer), since, "key_compromise")


async def test_all_is_told_of_who_is_not_known(root: SmallAuthority, authorities: Authorities) -> None:
    pen, other = pen_of(root), SmallAuthority("AC AUTRE SIMULATION")
    path = await path_of(root, pen)
    assert await authorities.of(path, offline=True) == (Revocation(PERSON, UNKNOWN, why=Why.OFFLINE),)
    for answer, why in (
        (revocation_list(root, age=DAY), Why.STALE),
        (revocation_list(other), Why.GARBLED),
        (revocation_list(root) + b"\0", Why.GARBLED),
        (b"<html>", Why.GARBLED),
    ):
        authorities.answers[LIST] = answer
        assert await authorities.of(path) == (Revocation(PERSON, UNKNOWN, Source.CRL, why=why),)


async def test_of_several_that_do_not_tell_the_one_is_told_that_says_most(
    root: SmallAuthority, authorities: Authorities
) -> None:
    pen = pen_of(root)
    stale, garbled = ocsp_answer(root, pen.signer.certificate, age=DAY), b"<html>"
    for answers, why in (
        ({}, Why.UNREACHABLE),
        ({RESPONDER: stale}, Why.STALE),
        ({RESPONDER: garbled, LIST: revocation_list(root, age=DAY)}, Why.GARBLED),
        ({RESPONDER: stale, LIST: garbled}, Why.GARBLED),
    ):
        authorities.answers = answers
        (found,) = await authorities.of(await path_of(root, pen))
        assert (found.status, found.why) == (UNKNOWN, why)


async def test_what_the_network_answers_is_held_to_the_clock(root: SmallAuthority, authorities: Authorities) -> None:
    path = await path_of(root, pen_of(root))
    authorities.answers[LIST] = revocation_list(root)
    authorities.now += 2 * HOUR
    assert (await authorities.of(path))[0].why is Why.STALE
    authorities.now -= 2 * HOUR
    assert (await authorities.of(path))[0].status is GOOD


@pytest.mark.parametrize(("ahead", "status"), [(30 * SECOND, GOOD), (300 * SECOND, UNKNOWN)], ids=["little", "much"])
async def test_an_authority_s_clock_may_be_a_minute_ahead(
    root: SmallAuthority, authorities: Authorities, ahead: timedelta, status: Status
) -> None:
    pen = pen_of(root)
    authorities.answers[RESPONDER] = ocsp_answer(root, pen.signer.certificate, age=-ahead)
    assert (await authorities.of(await path_of(root, pen)))[0].status is status


# --- certificates that have ended


def with_cutoff(answer: bytes, *moments: datetime) -> bytes:
    """The responder's answer with these moments as its archive cutoff (RFC 6960, section 4.4.4), signed by KEY."""
    response = ocsp.OCSPResponse.load(answer)
    basic = response["response_bytes"]["response"].parsed
    told = basic["tbs_response_data"]
    listed = [
        {"extn_id": "archive_cutoff", "extn_value": core.ParsableOctetString(core.GeneralizedTime(moment).dump())}
        for moment in moments
    ]
    told["responses"][0]["single_extensions"] = listed
    basic["signature"] = core.OctetBitString(KEY.sign(told.dump(force=True), ec.ECDSA(SHA256())))
    response["response_bytes"]["response"] = core.ParsableOctetString(basic.dump(force=True))
    return bytes(response.dump(force=True))


@pytest.mark.parametrize("kind", Source)
async def test_good_is_believed_of_one_that_has_ended_where_the_answer_is_of_before_or_its_authority_remembers(
    authorities: Authorities, kind: Source
) -> None:
    root = SmallAuthority("AC RACINE SIMULATION", key=KEY)
    root.ocsp, root.lists = ([RESPONDER], []) if kind is Source.OCSP else ([], [LIST])
    pen = pen_of(root, days=(-30, -10))
    ended = x509.load_der_x509_certificate(pen.signer.certificate).not_valid_after_utc
    path = await path_of(root, pen, ended - DAY)
    for after, keeps_since, status in (
        (timedelta(), None, GOOD),
        (SECOND, None, UNKNOWN),
        (DAY, None, UNKNOWN),
        (DAY, ended + SECOND, UNKNOWN),
        (DAY, ended, GOOD),
        (DAY, ended - DAY, GOOD),
    ):
        age = datetime.now(UTC) - ended - after
        life = age + HOUR
        if kind is Source.OCSP:
            plain = ocsp_answer(root, pen.signer.certificate, age=age, life=life)
            authorities.answers[RESPONDER] = with_cutoff(plain, *([keeps_since] if keeps_since else []))
        else:
            authorities.answers[LIST] = revocation_list(root, age=age, life=life, keeps_since=keeps_since)
        (found,) = await authorities.of(path)
        why = Why.EXPIRED if status is UNKNOWN else None
        assert found == Revocation(PERSON, status, kind, ended + after, why=why)


# --- whom a certificate names


@pytest.mark.parametrize(("length", "asked"), [(URL_MAX, 1), (URL_MAX + 1, 0)])
async def test_an_address_may_be_so_long(
    root: SmallAuthority, authorities: Authorities, length: int, asked: int
) -> None:
    root.ocsp, root.lists = [], [LIST.ljust(length, "a")]
    await authorities.of(await path_of(root, pen_of(root)))
    assert len(authorities.asked) == asked


async def test_of_each_kind_two_addresses_are_asked(root: SmallAuthority, authorities: Authorities) -> None:
    root.ocsp = [f"{RESPONDER}{number}" for number in range(3)]
    root.lists = ["ldap://list.simulation.invalid/", *(f"{LIST}{number}" for number in range(3))]
    await authorities.of(await path_of(root, pen_of(root)))
    assert authorities.asked == [*root.ocsp[:2], f"{LIST}0", f"{LIST}1"]


async def test_a_list_that_is_named_relative_to_its_authority_is_passed_over(
    root: SmallAuthority, authorities: Authorities
) -> None:
    relative = x509.RelativeDistinguishedName([x509.NameAttribute(x509.NameOID.COMMON_NAME, "liste")])
    directory = x509.DirectoryName(root.name)
    points = [
        x509.DistributionPoint(None, relative, None, None),
        x509.DistributionPoint([directory, x509.UniformResourceIdentifier(LIST)], None, None, None),
    ]
    root.ocsp, root.lists = [], []
    issued = root.issue(KEY, PERSON, None, more=[x509.CRLDistributionPoints(points)])
    pen = Pen(Signer(der(issued), root.chain, Algorithm.ES256), KEY, root.pem)
    await authorities.of(await path_of(root, pen))
    assert authorities.asked == [LIST]


class Meeting:
    """Answers that nobody kept; whoever looks for one waits a moment for another who does."""

    def __init__(self, moment: float) -> None:
        self.moment = moment
        self.barrier = threading.Barrier(2)
        self.met: list[bool] = []

    def load(self, key: str) -> bytes | None:
        try:
            self.barrier.wait(self.moment)
        except threading.BrokenBarrierError:
            self.met.append(False)
        else:
            self.met.append(True)
        return None

    def save(self, key: str, answer: bytes) -> None:
        raise AssertionError


@pytest.mark.parametrize(("kind", "moment", "met"), [(Source.OCSP, 10, True), (Source.CRL, 0.05, False)])
async def test_lists_are_read_one_after_the_other_and_responders_answers_together(
    root: SmallAuthority, kind: Source, moment: float, met: bool
) -> None:
    root.ocsp, root.lists = ([RESPONDER], []) if kind is Source.OCSP else ([], [LIST])
    path, answers = await path_of(root, pen_of(root)), Meeting(moment)
    asking = Revocations(None, answers, lambda: datetime.now(UTC))
    await asyncio.gather(asking.of(path), asking.of(path))
    assert answers.met == [met, met]
