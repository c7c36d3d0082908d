"""What is found out about revocation: from openssl's responder and from lists, kept, offline, and in spite of liars."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from cardd.formats.revocation import Revocations
from cardd.formats.trust import NoPath, TrustedAuthorities
from cardd.formats.verified import Revocation, Source, Status, Why
from cardd.model import Algorithm
from cardd.system.outgoing import RevocationCache, RevocationHttp
from tests.rig.pens import Pen, SmallAuthority, der
from tests.rig.ports import free_port
from tests.rig.revoking import Handler, OpensslResponder, Served, ocsp_answer, revocation_list

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def root() -> SmallAuthority:
    return SmallAuthority("AC RACINE SIMULATION")


@dataclass
class Asker:
    """Asks about certificates of one root, at a time that the test may move."""

    root: SmallAuthority
    directory: Path
    network: RevocationHttp | None = None
    ahead: timedelta = timedelta()

    async def __aenter__(self) -> Self:
        self.network = RevocationHttp(timeout=5, is_local=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.network:
            await self.network.close()

    async def about(self, pen: Pen, *, offline: bool = False) -> tuple[Revocation, ...]:
        """Of each certificate of its path."""
        now = datetime.now(UTC)
        authorities = TrustedAuthorities([der(self.root.certificate)])
        path = await asyncio.to_thread(authorities.path, pen.signer.certificate, pen.signer.chain, now)
        assert not isinstance(path, NoPath), path
        network = None if offline else self.network
        asking = Revocations(network, RevocationCache(self.directory), lambda: datetime.now(UTC) + self.ahead)
        return await asking.of(path)

    async def of_signer(self, pen: Pen, *, offline: bool = False) -> Revocation:
        """Of the signer's only."""
        return (await self.about(pen, offline=offline))[0]


def pen_of(authority: SmallAuthority, key: ec.EllipticCurvePrivateKey, days: tuple[int, int] = (-1, 365)) -> Pen:
    return authority.pen(key, Algorithm.ES256, days=days)


async def test_openssl_s_responder_tells_good_and_revoked(
    root: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey, tmp_path: Path
) -> None:
    responder = OpensslResponder(tmp_path / "ocsp", root)
    served = Served(handlers={"ocsp": responder})
    root.ocsp = [served.url("ocsp")]
    good, revoked = pen_of(root, ec_key), pen_of(root, ec_key)
    since = datetime.now(UTC).replace(microsecond=0) - 3 * DAY
    responder.issued(good.signer.certificate)
    responder.issued(revoked.signer.certificate, since)
    async with served:
        async with Asker(root, tmp_path / "kept") as asker:
            found = await asker.of_signer(good)
            assert (found.status, found.source, found.why) == (Status.GOOD, Source.OCSP, None)
            assert found.as_of is not None
            assert abs(found.as_of - datetime.now(UTC)) < timedelta(minutes=1)
            told = await asker.of_signer(revoked)
            assert (told.status, told.revoked_at, told.reason) == (Status.REVOKED, since, "key_compromise")
            stranger = await asker.of_signer(pen_of(root, ec_key))
            assert (stranger.status, stranger.why) == (Status.UNKNOWN, Why.GARBLED)  # it says “unknown”
        async with Asker(root, tmp_path / "kept") as asker:
            assert (await asker.of_signer(good, offline=True)).status is Status.GOOD  # kept on disk


async def test_a_list_tells_good_and_revoked_and_is_fetched_once(
    root: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey, tmp_path: Path
) -> None:
    async with Served() as served, Asker(root, tmp_path) as asker:
        root.lists = ["ldap://annuaire.simulation.invalid/", served.url("list")]
        good, revoked = pen_of(root, ec_key), pen_of(root, ec_key)
        since = datetime.now(UTC).replace(microsecond=0) - DAY
        served.answers["list"] = revocation_list(root, {revoked.signer.certificate: since})
        found = await asker.of_signer(good)
        assert (found.status, found.source) == (Status.GOOD, Source.CRL)
        told = await asker.of_signer(revoked)
        assert (told.status, told.revoked_at, told.reason) == (Status.REVOKED, since, "key_compromise")
        assert served.asked == {"list": 1}


async def test_a_list_serves_where_the_responder_is_down(
    root: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey, tmp_path: Path
) -> None:
    async with Served() as served, Asker(root, tmp_path) as asker:
        root.ocsp, root.lists = [f"http://127.0.0.1:{free_port()}/"], [served.url("list")]
        pen = pen_of(root, ec_key)
        served.answers["list"] = revocation_list(root)
        assert (await asker.of_signer(pen)).source is Source.CRL


async def test_the_responder_is_asked_before_the_list(
    root: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey, tmp_path: Path
) -> None:
    async with Served() as served, Asker(root, tmp_path) as asker:
        root.ocsp, root.lists = [served.url("ocsp")], [served.url("list")]
        pen = pen_of(root, ec_key)
        served.answers = {"list": revocation_list(root), "ocsp": ocsp_answer(root, pen.signer.certificate)}
        assert (await asker.of_signer(pen)).source is Source.OCSP
        assert served.asked == {"ocsp": 1}


async def test_each_certificate_of_the_path_is_asked_about(
    root: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey, tmp_path: Path
) -> None:
    async with Served() as served, Asker(root, tmp_path) as asker:
        root.lists = [served.url("root")]
        persons = SmallAuthority("AC PERSONNES SIMULATION", root)
        persons.lists = [served.url("persons")]
        pen = pen_of(persons, ec_key)
        served.answers = {
            "root": revocation_list(root, {der(persons.certificate): datetime.now(UTC) - DAY}),
            "persons": revocation_list(persons),
        }
        of_signer, of_persons = await asker.about(pen)
        assert of_persons.subject == "AC PERSONNES SIMULATION"
        assert of_persons.status is Status.REVOKED
        assert of_signer.status is Status.GOOD  # as the revoked authority says: the path as a whole is no better for it


async def test_a_certificate_that_names_nobody_is_unknown(
    root: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey, tmp_path: Path
) -> None:
    root.lists = ["ldap://annuaire.simulation.invalid/", "https://127.0.0.1/list", "file:///etc/passwd"]
    async with Asker(root, tmp_path) as asker:
        found = await asker.of_signer(pen_of(root, ec_key))
    assert (found.status, found.why) == (Status.UNKNOWN, Why.NO_SOURCE)


async def test_offline_nobody_is_asked_and_the_answer_says_so(
    root: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey, tmp_path: Path
) -> None:
    async with Served() as served, Asker(root, tmp_path) as asker:
        root.lists = [served.url("list")]
        served.answers["list"] = revocation_list(root)
        pen = pen_of(root, ec_key)
        found = await asker.of_signer(pen, offline=True)
        assert (found.status, found.why) == (Status.UNKNOWN, Why.OFFLINE)
        assert served.asked == {}
        await asker.of_signer(pen)
        assert (await asker.of_signer(pen, offline=True)).status is Status.GOOD


async def test_what_is_kept_counts_until_its_next_update(
    root: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey, tmp_path: Path
) -> None:
    async with Served() as served, Asker(root, tmp_path) as asker:
        root.lists = [served.url("list")]
        served.answers["list"] = revocation_list(root)
        pen = pen_of(root, ec_key)
        await asker.of_signer(pen)
        asker.ahead = 2 * HOUR
        found = await asker.of_signer(pen, offline=True)
        assert (found.status, found.why) == (Status.UNKNOWN, Why.STALE)
        await asker.of_signer(pen)
        assert served.asked == {"list": 2}


async def test_an_answer_that_has_no_next_update_is_soon_old(
    root: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey, tmp_path: Path
) -> None:
    async with Served() as served, Asker(root, tmp_path) as asker:
        root.ocsp = [served.url("ocsp")]
        pen = pen_of(root, ec_key)
        served.answers["ocsp"] = ocsp_answer(root, pen.signer.certificate, life=None)
        assert (await asker.of_signer(pen)).status is Status.GOOD
        asker.ahead = HOUR
        assert (await asker.of_signer(pen, offline=True)).why is Why.STALE


P_256 = bytes.fromhex("06082A8648CE3D030107")  # the curve's identifier
Lie = Callable[[SmallAuthority, Pen, Pen], bytes]
OTHER = SmallAuthority("AC AUTRE SIMULATION")
OCSP_LIES: dict[str, tuple[Lie, Why]] = {
    "about another certificate": (lambda root, _, other: ocsp_answer(root, other.signer.certificate), Why.GARBLED),
    "signed by a stranger": (lambda root, pen, _: signed_by(root, pen, OTHER.certificate, OTHER.key), Why.GARBLED),
    "signed by the certificate itself": (lambda root, pen, _: signed_by_itself(root, pen), Why.GARBLED),
    "signed by an expired responder": (lambda root, pen, _: signed_by_expired(root, pen), Why.GARBLED),
    "its signature changed": (lambda root, pen, _: changed(ocsp_answer(root, pen.signer.certificate)), Why.GARBLED),
    "by a key on a curve that nobody knows": (
        lambda root, pen, _: ocsp_answer(root, pen.signer.certificate).replace(P_256, b"\x06\x08\x0a" + P_256[3:]),
        Why.GARBLED,
    ),
    "of yesterday": (lambda root, pen, _: ocsp_answer(root, pen.signer.certificate, age=DAY), Why.STALE),
    "of tomorrow": (lambda root, pen, _: ocsp_answer(root, pen.signer.certificate, age=-DAY), Why.GARBLED),
    "try later": (lambda *_: bytes.fromhex("30030a0103"), Why.GARBLED),
    "nothing": (lambda *_: b"", Why.GARBLED),
    "a page": (lambda *_: b"<html>captive portal</html>", Why.GARBLED),
}
LIST_LIES: dict[str, tuple[Lie, Why]] = {
    "of another authority": (lambda *_: revocation_list(OTHER), Why.GARBLED),
    "signed by a stranger": (lambda root, *_: revocation_list(root, signed_by=OTHER), Why.GARBLED),
    "its signature changed": (lambda root, *_: changed(revocation_list(root)), Why.GARBLED),
    "of yesterday": (lambda root, *_: revocation_list(root, age=DAY), Why.STALE),
    "a page": (lambda *_: b"<html>captive portal</html>", Why.GARBLED),
    "cut short": (lambda root, *_: revocation_list(root)[:-40], Why.GARBLED),
}


def signed_by(root: SmallAuthority, pen: Pen, by: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> bytes:
    return ocsp_answer(root, pen.signer.certificate, by=(by, key))


def signed_by_itself(root: SmallAuthority, pen: Pen) -> bytes:
    assert isinstance(pen.key, ec.EllipticCurvePrivateKey)
    return signed_by(root, pen, x509.load_der_x509_certificate(pen.signer.certificate), pen.key)


def signed_by_expired(root: SmallAuthority, pen: Pen) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return signed_by(root, pen, root.responder(key, days=(-20, -10)), key)


def changed(answer: bytes) -> bytes:
    """With one bit of the last value, the signature or a certificate, another."""
    *_, last = re.finditer(rb"\x03[\x40-\x4a]\x00\x30", answer)  # a BIT STRING that holds an ECDSA signature
    signature = last.start()
    return answer[: signature + 20] + bytes([answer[signature + 20] ^ 1]) + answer[signature + 21 :]


@pytest.mark.parametrize("lie", [f"ocsp {name}" for name in OCSP_LIES] + [f"list {name}" for name in LIST_LIES])
async def test_a_lie_tells_nothing_and_is_not_kept(
    root: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey, tmp_path: Path, lie: str
) -> None:
    kind, _, name = lie.partition(" ")
    tell, why = (OCSP_LIES if kind == "ocsp" else LIST_LIES)[name]
    async with Served() as served, Asker(root, tmp_path) as asker:
        root.ocsp, root.lists = ([served.url("it")], []) if kind == "ocsp" else ([], [served.url("it")])
        pen, other = pen_of(root, ec_key), pen_of(root, ec_key)
        served.answers["it"] = tell(root, pen, other)
        found = await asker.of_signer(pen)
        assert (found.status, found.why, found.revoked_at) == (Status.UNKNOWN, why, None)
        assert served.asked == {"it": 1}
        assert (await asker.of_signer(pen, offline=True)).why is Why.OFFLINE


async def _redirect(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("/list")


async def _large(request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"\0" * (70 * 1024), content_type="application/ocsp-response")


async def _silent(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(30)
    raise AssertionError


@pytest.mark.parametrize("handler", [_redirect, _large, _silent])
async def test_a_server_that_does_not_answer_as_it_must_is_unreachable(
    root: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey, tmp_path: Path, handler: Handler
) -> None:
    async with Served(handlers={"it": handler}) as served, Asker(root, tmp_path) as asker:
        root.ocsp = [served.url("it")]
        asker.network = RevocationHttp(timeout=1, is_local=True)
        served.answers["list"] = revocation_list(root)
        found = await asker.of_signer(pen_of(root, ec_key))
        assert (found.status, found.why) == (Status.UNKNOWN, Why.UNREACHABLE)


async def test_an_ocsp_answer_of_another_media_type_is_none(
    root: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey, tmp_path: Path
) -> None:
    async with Served(ocsp_type="text/html") as served, Asker(root, tmp_path) as asker:
        root.ocsp = [served.url("it")]
        pen = pen_of(root, ec_key)
        served.answers["it"] = ocsp_answer(root, pen.signer.certificate)
        assert (await asker.of_signer(pen)).why is Why.UNREACHABLE


async def test_this_machine_is_not_asked_on_a_certificate_s_word(
    root: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey, tmp_path: Path
) -> None:
    async with Served() as served, Asker(root, tmp_path) as asker:
        own = served.port
        root.lists = [f"http://127.0.0.1:{own}/list", f"http://localhost:{own}/list"]
        root.ocsp = [f"http://[::ffff:127.0.0.1]:{own}/list", "http://169.254.169.254/latest"]
        served.answers["list"] = revocation_list(root)
        pen = pen_of(root, ec_key)
        async with Asker(root, tmp_path) as honest:
            assert (await honest.of_signer(pen)).status is Status.GOOD
        served.asked.clear()
        network = RevocationHttp(timeout=5)
        strict = replace(asker, directory=tmp_path / "other", network=network)
        assert (await strict.of_signer(pen)).why is Why.UNREACHABLE
        assert served.asked == {}
        await network.close()


async def test_who_did_not_answer_is_not_asked_again_at_once(
    root: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey, tmp_path: Path
) -> None:
    async with Served(handlers={"it": _silent}) as served, Asker(root, tmp_path) as asker, asyncio.timeout(15):
        root.ocsp = [served.url("it")]
        network = asker.network = RevocationHttp(timeout=1, is_local=True)
        for _ in range(20):
            assert (await asker.of_signer(pen_of(root, ec_key))).why is Why.UNREACHABLE
        assert served.asked == {"it": 1}
        await network.close()


async def test_of_an_expired_certificate_good_is_believed_only_where_the_authority_remembers(
    root: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey, tmp_path: Path
) -> None:
    async with Served() as served, Asker(root, tmp_path) as asker:
        root.lists = [served.url("list")]
        pen = pen_of(root, ec_key, days=(-30, -10))
        now = datetime.now(UTC)
        authorities = TrustedAuthorities([der(root.certificate)])
        path = await asyncio.to_thread(authorities.path, pen.signer.certificate, pen.signer.chain, now - 20 * DAY)
        assert not isinstance(path, NoPath)
        for keeps_since, status in (
            (None, Status.UNKNOWN),
            (now - 5 * DAY, Status.UNKNOWN),
            (now - 90 * DAY, Status.GOOD),
        ):
            served.answers["list"] = revocation_list(root, keeps_since=keeps_since)
            (found,) = await Revocations(asker.network, RevocationCache(None), lambda: datetime.now(UTC)).of(path)
            assert found.status is status
            assert found.why is (Why.EXPIRED if status is Status.UNKNOWN else None)


def test_only_so_many_answers_are_kept(tmp_path: Path) -> None:
    kept = RevocationCache(tmp_path, memory_max=1000, disk_max=2500, count_max=10)
    names = [f"{number:064x}" for number in range(20)]
    for name in names:
        kept.save(name, name.encode() * 5)
    files = list(tmp_path.iterdir())
    assert sum(file.stat().st_size for file in files) <= 2500
    assert kept.load(names[-1]) == names[-1].encode() * 5
    assert RevocationCache(tmp_path).load(names[0]) is None
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_a_directory_that_cannot_be_written_costs_only_questions(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    kept = RevocationCache(tmp_path / "file")
    kept.save("0" * 64, b"answer")
    assert kept.load("0" * 64) == b"answer"
    assert RevocationCache(tmp_path / "file").load("0" * 64) is None


async def test_a_list_counts_where_the_path_ends_at_an_authority_that_another_one_made(
    root: SmallAuthority, tmp_path: Path
) -> None:
    between = SmallAuthority("AC INTERMEDIAIRE SIMULATION", root)
    async with Served() as served, Asker(between, tmp_path) as asker:
        between.lists = [served.url("list")]
        pen = pen_of(between, ec.generate_private_key(ec.SECP256R1()))
        served.answers["list"] = revocation_list(between, {pen.signer.certificate: datetime.now(UTC) - DAY})
        assert (await asker.of_signer(pen)).status is Status.REVOKED


async def test_a_list_does_not_count_that_another_one_signed_than_where_the_path_ends(
    root: SmallAuthority, tmp_path: Path
) -> None:
    between = SmallAuthority("AC INTERMEDIAIRE SIMULATION", root)
    async with Served() as served, Asker(between, tmp_path) as asker:
        between.lists = [served.url("list")]
        pen = pen_of(between, ec.generate_private_key(ec.SECP256R1()))
        served.answers["list"] = revocation_list(between, signed_by=root)
        told = await asker.of_signer(pen)
        assert (told.status, told.why) == (Status.UNKNOWN, Why.GARBLED)


@pytest.mark.parametrize(
    "extension",
    [
        x509.DeltaCRLIndicator(6),
        x509.IssuingDistributionPoint(
            full_name=None,
            relative_name=None,
            only_contains_user_certs=False,
            only_contains_ca_certs=False,
            only_some_reasons=None,
            indirect_crl=True,
            only_contains_attribute_certs=False,
        ),
    ],
    ids=["delta", "indirect"],
)
async def test_a_list_that_is_not_a_whole_one_is_refused_by_name(
    root: SmallAuthority, tmp_path: Path, extension: x509.ExtensionType
) -> None:
    async with Served() as served, Asker(root, tmp_path) as asker:
        root.lists = [served.url("list")]
        pen = pen_of(root, ec.generate_private_key(ec.SECP256R1()))
        served.answers["list"] = revocation_list(root, more=[extension])
        told = await asker.of_signer(pen)
        assert (told.status, told.why) == (Status.UNKNOWN, Why.PARTIAL)
