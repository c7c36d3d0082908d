"""The fictitious certification authorities of the simulated cards, and the certificates that they issue.

The authorities are shaped like those of IGC-Santé: a root and its authority for persons, RSA-4096 and SHA-256, valid
for twenty years. Their names carry SIMULATION and their addresses end in .invalid.

The signature certificate follows the card facts, section "Certificates". The profile of today's authentication
certificate is not known: the simulated one follows the older sample, without a policy, and its UPN is in a domain that
cannot exist. Nothing is known of the technical certificate: that it names the card and not its holder was chosen.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from cardd.tlv import encode
from cardd.values import Value
from cardd_simulators.cards.behaviour import USUAL, Behaviour
from cardd_simulators.cards.profiles import Profile

AUTHORITY_KEY_SIZE = 4096
AUTHORITY_LIFE = timedelta(days=20 * 365)
BACKDATED = timedelta(days=1)  # a machine whose clock is a little late shall not refuse a fresh card
LIFE = timedelta(days=3 * 365)  # a CPS3's; a CPS4 has six years
ISSUER_NUMBER = "8025000001"
TEST_CARD = b"\x80"  # table G01

CARD_TYPE = x509.ObjectIdentifier("1.2.250.1.71.1.2.2")
CARD_NUMBER = x509.ObjectIdentifier("1.2.250.1.71.1.2.3")
CARD_CATEGORY = x509.ObjectIdentifier("1.2.250.1.71.1.2.5")
PROFESSION = x509.ObjectIdentifier("1.2.250.1.71.1.2.7")
SPECIALTY = x509.ObjectIdentifier("1.2.250.1.71.4.2.5")
SIGNATURE_POLICY = x509.ObjectIdentifier("1.2.250.1.213.1.7.2.1.1.1.1")
USER_PRINCIPAL_NAME = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")

INTEGER, OCTET_STRING, UTF8_STRING, PRINTABLE_STRING, SEQUENCE = 0x02, 0x04, 0x0C, 0x13, 0x30


class Authority(Value):
    """A certification authority: its certificate and the key with which it signs."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey

    @property
    def key_identifier(self) -> x509.AuthorityKeyIdentifier:
        """Return the extension that certificates of this authority carry."""
        own = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own.value)


def make_root() -> Authority:
    """Return a self-signed root."""
    key = rsa.generate_private_key(65537, AUTHORITY_KEY_SIZE)
    name = _authority_name("AC RACINE SIMULATION IGC-SANTE FORT")
    builder = _authority_builder(name, key, path_length=1).issuer_name(name)
    return Authority(builder.sign(key, SHA256()), key)


def make_persons_authority(root: Authority) -> Authority:
    """Return the authority that issues the cards' certificates."""
    key = rsa.generate_private_key(65537, AUTHORITY_KEY_SIZE)
    builder = _authority_builder(_authority_name("AC SIMULATION IGC-SANTE FORT PERSONNES"), key, path_length=0)
    builder = builder.issuer_name(root.certificate.subject).add_extension(root.key_identifier, critical=False)
    return Authority(builder.sign(root.key, SHA256()), key)


def _authority_name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "FR"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "SIMULATION"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "0002 000000000"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "IGC-SANTE SIMULATION"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _authority_builder(name: x509.Name, key: rsa.RSAPrivateKey, path_length: int) -> x509.CertificateBuilder:
    usage = key_usage(key_cert_sign=True, crl_sign=True)
    begin = datetime.now(UTC) - BACKDATED
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def key_usage(
    *,
    digital_signature: bool = False,
    non_repudiation: bool = False,
    key_cert_sign: bool = False,
    crl_sign: bool = False,
) -> x509.KeyUsage:
    """Return a KeyUsage of which only the named bits are set."""
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=non_repudiation,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


class Holder(Value):
    """Whose card it is: a profile, the ten digits of the card number, and in what the certificates differ.

    ``life`` is for how long they are valid.
    """

    profile: Profile
    card_number: str
    behaviour: Behaviour = USUAL
    life: timedelta = LIFE

    @property
    def common_name(self) -> str:
        """Return the certificate's CN: the national identifier, but for the cards whose name has none."""
        unusual = self.behaviour.name_without_id or self.behaviour.no_national_id
        return f"SIM PORTEUR {self.card_number}" if unusual else self.profile.national_id

    @property
    def principal(self) -> str:
        """Return the UPN of the authentication certificate."""
        account = "porteur" if self.behaviour.no_national_id else self.profile.national_id
        return f"{account}@carte-cps.invalid"


def signature_certificate(holder: Holder, key: rsa.RSAPublicKey, authority: Authority) -> x509.Certificate:
    """Non-repudiation only, for documents."""
    builder = (
        _builder(holder, key, authority)
        .add_extension(key_usage(non_repudiation=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.CertificatePolicies([x509.PolicyInformation(SIGNATURE_POLICY, None)]), critical=False)
    )
    return builder.sign(authority.key, SHA256())


def authentication_certificate(holder: Holder, key: rsa.RSAPublicKey, authority: Authority) -> x509.Certificate:
    """Digital signature, for TLS clients and for logging in."""
    purposes = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SMARTCARD_LOGON]
    builder = (
        _builder(holder, key, authority)
        .add_extension(key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.SubjectAlternativeName([_principal(holder)]), critical=False)
    )
    return builder.sign(authority.key, SHA256())


def technical_certificate(holder: Holder, key: rsa.RSAPublicKey, authority: Authority) -> x509.Certificate:
    """Digital signature, by the card itself."""
    builder = _builder(holder, key, authority, _card_name(holder))
    return builder.add_extension(key_usage(digital_signature=True), critical=True).sign(authority.key, SHA256())


def _builder(
    holder: Holder, key: rsa.RSAPublicKey, authority: Authority, subject: x509.Name | None = None
) -> x509.CertificateBuilder:
    begin = datetime.now(UTC) - BACKDATED + holder.behaviour.shift
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject or _subject(holder))
        .issuer_name(authority.certificate.subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + holder.life)
        .add_extension(authority.key_identifier, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(_status_service(), critical=False)
        .add_extension(_revocation_list(), critical=False)
    )
    for oid, der in _card_extensions(holder):
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, der), critical=False)
    return builder


def _subject(holder: Holder) -> x509.Name:
    """Country, the title where there is one, and given name, number and name together in one RDN."""
    profile = holder.profile
    person = [
        x509.NameAttribute(NameOID.GIVEN_NAME, profile.given_name),
        x509.NameAttribute(NameOID.COMMON_NAME, holder.common_name),
        x509.NameAttribute(NameOID.SURNAME, profile.family_name),
    ]
    rdns = [x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COUNTRY_NAME, "FR")])]
    if profile.title:
        rdns.append(x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.TITLE, profile.title)]))
    return x509.Name([*rdns, x509.RelativeDistinguishedName(person)])


def _card_name(holder: Holder) -> x509.Name:
    named = (
        (NameOID.COUNTRY_NAME, "FR"),
        (NameOID.ORGANIZATION_NAME, "SIMULATION"),
        (NameOID.COMMON_NAME, f"{ISSUER_NUMBER}/{holder.card_number}"),
    )
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in named])


def _principal(holder: Holder) -> x509.OtherName:
    return x509.OtherName(USER_PRINCIPAL_NAME, encode(UTF8_STRING, holder.principal.encode()))


def _status_service() -> x509.AuthorityInformationAccess:
    address = x509.UniformResourceIdentifier("http://ocsp.simulation.invalid/")
    return x509.AuthorityInformationAccess([x509.AccessDescription(AuthorityInformationAccessOID.OCSP, address)])


def _revocation_list() -> x509.CRLDistributionPoints:
    address = x509.UniformResourceIdentifier("http://crl.simulation.invalid/personnes.crl")
    return x509.CRLDistributionPoints([x509.DistributionPoint([address], None, None, None)])


def _card_extensions(holder: Holder) -> list[tuple[x509.ObjectIdentifier, bytes]]:
    profile = holder.profile
    number = f"{ISSUER_NUMBER}/{holder.card_number}"
    extensions = [
        (CARD_TYPE, encode(INTEGER, bytes((profile.card_type,)))),
        (CARD_NUMBER, encode(PRINTABLE_STRING, number.encode())),
        (CARD_CATEGORY, encode(OCTET_STRING, TEST_CARD)),
    ]
    if profile.profession is not None:
        extensions.append((PROFESSION, encode(INTEGER, bytes((profile.profession,)))))
    if profile.specialty is not None:
        extensions.append((SPECIALTY, encode(SEQUENCE, encode(UTF8_STRING, profile.specialty.encode()))))
    return extensions
