"""Tokens of web-eid:1.1, which bring certificates for documents, at portals in four languages."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from cardd.values import replace
from cardd_simulators.cards.behaviour import USUAL
from cardd_simulators.cards.certificates import Authority, Holder, make_root, signature_certificate
from tests.rig.simulator import issue
from tests.webps.portals import PORTALS, Portal, running
from tests.webps.tokens import RS256, Token, documents, entry, forged, in_base64, list_of, persons, trust_cards

DOCTOR = ["in", "899000000010", "SIMULATION-MEDECIN", "CAMILLE", "Médecin"]
ES384 = {"cryptoAlgorithm": "ECC", "hashFunction": "SHA-384", "paddingScheme": "NONE"}
UNKNOWN_ALGORITHM = "no algorithm of documents, or an unknown one"
NO_LIST = "no list of certificates"
OTHER = "the certificate for documents is another person's, or of another authority"
NO_DOCUMENTS = "the certificate is not for documents"
NO_BITS = x509.UnrecognizedExtension(x509.KeyUsage.oid, b"\x03\x00")


@pytest.fixture(scope="module", params=PORTALS)
def portal(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    with running(request.param, tmp_path_factory.mktemp(request.param)) as one:
        trust_cards(one.folder)
        yield one


def token(portal: Portal, said: Token, version: str = "web-eid:1.1") -> Token:
    """The token of a card that is logged in, with what somebody says beside."""
    return {**forged(portal.challenge(), issue().authentication), "format": version, **said}


@cache
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def holder() -> Holder:
    return Holder(issue().profile, "2699000001")


def remade(
    usage: x509.KeyUsage | x509.UnrecognizedExtension | None = None,
    by: Authority | None = None,
    name: x509.Name | None = None,
) -> x509.Certificate:
    """The card's certificate for documents with the key of a curve, which this authority issued."""
    own, authority = issue().signature.certificate, by or persons()
    builder = x509.CertificateBuilder(
        authority.certificate.subject,
        name or own.subject,
        ec.generate_private_key(ec.SECP256R1()).public_key(),
        x509.random_serial_number(),
        own.not_valid_before_utc,
        own.not_valid_after_utc,
    )
    if usage:
        builder = builder.add_extension(usage, critical=True)
    return builder.sign(authority.key, SHA256())


def own_usage() -> x509.KeyUsage:
    """For documents."""
    return issue().signature.certificate.extensions.get_extension_for_class(x509.KeyUsage).value


def of_same_name() -> Authority:
    """Somebody who calls himself the cards' authority."""
    return Authority(persons().certificate, key())


def expired() -> x509.Certificate:
    late = replace(holder(), behaviour=replace(USUAL, expired=True))
    return signature_certificate(late, key().public_key(), persons())


def intermediates() -> list[str]:
    return [in_base64(persons().certificate)]


def with_algorithm(**part: str) -> Token:
    return documents(entry(supportedSignatureAlgorithms=[{**RS256, **part}]))


def longer() -> str:
    return base64.b64encode(base64.b64decode(str(entry()["certificate"])) + b"\0" * 30).decode()


def longer_name() -> x509.Name:
    own = issue().signature.certificate.subject
    unit = x509.NameAttribute(x509.NameOID.ORGANIZATIONAL_UNIT_NAME, "AUTRE")
    return x509.Name([*own.rdns, x509.RelativeDistinguishedName([unit])])


def of_another(number: str = "899000000028", name: str = "SIMULATION-MEDECIN") -> x509.Certificate:
    """Somebody of another number, or another name."""
    profile = replace(issue().profile, national_id=number, family_name=name)
    return signature_certificate(replace(holder(), profile=profile), key().public_key(), persons())


@cache
def another() -> Authority:
    """An authority that the portal trusts too."""
    return make_root()


TAKEN: dict[str, Callable[[], Token]] = {
    "one": lambda: documents(entry()),
    "two": lambda: documents(entry(), entry(supportedSignatureAlgorithms=[RS256, ES384])),
    "of a curve": lambda: documents(entry(remade(own_usage()))),
    "intermediates": lambda: {"unverifiedIntermediateCertificates": intermediates()},
    "intermediates of each": lambda: {
        **documents(entry(intermediateCertificates=intermediates())),
        "unverifiedIntermediateCertificates": intermediates(),
    },
    "more fields": lambda: {**documents(entry(more="x")), "appVersion": "https://app.example/releases/v3"},
}
ODD: dict[str, tuple[Callable[[], Token], str]] = {
    "no list": (dict, NO_LIST),
    "null": (lambda: {"unverifiedSigningCertificates": None}, NO_LIST),
    "empty list": (documents, NO_LIST),
    "a draft's one certificate": (lambda: {"unverifiedSigningCertificate": entry()["certificate"]}, NO_LIST),
    "an object": (lambda: {"unverifiedSigningCertificates": entry()}, ""),
    "a null in the list": (lambda: documents(None), NO_LIST),
    "text in the list": (lambda: documents(entry()["certificate"]), ""),
    "five": (lambda: documents(*[entry()] * 5), NO_LIST),
    "empty list beside intermediates": (
        lambda: {**documents(), "unverifiedIntermediateCertificates": intermediates()},
        NO_LIST,
    ),
    "no intermediates": (lambda: {**documents(entry()), "unverifiedIntermediateCertificates": []}, NO_LIST),
    "an empty intermediate": (lambda: {**documents(entry()), "unverifiedIntermediateCertificates": [""]}, NO_LIST),
    "no intermediates of one": (lambda: documents(entry(intermediateCertificates=[])), NO_LIST),
    "no certificate": (lambda: documents({"supportedSignatureAlgorithms": [RS256]}), "the token lacks a field"),
    "certificate null": (lambda: documents(entry() | {"certificate": None}), "the token lacks a field"),
    "certificate empty": (lambda: documents(entry() | {"certificate": ""}), ""),
    "no base64": (lambda: documents(entry() | {"certificate": "!"}), ""),
    "no DER": (lambda: documents(entry() | {"certificate": "MIIB"}), ""),
    "more than DER": (lambda: documents(entry() | {"certificate": longer()}), ""),
    "no algorithms": (lambda: documents({"certificate": entry()["certificate"]}), UNKNOWN_ALGORITHM),
    "empty algorithms": (lambda: documents(entry(supportedSignatureAlgorithms=[])), UNKNOWN_ALGORITHM),
    "a null algorithm": (lambda: documents(entry(supportedSignatureAlgorithms=[None])), UNKNOWN_ALGORITHM),
    "a name of JWA": (lambda: documents(entry(supportedSignatureAlgorithms=["RS256"])), ""),
    "SHA-1": (lambda: with_algorithm(hashFunction="SHA-1"), UNKNOWN_ALGORITHM),
    "DSA": (lambda: with_algorithm(cryptoAlgorithm="DSA"), UNKNOWN_ALGORITHM),
    "OAEP": (lambda: with_algorithm(paddingScheme="OAEP"), UNKNOWN_ALGORITHM),
    "small letters": (lambda: with_algorithm(cryptoAlgorithm="rsa"), UNKNOWN_ALGORITHM),
    "half an algorithm": (
        lambda: documents(entry(supportedSignatureAlgorithms=[{"cryptoAlgorithm": "RSA"}])),
        UNKNOWN_ALGORITHM,
    ),
    "the second's algorithm": (
        lambda: documents(entry(), entry(supportedSignatureAlgorithms=[RS256, {**RS256, "hashFunction": "MD5"}])),
        UNKNOWN_ALGORITHM,
    ),
    "bits of a usage without a byte": (lambda: documents(entry(remade(NO_BITS))), ""),
    "another number": (lambda: documents(entry(of_another())), OTHER),
    "another name": (lambda: documents(entry(of_another(DOCTOR[1], "SIMULATION-AUTRE"))), OTHER),
    "the second is another's": (lambda: documents(entry(), entry(of_another())), OTHER),
    "one RDN more": (lambda: documents(entry(remade(own_usage(), name=longer_name()))), OTHER),
    "of another authority": (lambda: documents(entry(remade(own_usage(), another()))), OTHER),
    "of an authority of the same name": (
        lambda: documents(entry(remade(own_usage(), of_same_name()))),
        "",
    ),
    "expired": (lambda: documents(entry(expired())), ""),
    "for logging in": (lambda: documents(entry(issue().authentication.certificate)), NO_DOCUMENTS),
    "for the card itself": (lambda: documents(entry(issue().technical.certificate)), NO_DOCUMENTS),
    "for all": (lambda: documents(entry(remade())), NO_DOCUMENTS),
}


def test_a_portal_that_does_not_ask_for_1_1_lets_nobody_in_by_it(portal: Portal) -> None:
    for said in TAKEN.values():
        assert portal.login(token(portal, said())) == ["out", "another format or algorithm"]


def test_a_portal_that_asks_for_1_1_lets_in_whose_certificates_are_all_one_persons(portal: Portal) -> None:
    told = {name: portal.login(token(portal, said()), accept_1_1=True) for name, said in TAKEN.items()}
    assert told == dict.fromkeys(TAKEN, DOCTOR)


def test_such_a_portal_takes_1_0_as_before(portal: Portal) -> None:
    assert portal.login(token(portal, {}, "web-eid:1.0"), accept_1_1=True) == DOCTOR
    for version in ("web-eid:1", "web-eid:1.10", "web-eid:1.1.0", "web-eid:2.0", "WEB-EID:1.1", "web-eid:1.1x"):
        told = portal.login(token(portal, TAKEN["one"](), version), accept_1_1=True)
        assert told == ["out", "another format or algorithm"]


def test_null_in_a_tokens_place_lets_nobody_in(portal: Portal) -> None:
    portal.challenge()
    assert portal.login(None) == ["out", "the token lacks a field"]


def test_a_token_of_1_0_has_nothing_of_1_1(portal: Portal) -> None:
    for said in (documents(entry()), documents(), TAKEN["intermediates"]()):
        for accepted in (False, True):
            told = portal.login(token(portal, said, "web-eid:1.0"), accept_1_1=accepted)
            assert told == ["out", "a token of 1.0 with fields of 1.1"]


def test_an_odd_token_of_1_1_is_refused(portal: Portal) -> None:
    authorities = portal.folder / "authorities.pem"
    trusted = authorities.read_bytes()
    authorities.write_bytes(trusted + another().certificate.public_bytes(Encoding.PEM))
    told = {name: portal.login(token(portal, said()), accept_1_1=True) for name, (said, _) in ODD.items()}
    authorities.write_bytes(trusted)
    assert {name: where for name, (where, *_) in told.items()} == dict.fromkeys(ODD, "out")
    reasons = {name: why for name, (_, why) in ODD.items() if why}
    assert {name: told[name][1] for name in reasons} == reasons


def test_1_1_asks_no_less_of_the_login_than_1_0(portal: Portal) -> None:
    for wrong in ({"signature": "AAAA"}, {"algorithm": "ES256"}, {"unverifiedCertificate": entry()["certificate"]}):
        told = portal.login({**token(portal, TAKEN["one"]()), **wrong}, accept_1_1=True)
        assert told[0] == "out"
    used = token(portal, TAKEN["one"]())
    assert portal.login(used, accept_1_1=True) == DOCTOR
    assert portal.login(used, accept_1_1=True) == ["out", "the session has no nonce"]


def test_revocation_of_the_certificate_for_documents_counts_when_it_signs(portal: Portal) -> None:
    lists = portal.folder / "lists.pem"
    lists.write_bytes(list_of((issue().signature.certificate,), timedelta(hours=1)))
    assert portal.login(token(portal, TAKEN["one"]()), accept_1_1=True) == DOCTOR
    lists.write_bytes(list_of((issue().authentication.certificate,), timedelta(hours=1)))
    told = portal.login(token(portal, TAKEN["one"]()), accept_1_1=True)
    assert told[0] == "out"
    assert "revoked" in told[1]
    trust_cards(portal.folder)
