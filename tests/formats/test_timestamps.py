"""RFC 3161: openssl's authority over HTTP, and pyHanko's for what an honest one never answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypedDict

import pytest
from aiohttp import web
from asn1crypto import keys, tsp, x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import Certificate
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import integers
from pyhanko.sign.timestamps import DummyTimeStamper
from pyhanko_certvalidator.registry import SimpleCertificateStore

from cardd.errors import (
    CarddError,
    TimestampError,
    TimestampMalformed,
    TimestampMismatch,
    TimestampRefused,
    TimestampTime,
    TimestampUnavailable,
    TimestampUntrusted,
)
from cardd.formats.timestamp import CheckedStamper, TimestampRequest, request_for, token_of, verified
from cardd.formats.trust import TrustedAuthorities
from cardd.formats.verified import Flaw
from cardd.system.outgoing import TIMESTAMP_MAX, TimestampHttp
from tests.rig.pens import SmallAuthority, der
from tests.rig.tsa import REPLY, OpensslTsa, TsaServer

COVERED = b"signature SIMULATION"
MINUTE = timedelta(minutes=1)


class Oddity(TypedDict, total=False):
    """What is odd about a certificate."""

    purpose: bool
    critical: bool
    days: tuple[int, int]


def _trusting(*authorities: SmallAuthority) -> TrustedAuthorities:
    return TrustedAuthorities(der(authority.certificate) for authority in authorities)


def _now() -> datetime:
    return datetime.now(UTC)


async def _stamp(url: str, tsa: OpensslTsa, timeout: float = 20.0) -> bytes:
    http = TimestampHttp(url, timeout=timeout)
    try:
        return await CheckedStamper(http.exchange, _trusting(tsa.authority), _now).stamp(COVERED)
    finally:
        await http.close()


# --- over HTTP


async def test_openssl_verifies_the_timestamp_that_its_own_authority_gave(tsa: OpensslTsa) -> None:
    async with TsaServer(tsa) as server:
        token = await _stamp(server.url, tsa)
    assert tsa.accepts(token, COVERED)
    assert not tsa.accepts(token, COVERED + b".")


async def test_a_batch_goes_over_one_connection(tsa: OpensslTsa) -> None:
    async with TsaServer(tsa) as server:
        http = TimestampHttp(server.url)
        stamper = CheckedStamper(http.exchange, _trusting(tsa.authority), _now)
        for number in range(5):
            await stamper.stamp(COVERED + bytes((number,)))
        await http.close()
        assert (server.requests, len(server.connections)) == (5, 1)


async def test_an_authority_that_takes_other_hashes_only_refuses(tmp_path: Path) -> None:
    tsa = OpensslTsa(tmp_path, SmallAuthority(), digests="sha512")
    async with TsaServer(tsa) as server:
        with pytest.raises(TimestampRefused) as refused:
            await _stamp(server.url, tsa)
    assert refused.value.params == {"answer": "rejection bad_alg"}


async def _error(_: web.Request) -> web.Response:
    return web.Response(status=500)


async def _page(_: web.Request) -> web.Response:
    return web.Response(text="<html>", content_type="text/html")


async def _redirect(request: web.Request) -> web.Response:
    raise web.HTTPTemporaryRedirect(str(request.url))


async def _endless(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": REPLY})
    await answer.prepare(request)
    for _ in range(2 * TIMESTAMP_MAX // 4096):
        await answer.write(bytes(4096))
    return answer


async def _breaks_off(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": REPLY, "Content-Length": "1000"})
    await answer.prepare(request)
    await answer.write(b"half")
    assert request.transport
    request.transport.close()
    return answer


async def _silent(_: web.Request) -> web.Response:
    await asyncio.Event().wait()
    return web.Response()


FAULTS = (_error, _page, _redirect, _endless, _breaks_off, _silent)


@pytest.mark.parametrize("handler", FAULTS, ids=lambda handler: handler.__name__)
async def test_a_server_that_is_no_authority_is_unavailable(
    tsa: OpensslTsa, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> None:
    async with TsaServer(tsa, handler) as server:
        with pytest.raises(TimestampUnavailable) as unavailable:
            await _stamp(server.url, tsa, timeout=1.0)
        assert unavailable.value.params == {"host": "127.0.0.1"}
        assert server.requests == 1


async def test_nobody_at_the_address_is_unavailable(tsa: OpensslTsa) -> None:
    async with TsaServer(tsa) as server:
        pass
    with pytest.raises(TimestampUnavailable):
        await _stamp(server.url, tsa)


# --- what the answer says


@pytest.fixture
def root() -> SmallAuthority:
    return SmallAuthority("AC HORODATAGE SIMULATION")


Honest = tuple[TimestampRequest, bytes, TrustedAuthorities, datetime]


class Answers:
    """pyHanko's authority: it stamps whatever it is asked, with any certificate, at any time."""

    def __init__(
        self,
        certificate: Certificate,
        key: rsa.RSAPrivateKey,
        at: datetime | None = None,
        above: SmallAuthority | None = None,
    ) -> None:
        private = keys.PrivateKeyInfo.load(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
        own, others = x509.Certificate.load(der(certificate)), SimpleCertificateStore()  # type: ignore[no-untyped-call]
        if above:
            others.register(x509.Certificate.load(der(above.certificate)))
        self._stamper = DummyTimeStamper(own, private, certs_to_embed=others, fixed_dt=at or _now())

    def to(self, request: TimestampRequest) -> bytes:
        answer: bytes = self._stamper.request_tsa_response(tsp.TimeStampReq.load(request.der)).dump()
        return answer


def _refusal(answer: bytes, request: TimestampRequest, *trusted: SmallAuthority, now: datetime) -> CarddError:
    with pytest.raises(CarddError) as refused:
        token_of(answer, request, _trusting(*trusted), now)
    return refused.value


def test_pyhankos_timestamp_is_taken_when_all_is_right(
    root: SmallAuthority, rsa_key: rsa.RSAPrivateKey, now: datetime
) -> None:
    request = request_for(COVERED)
    token = token_of(Answers(root.timestamping(rsa_key), rsa_key).to(request), request, _trusting(root), now)
    found = verified(token, COVERED)
    assert found.intact
    assert abs(found.time - now) < MINUTE
    assert verified(token, COVERED + b".").flaw is Flaw.IMPRINT


def test_the_answer_to_another_request_is_refused(
    root: SmallAuthority, rsa_key: rsa.RSAPrivateKey, now: datetime
) -> None:
    answers = Answers(root.timestamping(rsa_key), rsa_key)
    request = request_for(COVERED)
    replayed = _refusal(answers.to(request_for(COVERED)), request, root, now=now)
    swapped = _refusal(answers.to(request_for(b"something else")), request, root, now=now)
    assert isinstance(replayed, TimestampMismatch)
    assert isinstance(swapped, TimestampMismatch)
    assert (replayed.params, swapped.params) == ({"what": "nonce"}, {"what": "imprint"})


@pytest.mark.parametrize("ahead", [2 * MINUTE, -2 * MINUTE])
def test_a_time_far_from_ours_is_refused(
    root: SmallAuthority, rsa_key: rsa.RSAPrivateKey, now: datetime, ahead: timedelta
) -> None:
    request = request_for(COVERED)
    answers = Answers(root.timestamping(rsa_key), rsa_key, at=now + ahead)
    refusal = _refusal(answers.to(request), request, root, now=now)
    assert isinstance(refusal, TimestampTime)
    assert abs(int(refusal.params["seconds"]) - ahead.total_seconds()) <= 1


@pytest.mark.parametrize(
    ("oddity", "why"),
    [
        ({"purpose": False}, "usage"),
        ({"critical": False}, "usage"),
        ({"days": (-20, -10)}, "validity"),
        ({"days": (10, 20)}, "validity"),
    ],
)
def test_a_certificate_that_is_no_authoritys_is_refused(
    root: SmallAuthority, rsa_key: rsa.RSAPrivateKey, now: datetime, oddity: Oddity, why: str
) -> None:
    request = request_for(COVERED)
    refusal = _refusal(Answers(root.timestamping(rsa_key, **oddity), rsa_key).to(request), request, root, now=now)
    assert isinstance(refusal, TimestampUntrusted)
    assert refusal.params == {"why": why}


def test_an_authority_that_is_not_configured_is_refused(
    root: SmallAuthority, authority: SmallAuthority, rsa_key: rsa.RSAPrivateKey, now: datetime
) -> None:
    request = request_for(COVERED)
    refusal = _refusal(Answers(root.timestamping(rsa_key), rsa_key).to(request), request, authority, now=now)
    assert isinstance(refusal, TimestampUntrusted)
    assert refusal.params == {"why": "path"}


def test_a_root_of_the_same_name_with_another_key_is_not_the_configured_one(
    root: SmallAuthority, rsa_key: rsa.RSAPrivateKey, now: datetime
) -> None:
    request = request_for(COVERED)
    impostor = SmallAuthority("AC HORODATAGE SIMULATION")
    refusal = _refusal(Answers(impostor.timestamping(rsa_key), rsa_key).to(request), request, root, now=now)
    assert isinstance(refusal, TimestampUntrusted)
    assert refusal.params == {"why": "path"}


@pytest.mark.parametrize("answer", [b"", b"no DER", bytes.fromhex("3003020100")], ids=["nothing", "text", "no status"])
def test_an_answer_that_is_none_is_told(root: SmallAuthority, now: datetime, answer: bytes) -> None:
    assert type(_refusal(answer, request_for(COVERED), root, now=now)) is TimestampMalformed


def test_a_token_signed_by_another_key_is_refused(
    root: SmallAuthority, rsa_key: rsa.RSAPrivateKey, now: datetime
) -> None:
    request = request_for(COVERED)
    other = rsa.generate_private_key(65537, 2048)
    refusal = _refusal(Answers(root.timestamping(rsa_key), other).to(request), request, root, now=now)
    assert isinstance(refusal, TimestampUntrusted)
    assert refusal.params == {"why": "signature"}


def test_a_token_whose_time_was_changed_is_refused(tsa: OpensslTsa, now: datetime) -> None:
    request = request_for(COVERED)
    answer = tsa.answer(request.der)
    year = f"{now:%Y%m%d%H}".encode()
    other = f"{now + timedelta(days=-365):%Y%m%d%H}".encode()
    assert answer.count(year) == 1
    refusal = _refusal(answer.replace(year, other), request, tsa.authority, now=now - timedelta(days=365))
    assert isinstance(refusal, TimestampUntrusted)
    assert refusal.params == {"why": "signature"}


@given(cut=integers(0, 2000), byte=integers(0, 255))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
def test_no_damage_makes_another_token_or_another_error(honest: Honest, cut: int, byte: int) -> None:
    request, answer, trusted, now = honest
    place = cut % len(answer)
    damaged = answer[:place] + bytes((byte,)) + answer[place + 1 :]
    for odd in (damaged, answer[:place]):
        try:
            token = token_of(odd, request, trusted, now)
        except TimestampError:
            continue
        assert verified(token, COVERED).intact


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Honest:
    """A good answer of openssl's."""
    tsa = OpensslTsa(tmp_path_factory.mktemp("tsa"), SmallAuthority())
    request = request_for(COVERED)
    return request, tsa.answer(request.der), _trusting(tsa.authority), _now()


def _token(answer: bytes) -> bytes:
    token: bytes = tsp.TimeStampResp.load(answer)["time_stamp_token"].dump()
    return token


def test_a_token_in_a_document_tells_its_certificate_and_the_ones_above(
    root: SmallAuthority, rsa_key: rsa.RSAPrivateKey
) -> None:
    certificate = root.timestamping(rsa_key)
    found = verified(_token(Answers(certificate, rsa_key, above=root).to(request_for(COVERED))), COVERED)
    assert (found.flaw, found.certificate, found.chain) == (None, der(certificate), (der(root.certificate),))


def test_a_token_in_a_document_that_nothing_holds_up_is_told(root: SmallAuthority, rsa_key: rsa.RSAPrivateKey) -> None:
    weak = rsa.generate_private_key(65537, 1024)
    for certificate, key, flaw in (
        (root.timestamping(rsa_key), weak, Flaw.SIGNATURE),
        (root.timestamping(weak), weak, Flaw.WEAK),
        (root.timestamping(rsa_key, purpose=False), rsa_key, Flaw.CERTIFICATE),
        (root.timestamping(rsa_key, critical=False), rsa_key, Flaw.CERTIFICATE),
    ):
        token = _token(Answers(certificate, key).to(request_for(COVERED)))
        assert verified(token, COVERED).flaw is flaw


def test_a_token_has_nothing_behind_it(root: SmallAuthority, rsa_key: rsa.RSAPrivateKey) -> None:
    token = _token(Answers(root.timestamping(rsa_key), rsa_key).to(request_for(COVERED)))
    with pytest.raises(TimestampMalformed):
        verified(token + b"\0", COVERED)


def test_an_authority_with_a_key_that_others_may_have_found_is_refused(root: SmallAuthority, now: datetime) -> None:
    weak, request = rsa.generate_private_key(65537, 1024), request_for(COVERED)
    refusal = _refusal(Answers(root.timestamping(weak), weak).to(request), request, root, now=now)
    assert refusal.params == {"why": "signature"}


def test_a_time_counts_to_the_last_second_of_what_is_allowed(root: SmallAuthority, rsa_key: rsa.RSAPrivateKey) -> None:
    certificate = root.timestamping(rsa_key, days=(-1, 1))
    first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    for at, now in ((first, first), (last, last), (last, last - MINUTE), (first, first + MINUTE)):
        request = request_for(COVERED)
        answer = Answers(certificate, rsa_key, at=at).to(request)
        assert verified(token_of(answer, request, _trusting(root), now), COVERED).time == at
