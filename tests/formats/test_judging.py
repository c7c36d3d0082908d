"""Verdicts on signatures as they were found, without their documents: each reason, and the time that counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import md5, sha1, sha256, sha512

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from cardd.documents.judging import Judge
from cardd.documents.verdicts import Chain, Judged, Verdict, worst
from cardd.errors import DocumentMalformed
from cardd.formats.pdf.wire import Later
from cardd.formats.prepared import Signer
from cardd.formats.revocation import Revocations
from cardd.formats.trust import TrustedAuthorities
from cardd.formats.verified import Flaw, Format, Scope, Status, VerifiedSignature, VerifiedTimestamp
from cardd.identity.holders import CARD_TYPE
from cardd.model import Algorithm
from cardd.system.outgoing import RevocationCache
from cardd.values import replace
from tests.rig.pens import Pen, SmallAuthority, card_pen, der, usage_of
from tests.rig.revoking import revocation_list
from tests.rig.simulator import store
from tests.rig.verifying import codes

DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)
VALID, UNDETERMINED, INVALID = Verdict.VALID, Verdict.UNDETERMINED, Verdict.INVALID
KEY = ec.generate_private_key(ec.SECP256R1())
LISTS = "http://lists.simulation.invalid/"


@dataclass
class Bench:
    """Authorities, what they say of revocation, and a judge whose clock stands still."""

    now: datetime
    root: SmallAuthority = field(default_factory=lambda: SmallAuthority("AC RACINE SIMULATION"))
    stampers: SmallAuthority = field(default_factory=lambda: SmallAuthority("AC HORODATAGE SIMULATION"))
    lists: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.publish(self.root, "root")
        self.publish(self.stampers, "stampers")

    def publish(self, authority: SmallAuthority, name: str, revoked: dict[bytes, datetime] | None = None) -> None:
        """Have the authority's certificates name this list, and what it says."""
        authority.lists = [LISTS + name]
        self.lists[LISTS + name] = revocation_list(authority, revoked)

    async def fetch(self, url: str, body: bytes | None, limit: int) -> bytes | None:
        """The network, as ``Revocations`` wants it."""
        self.asked.append(url)
        return self.lists.get(url)

    def pen(self, days: tuple[int, int] = (-100, 100)) -> Pen:
        return self.root.pen(KEY, Algorithm.ES256, days=days)

    def below(self, name: str, days: tuple[int, int] = (-100, 100)) -> tuple[SmallAuthority, Pen]:
        """An authority between, with a list of its own, and a signer of it."""
        between = SmallAuthority(name, self.root)
        self.publish(between, "between")
        return between, between.pen(KEY, Algorithm.ES256, days=days)

    def stamp(self, at: datetime, flaw: Flaw | None = None) -> VerifiedTimestamp:
        certificate = self.stampers.timestamping(KEY, days=(-100, 100))
        return VerifiedTimestamp(at, der(certificate), self.stampers.chain, flaw)

    def judge(self, *simulated: bytes, ahead: timedelta = timedelta()) -> Judge:
        clock: Callable[[], datetime] = lambda: self.now + ahead  # noqa: E731 - the whole clock
        signers = TrustedAuthorities([der(self.root.certificate), *simulated])
        stampers = TrustedAuthorities([der(self.stampers.certificate)])
        revocations = Revocations(self, RevocationCache(None), clock)
        return Judge(signers, stampers, revocations, clock, simulated)

    async def judged(self, found: VerifiedSignature) -> Judged:
        return await self.judge().judged(found)


@pytest.fixture
def bench() -> Bench:
    return Bench(datetime.now(UTC).replace(microsecond=0))


def found_by(pen: Pen, **told: object) -> VerifiedSignature:
    """A signature that is whole, but for what is told."""
    signer = pen.signer
    found = VerifiedSignature(Format.CADES, signer.certificate, signer.chain, "ES256", Scope.WHOLE, bytes(32))
    return replace(found, **told)


async def test_nothing_is_said_of_a_signature_that_is_good(bench: Bench) -> None:
    one = await bench.judged(found_by(bench.pen()))
    assert (one.verdict, one.reasons, one.stamped, one.at, one.timestamp) == (VALID, (), False, bench.now, None)
    assert one.chain == Chain(trusted=True, authority="AC RACINE SIMULATION")
    assert one.revocation is not None
    assert one.revocation.status is Status.GOOD


@pytest.mark.parametrize("flaw", Flaw)
async def test_each_flaw_makes_it_invalid_and_nobody_is_asked(bench: Bench, flaw: Flaw) -> None:
    one = await bench.judged(found_by(bench.pen(), flaw=flaw))
    assert (one.verdict, codes(one), one.revocation, bench.asked) == (INVALID, [f"flaw_{flaw}"], None, [])


@pytest.mark.parametrize(
    ("told", "verdict", "reasons"),
    [
        ({"scope": Scope.PART}, UNDETERMINED, ["part"]),
        ({"scope": Scope.DETACHED}, VALID, []),
        ({"format": Format.PADES, "scope": Scope.PART}, VALID, []),
        ({"later": Later.SIGNATURES}, VALID, ["signed_later"]),
        ({"later": Later.FILLED_AS_ALLOWED}, VALID, ["filled_later"]),
        ({"later": Later.FILLED}, UNDETERMINED, ["filled_later"]),
        ({"later": Later.FORBIDDEN}, INVALID, ["changed_later"]),
        ({"names_certificate": False}, UNDETERMINED, ["certificate_unnamed"]),
        ({"later": Later.FILLED, "names_certificate": False}, UNDETERMINED, ["filled_later", "certificate_unnamed"]),
        ({"later": Later.FORBIDDEN, "names_certificate": False}, INVALID, ["changed_later", "certificate_unnamed"]),
    ],
    ids=str,
)
async def test_what_is_found_in_the_document_weighs(
    bench: Bench, told: dict[str, object], verdict: Verdict, reasons: list[str]
) -> None:
    one = await bench.judged(found_by(bench.pen(), **told))
    assert (one.verdict, codes(one)) == (verdict, reasons)


async def test_a_short_key_is_told_by_its_bits(bench: Bench) -> None:
    short = bench.root.pen(ec.generate_private_key(ec.SECP192R1()), Algorithm.ES256)
    one = await bench.judged(found_by(short))
    (reason,) = (reason for reason in one.reasons if reason.code == "weak_key")
    assert (reason.verdict, reason.params) == (INVALID, (("bits", "192"),))
    assert "192 bits" in reason.sentence("en")


# --- the time that counts


@pytest.mark.parametrize(
    ("ahead", "stamped", "reasons"),
    [
        (-HOUR, True, []),
        (timedelta(minutes=1), True, []),
        (timedelta(minutes=1, seconds=1), False, ["timestamp_untrusted"]),
        (-200 * DAY, False, ["timestamp_untrusted"]),
    ],
    ids=["before", "a minute ahead", "more", "before its certificate"],
)
async def test_a_timestamp_counts_that_is_of_its_authority_s_time_and_not_of_tomorrow(
    bench: Bench, ahead: timedelta, stamped: bool, reasons: list[str]
) -> None:
    stamp = bench.stamp(bench.now + ahead)
    one = await bench.judged(found_by(bench.pen(), timestamp=stamp))
    assert (one.verdict, one.stamped, codes(one)) == (VALID, stamped, reasons)
    assert one.at == (stamp.time if stamped else bench.now)
    assert one.timestamp is not None
    assert (one.timestamp.time, one.timestamp.intact, one.timestamp.trusted) == (stamp.time, True, stamped)
    assert one.timestamp.authority == "HORODATAGE SIMULATION"
    trusted = Chain(trusted=True, authority="AC HORODATAGE SIMULATION")
    assert one.timestamp.chain == (trusted if stamped else Chain(trusted=False, problem="early"))


async def test_a_broken_timestamp_does_not_count_and_nobody_is_asked_about_it(bench: Bench) -> None:
    expired = found_by(bench.pen((-100, -10)), timestamp=bench.stamp(bench.now - 20 * DAY, Flaw.IMPRINT))
    one = await bench.judged(expired)
    assert (one.verdict, one.stamped, codes(one)) == (UNDETERMINED, False, ["timestamp_broken", "expired"])
    assert one.timestamp is not None
    assert (one.timestamp.revocation, bench.asked) == (None, [])


async def test_a_timestamp_does_not_count_whose_authority_has_been_revoked_since(bench: Bench) -> None:
    stamp = bench.stamp(bench.now - DAY)
    bench.publish(bench.stampers, "stampers", {stamp.certificate: bench.now - HOUR})
    one = await bench.judged(found_by(bench.pen(), timestamp=stamp))
    assert (one.verdict, one.stamped, codes(one)) == (VALID, False, ["timestamp_untrusted"])
    assert one.timestamp is not None
    assert one.timestamp.revocation is not None
    assert one.timestamp.revocation.status is Status.REVOKED


async def test_a_signer_s_authority_makes_no_timestamps(bench: Bench) -> None:
    certificate = der(bench.root.timestamping(KEY))
    stamp = VerifiedTimestamp(bench.now - HOUR, certificate, bench.root.chain)
    one = await bench.judged(found_by(bench.pen(), timestamp=stamp))
    assert (one.stamped, codes(one)) == (False, ["timestamp_untrusted"])


async def test_an_expired_certificate_is_told_with_its_end_and_whether_it_had_ended_when_it_was_signed(
    bench: Bench,
) -> None:
    expired = found_by(bench.pen((-50, -10)))
    bare, late, early = [
        await bench.judged(replace(expired, timestamp=stamp))
        for stamp in (None, bench.stamp(bench.now - 5 * DAY), bench.stamp(bench.now - 60 * DAY))
    ]
    assert (bare.verdict, codes(bare)) == (UNDETERMINED, ["expired"])
    assert (late.verdict, codes(late)) == (INVALID, ["expired_when_signed"])
    assert (early.verdict, codes(early)) == (INVALID, ["not_yet_valid"])
    date = f"{bare.signer.not_after:%Y-%m-%d %H:%M:%S} UTC"
    assert bare.reasons[0].params == (("issuer", "CN=AC RACINE SIMULATION"), ("date", date))
    assert (bare.chain, late.chain) == (Chain(trusted=False, problem="expired"),) * 2
    assert f"until {date}" in bare.reasons[0].sentence("en")


@pytest.mark.parametrize(
    ("after", "verdict", "code"),
    [(-SECOND, INVALID, "revoked"), (timedelta(), INVALID, "revoked"), (SECOND, VALID, "revoked_later")],
    ids=["before", "in that second", "after"],
)
async def test_a_revocation_counts_that_is_not_later_than_the_signature(
    bench: Bench, after: timedelta, verdict: Verdict, code: str
) -> None:
    pen, stamp = bench.pen(), bench.stamp(bench.now - DAY)
    since = stamp.time + after
    bench.publish(bench.root, "root", {pen.signer.certificate: since})
    one = await bench.judged(found_by(pen, timestamp=stamp))
    assert (one.verdict, codes(one)) == (verdict, [code])
    assert one.reasons[0].params == (("subject", "PERSONNE SIMULATION"), ("date", f"{since:%Y-%m-%d %H:%M:%S} UTC"))


# --- the path


async def test_of_the_path_s_certificates_the_one_counts_of_which_the_worst_is_known(bench: Bench) -> None:
    between, pen = bench.below("AC PERSONNES SIMULATION")
    person, authority, stamp = pen.signer.certificate, der(between.certificate), bench.stamp(bench.now - DAY)
    before, after = stamp.time - HOUR, stamp.time + HOUR
    for of_person, of_authority, verdict, reasons, whose in (
        ({}, {}, VALID, [], "PERSONNE SIMULATION"),
        ({person: after}, {}, VALID, ["revoked_later"], "PERSONNE SIMULATION"),
        ({}, {authority: after}, VALID, ["revoked_later"], "AC PERSONNES SIMULATION"),
        ({person: after}, {authority: before}, INVALID, ["revoked"], "AC PERSONNES SIMULATION"),
        ({person: before}, {authority: after}, INVALID, ["revoked"], "PERSONNE SIMULATION"),
        (None, {authority: after}, UNDETERMINED, ["revocation_unreachable"], "PERSONNE SIMULATION"),
        (None, {authority: before}, INVALID, ["revoked"], "AC PERSONNES SIMULATION"),
        ({person: before}, None, INVALID, ["revoked"], "PERSONNE SIMULATION"),
    ):
        for issuer, name, revoked in ((between, "between", of_person), (bench.root, "root", of_authority)):
            bench.publish(issuer, name, revoked)
            if revoked is None:
                del bench.lists[LISTS + name]
        one = await bench.judged(found_by(pen, timestamp=stamp))
        assert (one.verdict, codes(one)) == (verdict, reasons)
        assert one.revocation is not None
        assert one.revocation.subject == whose
        assert all(reason.params[0] == ("subject", whose) for reason in one.reasons)


async def test_nobody_is_asked_about_a_certificate_without_a_path(bench: Bench) -> None:
    stranger = SmallAuthority("AC RACINE SIMULATION")
    stranger.lists = bench.root.lists
    one = await bench.judged(found_by(stranger.pen(KEY, Algorithm.ES256)))
    assert (one.verdict, codes(one), one.revocation, bench.asked) == (UNDETERMINED, ["untrusted"], None, [])
    assert one.chain == Chain(trusted=False, problem="authority")


async def test_each_certificate_that_the_signer_named_is_in_the_path(bench: Bench) -> None:
    between, pen = bench.below("AC PERSONNES SIMULATION")
    above, root, person = der(between.certificate), der(bench.root.certificate), pen.signer.certificate
    for named, reasons in (
        ([("sha256", sha256(above).digest()), ("sha512", sha512(root).digest())], []),
        ([("sha1", sha1(above, usedforsecurity=False).digest())], []),
        ([("md5", md5(person, usedforsecurity=False).digest())], []),
        ([("sha256", sha256(b"other").digest())], ["path_other"]),
        ([("sha512", sha256(above).digest())], ["path_other"]),
        ([("sha256", sha256(above).digest()), ("sha256", bytes(32)), ("sha256", bytes(32))], ["path_other"]),
    ):
        one = await bench.judged(found_by(pen, path_named=tuple(named)))
        assert (one.verdict, codes(one)) == (UNDETERMINED if reasons else VALID, reasons)


async def test_of_a_path_that_is_not_there_nothing_more_is_said(bench: Bench) -> None:
    pen = SmallAuthority("AC AUTRE SIMULATION").pen(KEY, Algorithm.ES256)
    one = await bench.judged(found_by(pen, path_named=(("sha256", bytes(32)),)))
    assert codes(one) == ["untrusted"]


async def test_a_simulated_authority_revokes_nobody_and_makes_every_signature_a_test(bench: Bench) -> None:
    simulated = SmallAuthority("AC SIMULATION")
    bench.publish(simulated, "simulated")
    judge = bench.judge(der(simulated.certificate))
    one = await judge.judged(found_by(simulated.pen(KEY, Algorithm.ES256)))
    assert (one.verdict, codes(one), one.signer.is_test, one.revocation) == (VALID, ["test"], True, None)
    assert bench.asked == []
    real = await judge.judged(found_by(bench.pen()))
    assert (codes(real), real.signer.is_test, bench.asked) == ([], False, [LISTS + "root"])


# --- who signed, and the document as a whole


async def test_the_signer_is_told_as_the_certificate_says(bench: Bench) -> None:
    pen = bench.pen()
    signer = (await bench.judged(found_by(pen))).signer
    assert (signer.certificate, signer.subject, signer.issuer) == (
        pen.signer.certificate,
        "CN=PERSONNE SIMULATION",
        "CN=AC RACINE SIMULATION",
    )
    number = x509.load_der_x509_certificate(pen.signer.certificate).serial_number
    assert int(signer.serial, 16) == number
    assert signer.not_after - signer.not_before == 200 * DAY
    assert (signer.is_test, signer.holder) == (False, None)
    card = card_pen().signer
    trusting = bench.judge(*store().authorities)
    of_card = (await trusting.judged(found_by(card_pen()))).signer
    assert (of_card.certificate, of_card.is_test) == (card.certificate, True)
    assert of_card.holder is not None
    assert of_card.holder.national_id == "899000000010"


async def test_a_holder_is_told_where_the_certificate_says_more_than_a_number(bench: Bench) -> None:
    kind = x509.UnrecognizedExtension(x509.ObjectIdentifier(CARD_TYPE), b"\x02\x01\x00")
    for more, number in (((), None), ((kind,), "899000000010")):
        certificate = bench.root.issue(KEY, "899000000010", usage_of("content_commitment"), more=more)
        signer = Signer(der(certificate), bench.root.chain, Algorithm.ES256)
        holder = (await bench.judged(found_by(Pen(signer, KEY, bench.root.pem)))).signer.holder
        assert (holder.national_id if holder else None) == number


async def test_a_signer_without_a_certificate_that_can_be_read_is_malformed(bench: Bench) -> None:
    with pytest.raises(DocumentMalformed) as refused:
        await bench.judged(found_by(bench.pen(), certificate=b"\x30\x00"))
    assert refused.value.params == {"format": "X.509"}


async def test_the_worst_of_a_document_s_signatures_counts_and_one_without_any_is_invalid(bench: Bench) -> None:
    good, part = found_by(bench.pen()), found_by(bench.pen(), scope=Scope.PART)
    bad = found_by(bench.pen(), flaw=Flaw.CONTENT)
    for signatures, verdict in (
        ([good], VALID),
        ([good, part], UNDETERMINED),
        ([part, good], UNDETERMINED),
        ([bad, part, good], INVALID),
    ):
        told = await bench.judge().verification(signatures)
        assert (told.verdict, told.reasons, [one.found for one in told.signatures]) == (verdict, (), signatures)
    none = await bench.judge().verification([])
    assert (none.verdict, codes(none), none.signatures) == (INVALID, ["unsigned"], ())
    assert worst([]) is VALID
