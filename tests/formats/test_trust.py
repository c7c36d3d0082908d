"""Paths to trusted authorities: whose certificates may stand between, at which time, and what senders put there."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asn1crypto import pem
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from pyhanko_certvalidator.path import ValidationPath

from cardd.errors import ConfigInvalid
from cardd.formats.trust import FOUND_MAX, NoPath, TrustedAuthorities, authorities_of, name_of
from cardd.model import Algorithm
from tests.rig.openssl import run
from tests.rig.pens import Pen, SmallAuthority, card_pen, der
from tests.rig.simulator import store

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def root() -> SmallAuthority:
    return SmallAuthority("AC RACINE SIMULATION")


@pytest.fixture(scope="module")
def persons(root: SmallAuthority) -> SmallAuthority:
    return SmallAuthority("AC PERSONNES SIMULATION", root)


@pytest.fixture
def pen(persons: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey) -> Pen:
    return persons.pen(ec_key, Algorithm.ES256)


def trusting(*authorities: SmallAuthority) -> TrustedAuthorities:
    return TrustedAuthorities([der(authority.certificate) for authority in authorities])


def test_a_path_goes_over_what_comes_with_the_signature(root: SmallAuthority, pen: Pen, now: datetime) -> None:
    path = trusting(root).path(pen.signer.certificate, pen.signer.chain, now)
    assert isinstance(path, ValidationPath)
    assert [found.dump() for found in path.iter_certs(include_root=True)] == [
        der(root.certificate),
        pen.signer.chain[0],
        pen.signer.certificate,
    ]
    assert trusting(root).path(pen.signer.certificate, (), now) is NoPath.AUTHORITY


def test_an_authority_between_may_be_trusted_by_itself(persons: SmallAuthority, pen: Pen, now: datetime) -> None:
    assert trusting(persons).trust(pen.signer.certificate, (), now)


def test_the_simulated_cards_end_at_their_own_root_only(root: SmallAuthority, now: datetime) -> None:
    card = card_pen().signer
    assert TrustedAuthorities(store().authorities[-1:]).trust(card.certificate, card.chain, now)
    assert trusting(root).path(card.certificate, card.chain, now) is NoPath.AUTHORITY
    assert TrustedAuthorities([]).path(card.certificate, card.chain, now) is NoPath.AUTHORITY


def test_the_time_counts(root: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey, now: datetime) -> None:
    signer = root.pen(ec_key, Algorithm.ES256, days=(-20, -10)).signer
    told = [trusting(root).path(signer.certificate, signer.chain, now - days * DAY) for days in (30, 15, 0)]
    assert (told[0], told[2]) == (NoPath.EARLY, NoPath.EXPIRED)
    assert isinstance(told[1], ValidationPath)


def test_who_is_no_authority_issues_nothing(
    root: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey, now: datetime
) -> None:
    person = root.pen(ec_key, Algorithm.ES256).signer.certificate
    name = x509.load_der_x509_certificate(person).subject
    forged = _certificate(name, ec_key, "PERSONNE FORGEE SIMULATION")
    assert trusting(root).path(forged, (person, *root.chain), now) is NoPath.AUTHORITY
    told = _certificate(root.name, root.key, "PERSONNE SIMULATION", of=ec_key)  # says of itself that it is none
    below = x509.load_der_x509_certificate(told).subject
    assert trusting(root).path(_certificate(below, ec_key, "PERSONNE"), (told,), now) is NoPath.AUTHORITY


def test_an_authority_that_may_only_issue_to_persons_makes_no_other(
    root: SmallAuthority, persons: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey, now: datetime
) -> None:
    below = SmallAuthority("AC DE TROP SIMULATION", persons)
    signer = below.pen(ec_key, Algorithm.ES256).signer
    assert trusting(root).path(signer.certificate, signer.chain, now) is NoPath.REFUSED


def test_what_is_no_certificate_is_left_out(root: SmallAuthority, pen: Pen, now: datetime) -> None:
    chain = (b"", b"0\x00", pen.signer.certificate[:-1], b"\x30\x82\xff\xff", *pen.signer.chain)
    assert trusting(root).trust(pen.signer.certificate, chain, now)
    longer = tuple(der + b"and more" for der in (pen.signer.certificate, *pen.signer.chain))
    assert trusting(root).path(longer[0], pen.signer.chain, now) is NoPath.REFUSED
    assert trusting(root).path(pen.signer.certificate, longer[1:], now) is NoPath.AUTHORITY


def test_an_authority_whose_names_cannot_be_read_is_left_out(
    root: SmallAuthority, persons: SmallAuthority, pen: Pen, now: datetime
) -> None:
    crowd = (with_real_names(der(persons.certificate)), with_real_names(der(root.certificate)))
    assert trusting(root).trust(pen.signer.certificate, (*crowd, *pen.signer.chain), now)


def with_real_names(certificate: bytes, attribute: int = 0x03) -> bytes:
    """Return a certificate whose common names are numbers: ASN.1 has a type REAL, which no name may be of."""
    common = b"\x06\x03\x55\x04\x03\x0c"
    assert common in certificate
    return certificate.replace(common, bytes((*common[:4], attribute, 0x09)))


@pytest.mark.parametrize("name", ["the authority's", "another"])
def test_authorities_that_only_say_whose_they_are_keep_no_honest_one_out(
    root: SmallAuthority, pen: Pen, ec_key: ec.EllipticCurvePrivateKey, now: datetime, name: str
) -> None:
    issuer = root.name if name == "the authority's" else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "X")])
    crowd = tuple(_certificate(issuer, ec_key, f"AC {number}", is_authority=True) for number in range(FOUND_MAX))
    assert trusting(root).trust(pen.signer.certificate, (*crowd, *pen.signer.chain), now)


@pytest.mark.timeout(60)
def test_certificates_that_issued_each_other_cost_no_time(
    root: SmallAuthority, pen: Pen, ec_key: ec.EllipticCurvePrivateKey, now: datetime
) -> None:
    """Of these, paths could be made in any order: 60 factorial of them."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "X")])
    crowd = tuple(_certificate(name, ec_key, "X", is_authority=True) for _ in range(60))
    begun = time.monotonic()
    assert trusting(root).path(_certificate(name, ec_key, "PERSONNE"), crowd, now) is NoPath.AUTHORITY
    copies = (pen.signer.chain[0],) * 60
    assert trusting(root).trust(pen.signer.certificate, (*copies, *crowd[:3]), now)
    assert time.monotonic() - begun < 10


def _certificate(
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    name: str,
    *,
    is_authority: bool = False,
    of: ec.EllipticCurvePrivateKey | None = None,
    subject: x509.Name | None = None,
) -> bytes:
    """Signed by this key, in this issuer's name; ``of`` is the certificate's own key, this one too without."""
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().issuer_name(issuer).public_key((of or key).public_key())
    builder = builder.subject_name(subject or x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - DAY).not_valid_after(now + DAY)
    builder = builder.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    return der(builder.sign(key, SHA256()))


def test_no_path_goes_over_an_authority_with_a_short_key(
    root: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey, now: datetime
) -> None:
    short = SmallAuthority("AC PERSONNES SIMULATION", root, ec.generate_private_key(ec.SECP192R1()))
    signer = short.pen(ec_key, Algorithm.ES256).signer
    assert trusting(root).path(signer.certificate, signer.chain, now) is NoPath.REFUSED
    assert trusting(short).trust(signer.certificate, (), now)  # whom the site itself trusts


@pytest.mark.parametrize("weak", [None, 0, 1])
def test_of_several_authorities_between_none_may_have_a_short_key(now: datetime, weak: int | None) -> None:
    keys = [ec.generate_private_key(ec.SECP192R1() if weak == place else ec.SECP256R1()) for place in range(3)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"AC {place} SIMULATION")]) for place in range(2)]
    top = SmallAuthority("AC RACINE SIMULATION", key=(first := ec.generate_private_key(ec.SECP256R1())))
    above = _certificate(top.name, first, "AC 0 SIMULATION", is_authority=True, of=keys[0])
    below = _certificate(names[0], keys[0], "AC 1 SIMULATION", is_authority=True, of=keys[1])
    signer = _certificate(names[1], keys[1], "PERSONNE SIMULATION", of=keys[2])
    anchor = TrustedAuthorities([_certificate(top.name, first, "AC RACINE SIMULATION", is_authority=True)])
    path = anchor.path(signer, (above, below), now)
    assert isinstance(path, ValidationPath) if weak is None else path is NoPath.REFUSED


def test_no_path_begins_at_a_key_that_spells_out_its_curve(root: SmallAuthority, tmp_path: Path) -> None:
    """openssl refuses it too: such a curve may have been made to fit a key."""
    secret = root.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key, issuer, asked, made = (tmp_path / f"{name}.pem" for name in ("key", "issuer", "asked", "made"))
    issuer.write_bytes(root.pem + secret)
    said = {}
    for kind in ("named_curve", "explicit"):
        run("ecparam", "-name", "prime256v1", "-param_enc", kind, "-genkey", "-noout", "-out", key)
        run("req", "-new", "-key", key, "-subj", "/CN=PERSONNE SIMULATION", "-out", asked)
        run("x509", "-req", "-in", asked, "-CA", issuer, "-CAkey", issuer, "-set_serial", "7", "-out", made)
        signer = der(x509.load_pem_x509_certificate(made.read_bytes()))
        said[kind] = trusting(root).path(signer, (), datetime.now(UTC))
    assert isinstance(said["named_curve"], ValidationPath)
    assert said["explicit"] is NoPath.REFUSED


def test_the_authorities_of_a_file_are_its_certificates_and_nothing_else(
    root: SmallAuthority, persons: SmallAuthority, tmp_path: Path
) -> None:
    secret = root.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (file := tmp_path / "authorities.pem").write_bytes(root.pem + secret + persons.pem)
    assert authorities_of(file) == [der(root.certificate), der(persons.certificate)]


@pytest.mark.parametrize(
    ("content", "why", "expected"),
    [
        (None, "unreadable", "FileNotFoundError"),
        (b"", "unreadable", "ValueError"),
        (b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "unreadable", "ValueError"),
        (b"-----BEGIN SIMULATION-----\nMAA=\n-----END SIMULATION-----\n", "unreadable", "CERTIFICATE"),
    ],
    ids=["no file", "nothing", "no certificate", "something else"],
)
def test_a_file_without_authorities_is_told_with_its_name(
    tmp_path: Path, content: bytes | None, why: str, expected: str
) -> None:
    file = tmp_path / "authorities.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigInvalid) as told:
        authorities_of(file)
    assert told.value.params == {"file": str(file), "key": "", "why": why, "expected": expected}


@pytest.mark.parametrize("attribute", [0x03, 0x7F], ids=["a common name", "what nobody knows"])
def test_a_file_of_authorities_of_which_one_cannot_be_read_is_refused(
    root: SmallAuthority, tmp_path: Path, attribute: int
) -> None:
    broken = with_real_names(der(root.certificate), attribute)
    (file := tmp_path / "authorities.pem").write_bytes(pem.armor("CERTIFICATE", broken))
    with pytest.raises(ConfigInvalid) as told:
        authorities_of(file)
    assert told.value.params["why"] == "unreadable"


def test_a_pipe_is_no_file_of_authorities_and_nobody_is_waited_for(tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "authorities.pem")
    with pytest.raises(ConfigInvalid) as told:
        authorities_of(pipe)
    assert (told.value.params["why"], told.value.params["file"]) == ("no_file", str(pipe))


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([(NameOID.COMMON_NAME, "AC"), (NameOID.ORGANIZATION_NAME, "SIMULATION")], "AC"),
        ([(NameOID.ORGANIZATION_NAME, "SIMULATION")], "Organization: SIMULATION"),
        ([(NameOID.COMMON_NAME, "AC"), (NameOID.COMMON_NAME, "SIMULATION")], "Common Name: SIMULATION, AC"),
    ],
    ids=["one", "none", "two"],
)
def test_a_certificate_is_called_by_its_common_name_or_by_all_of_its_names(
    root: SmallAuthority, names: list[tuple[x509.ObjectIdentifier, str]], told: str
) -> None:
    subject = x509.Name([x509.NameAttribute(kind, text) for kind, text in names])
    certificate = _certificate(root.name, root.key, "PERSONNE SIMULATION", subject=subject)
    assert name_of(asn1_x509.Certificate.load(certificate)) == told
    assert name_of(asn1_x509.Certificate.load(b"0\x00")) == "?"
