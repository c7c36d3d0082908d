"""What docs/webps-server.md shows, in four languages, with tokens that cardd has signed by a simulated card."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from cardd_simulators.cards.certificates import Authority, Holder, authentication_certificate
from cardd_simulators.cards.store import Credential
from tests.api.workbench import PAGE_WITH_PORT
from tests.rig.pens import SmallAuthority
from tests.rig.simulator import issue
from tests.webps.portals import PORTALS, Portal, running
from tests.webps.tokens import Token, Workstation, forged, list_of, persons, token_of, trust_cards

DOCTOR = ["in", "899000000010", "SIMULATION-MEDECIN", "CAMILLE", "Médecin"]
WRONG: tuple[Token, ...] = (
    {"format": "web-eid:1.1"},
    {"format": "web-eid:1"},
    {"algorithm": "none"},
    {"algorithm": "HS256"},
    {"signature": "AAAA"},
    {"signature": "!"},
    {"unverifiedCertificate": "AAAA"},
    {"unverifiedCertificate": "MIIB"},
)


@pytest.fixture(scope="module", params=PORTALS)
def one(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    with running(request.param, tmp_path_factory.mktemp(request.param)) as portal:
        yield portal


@pytest.fixture
def portal(one: Portal) -> Portal:
    """A portal that trusts the authority of the simulated cards, with its list of an hour ago."""
    trust_cards(one.folder)
    return one


pytestmark = pytest.mark.asyncio(loop_scope="module")


def publish(portal: Portal, *revoked: x509.Certificate, age: timedelta = timedelta(hours=1)) -> None:
    """Give the portal the authority's list."""
    (portal.folder / "lists.pem").write_bytes(list_of(revoked, age))


async def test_a_card_logs_in_once_by_the_name_and_number_of_its_holder(portal: Portal, cardd: Workstation) -> None:
    token = await token_of(cardd, portal.challenge())
    assert portal.login(token) == DOCTOR
    assert portal.login(token) == ["out", "the session has no nonce"]


async def test_a_token_of_another_site_or_another_nonce_is_refused(portal: Portal, cardd: Workstation) -> None:
    elsewhere = await token_of(cardd, portal.challenge(), PAGE_WITH_PORT)
    assert portal.login(elsewhere)[0] == "out"
    earlier = await token_of(cardd, portal.challenge())
    portal.challenge()
    assert portal.login(earlier)[0] == "out"
    assert portal.login(earlier) == ["out", "the session has no nonce"]


async def test_a_nonce_is_worth_nothing_after_five_minutes(portal: Portal, cardd: Workstation) -> None:
    token = await token_of(cardd, portal.challenge())
    portal.expire()
    assert portal.login(token) == ["out", "the nonce is too old"]


async def test_a_revoked_card_is_refused_and_so_is_every_card_without_a_list_of_today(
    portal: Portal, cardd: Workstation
) -> None:
    publish(portal, issue().authentication.certificate)
    told = portal.login(await token_of(cardd, portal.challenge()))
    assert told[0] == "out"
    assert "revoked" in told[1]
    publish(portal, age=timedelta(hours=3))
    assert portal.login(await token_of(cardd, portal.challenge()))[0] == "out"
    (portal.folder / "lists.pem").unlink()
    assert portal.login(await token_of(cardd, portal.challenge()))[0] == "out"


async def test_a_list_of_changes_is_none_and_of_two_lists_the_newer_counts(portal: Portal) -> None:
    card, lists = issue().authentication, portal.folder / "lists.pem"
    lists.write_bytes(list_of((), timedelta(hours=1), is_delta=True))
    assert portal.login(forged(portal.challenge(), card))[0] == "out"
    whole = [list_of((), timedelta(hours=1)), list_of((card.certificate,), timedelta(0))]
    for both in (whole, whole[::-1]):
        lists.write_bytes(b"".join(both))
        told = portal.login(forged(portal.challenge(), card))
        assert (told[0], "revoked" in told[1]) == ("out", True)


async def test_a_list_that_another_signed_counts_for_nothing(portal: Portal, cardd: Workstation) -> None:
    of_another = list_of((), timedelta(hours=1), rsa.generate_private_key(65537, 2048))
    (portal.folder / "lists.pem").write_bytes(of_another)
    assert portal.login(await token_of(cardd, portal.challenge()))[0] == "out"


async def test_a_certificate_of_an_authority_with_the_same_name_is_refused(portal: Portal) -> None:
    key, holder = rsa.generate_private_key(65537, 2048), Holder(issue().profile, "2699000001")
    liar = Authority(persons().certificate, rsa.generate_private_key(65537, 2048))
    certificate = authentication_certificate(holder, key.public_key(), liar)
    assert portal.login(forged(portal.challenge(), Credential(key, certificate)))[0] == "out"


def issued(subject: x509.Name, *extensions: x509.ExtensionType) -> Credential:
    """The card's key with a certificate of its authority, for logging in."""
    card = issue().authentication
    builder = x509.CertificateBuilder(
        persons().certificate.subject,
        subject,
        card.key.public_key(),
        x509.random_serial_number(),
        card.certificate.not_valid_before_utc,
        card.certificate.not_valid_after_utc,
    )
    for extension in (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), *extensions):
        builder = builder.add_extension(extension, critical=False)
    return Credential(card.key, builder.sign(persons().key, SHA256()))


async def test_a_certificate_with_two_numbers_is_nobodys(portal: Portal) -> None:
    number = x509.NameAttribute(NameOID.COMMON_NAME, "899000000010")
    other = x509.NameAttribute(NameOID.COMMON_NAME, "899000000028")
    for rdns in ([[number, other]], [[number], [other]], [[other], [number]]):
        subject = x509.Name([x509.RelativeDistinguishedName(rdn) for rdn in rdns])
        told = portal.login(forged(portal.challenge(), issued(subject)))
        assert told == ["out", "the certificate is no professional's"]


async def test_a_certificate_whose_usage_cannot_be_read_logs_nobody_in(portal: Portal) -> None:
    subject = issue().authentication.certificate.subject
    assert portal.login(forged(portal.challenge(), issued(subject))) == DOCTOR
    for usage in (b"", b"\x03\x00", b"\x03\x01\x00", b"\x03\x02\x09\x80", b"\x02\x01\x01"):
        by = issued(subject, x509.UnrecognizedExtension(ExtensionOID.KEY_USAGE, usage))
        assert portal.login(forged(portal.challenge(), by))[0] == "out", usage


async def test_a_card_of_an_authority_that_the_portal_does_not_trust_is_refused(portal: Portal) -> None:
    (portal.folder / "authorities.pem").write_bytes(SmallAuthority().pem)
    assert portal.login(forged(portal.challenge(), issue().authentication))[0] == "out"


async def test_the_job_takes_no_list_that_another_signed(portal: Portal) -> None:
    mine = (portal.folder / "lists.pem").read_bytes()
    other = list_of((), timedelta(hours=1), rsa.generate_private_key(65537, 2048))
    for offered, kept in ((other, mine), (list_of((), timedelta(0)), list_of((), timedelta(0)))):
        portal.fetch_list(x509.load_pem_x509_crl(offered).public_bytes(Encoding.DER))
        assert x509.load_pem_x509_crl((portal.folder / "lists.pem").read_bytes()) == x509.load_pem_x509_crl(kept)


async def test_the_cards_keys_for_documents_and_for_itself_log_nobody_in(portal: Portal) -> None:
    assert portal.login(forged(portal.challenge(), issue().authentication)) == DOCTOR
    for key in (issue().signature, issue().technical):
        assert portal.login(forged(portal.challenge(), key)) == ["out", "the certificate is not for logging in"]


async def test_a_token_that_says_something_else_is_refused(portal: Portal) -> None:
    for wrong in WRONG:
        token = forged(portal.challenge(), issue().authentication)
        assert portal.login({**token, **wrong})[0] == "out"
    short = forged(portal.challenge(), issue().authentication)
    del short["format"]
    assert portal.login(short)[0] == "out"


async def test_more_than_a_certificate_is_refused(portal: Portal) -> None:
    token = forged(portal.challenge(), issue().authentication)
    longer = base64.b64decode(str(token["unverifiedCertificate"])) + b"\0" * 30
    assert portal.login({**token, "unverifiedCertificate": base64.b64encode(longer).decode()})[0] == "out"
