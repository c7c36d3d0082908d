"""People, organisations and keys for assertions, all fictitious, and the key's part in the two steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import permutations

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID, NameOID

from cardd.formats.prepared import Prepared, Signer
from cardd.formats.saml.request import Authentication, Means, Patient, Registration, Speaker
from cardd.model import Algorithm, Identity, Organisation, Situation
from cardd.tlv import SEQUENCE, SET, Tlv, parse_one
from cardd.values import replace
from tests.rig.pens import usage_of

NATIONAL_ID = "899000000010"
SIRET = "399999999900017"
CABINET = "499000000010001"
BIT_STRING = 0x03
PATIENT = Patient("185059999900181", "1.2.250.1.213.1.4.10")
REGISTRATION = Registration("LogiSimulation", "SIM-000000-tmp0", version="4.2", installation="POSTE-SIMULATION")
NOW = datetime.now(UTC).replace(microsecond=250_000)


@dataclass
class StoppedClock:
    """Time that moves only when the test moves ``time``."""

    time: datetime = field(default_factory=lambda: NOW)

    def now(self) -> datetime:
        """The time of day."""
        return self.time

    def monotonic(self) -> float:
        """Return the clock's seconds."""
        return self.time.timestamp()


@dataclass(frozen=True)
class Key:
    """A private key and its certificate."""

    private: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @property
    def signer(self) -> Signer:
        """What the formats are told of it."""
        return Signer(self.certificate.public_bytes(Encoding.DER), (), Algorithm.RS256)

    @property
    def pem(self) -> bytes:
        """The certificate for outside judges."""
        return self.certificate.public_bytes(Encoding.PEM)

    def sign(self, message: bytes) -> bytes:
        """Sign as a card does: RSA PKCS#1 with SHA-256."""
        return self.private.sign(message, padding.PKCS1v15(), SHA256())

    def finish(self, prepared: Prepared) -> bytes:
        """The signed document."""
        assert prepared.message.content is not None
        with prepared.finish(self.sign(prepared.message.content)) as document:
            return document.read()


@cache
def _private() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def _key(
    subject: x509.Name,
    *,
    non_repudiation: bool = True,
    begin: datetime | None = None,
    end: datetime | None = None,
    profession: int | None = None,
    odd: bool = False,
) -> Key:
    usage = usage_of("content_commitment" if non_repudiation else "digital_signature")
    private = _private()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin or NOW - timedelta(days=1))
        .not_valid_after(end or NOW + timedelta(days=365))
        .add_extension(usage, critical=True)
    )
    if profession is not None:
        own = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.250.1.71.1.2.7"), bytes((2, 1, profession)))
        builder = builder.add_extension(own, critical=False)
    if odd:
        builder = builder.add_extension(x509.UnrecognizedExtension(ExtensionOID.EXTENDED_KEY_USAGE, b"\x05"), False)
    return Key(private, builder.sign(private, SHA256()))


def card_key(
    national_id: str = NATIONAL_ID,
    *,
    non_repudiation: bool = True,
    begin: datetime | None = None,
    end: datetime | None = None,
    profession: int | None = 10,
    odd: bool = False,
    family_name: str = "SIMULATION-MÉDECIN",
) -> Key:
    """A key as a CPS has it: given name, number and name in one RDN; ``odd`` adds an extension that nobody can read."""
    person = x509.RelativeDistinguishedName(
        [
            x509.NameAttribute(NameOID.GIVEN_NAME, "CAMILLE"),
            x509.NameAttribute(NameOID.COMMON_NAME, national_id),
            x509.NameAttribute(NameOID.SURNAME, family_name),
        ]
    )
    country = x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COUNTRY_NAME, "FR")])
    title = x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.TITLE, "Médecin")])
    subject = x509.Name([country, title, person])
    return _key(subject, non_repudiation=non_repudiation, begin=begin, end=end, profession=profession, odd=odd)


def in_other_orders(key: Key) -> list[bytes]:
    """Return the certificate signed anew, with the holder's name in each order of its parts that DER does not allow."""
    body, algorithm, _ = parse_one(key.signer.certificate).children
    name = next(rdn for part in body.children if part.tag == SEQUENCE for rdn in part.children if _is_person(rdn))
    found = []
    for order in permutations(one.encode() for one in name.children):
        other = Tlv(SEQUENCE, body.value.replace(name.value, b"".join(order))).encode()
        signature = Tlv(BIT_STRING, b"\0" + key.sign(other))
        found.append(Tlv(SEQUENCE, other + algorithm.encode() + signature.encode()).encode())
    return [each for each in found if each != key.signer.certificate]


def _is_person(rdn: Tlv) -> bool:
    return rdn.tag == SET and len(rdn.children) == 3


def organisation_key(unit: str = SIRET, *, non_repudiation: bool = True) -> Key:
    """A key as an organisation has it (ORG_SIGN); without non-repudiation the one for TLS (ORG_AUTH_CLI)."""
    fields = (
        (NameOID.COUNTRY_NAME, "FR"),
        (NameOID.STATE_OR_PROVINCE_NAME, "SIMULATION (00)"),
        (NameOID.ORGANIZATION_NAME, "CENTRE DE SANTE SIMULATION"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
        (NameOID.COMMON_NAME, "SIMULATION"),
    )
    return _key(x509.Name([x509.NameAttribute(*each) for each in fields]), non_repudiation=non_repudiation)


def doctor(means: Means = Means.CARD) -> Speaker:
    """A doctor in practice for themselves, logged in a quarter of an hour ago."""
    identity = Identity(
        NATIONAL_ID,
        "SIMULATION-MÉDECIN",
        "CAMILLE",
        title="Médecin",
        profession="10",
        specialty="SM54",
        card_type="0",
        is_test=True,
    )
    situation = Situation("1", sector="SA07", structure=CABINET)
    return Speaker(identity, Authentication(NOW - timedelta(minutes=15), means), situation)


def told(speaker: Speaker, **fields: str | bool | None) -> Speaker:
    """Return the speaker with other fields of the identity."""
    return replace(speaker, identity=replace(speaker.identity, **fields))  # by name


def placed(speaker: Speaker, **fields: str | None) -> Speaker:
    """Return the speaker with other fields of the situation."""
    assert speaker.situation is not None
    return replace(speaker, situation=replace(speaker.situation, **fields))  # by name


def of_organisation(speaker: Speaker, *, declared: bool = False, identifier: str = SIRET) -> Speaker:
    """Return the speaker whom the organisation speaks for."""
    organisation = Organisation(identifier, "siret", "CENTRE DE SANTE SIMULATION")
    return replace(
        speaker, identity=replace(speaker.identity, organisation=organisation, is_declared=declared, card_type=None)
    )
