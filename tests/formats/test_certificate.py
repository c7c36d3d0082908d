"""What is read of a certificate, and which may sign: every format asks the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest
from asn1crypto import core, keys
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose
from cryptography.x509.oid import NameOID

from cardd.errors import (
    AlgorithmUnsupported,
    CardGarbled,
    LoginCertificateExpired,
    LoginCertificateNotYetValid,
    SigningCertificateExpired,
    SigningCertificateNotYetValid,
    SigningCertificateUsage,
)
from cardd.formats.certificate import (
    EXTENDED_KEY_USAGE,
    EXTENSIONS_MAX,
    KEY_USAGE,
    KEY_USAGES,
    KEYWORDS,
    SIZE_MAX,
    CertificateFacts,
    Use,
    facts_of,
    require_signing,
    require_validity,
    serial_of,
)
from cardd.model import Algorithm
from cardd.tlv import encode
from cardd.values import replace
from tests.rig.pens import Pen, SmallAuthority, card_pen, der, usage_of

DAY = timedelta(days=1)
COMMON, UNIT, SERIAL = NameOID.COMMON_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.SERIAL_NUMBER


def _name(*parts: x509.NameAttribute[str] | list[x509.NameAttribute[str]]) -> x509.Name:
    return x509.Name([x509.RelativeDistinguishedName(part if isinstance(part, list) else [part]) for part in parts])


def _named(name: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime) -> bytes:
    """A certificate of this name."""
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now - DAY, now + DAY)
    return der(builder.sign(key, SHA256()))


@pytest.mark.parametrize(
    "name",
    [
        _name(x509.NameAttribute(NameOID.COUNTRY_NAME, "FR"), x509.NameAttribute(COMMON, "AC SIMULATION")),
        _name(*(x509.NameAttribute(COMMON, text) for text in ("a,b", "a+b", 'a"b', "a\\b", "<a>", "a;b", "é"))),
        _name(*(x509.NameAttribute(UNIT, text) for text in (" a", "#a", "a ", " ", "# a ", "a\0b"))),
        _name([x509.NameAttribute(COMMON, "several"), x509.NameAttribute(UNIT, "parts")]),
        _name(x509.NameAttribute(SERIAL, "8")),
    ],
    ids=["plain", "special", "ends", "several", "no keyword"],
)
def test_a_name_is_written_as_cryptography_does(
    name: x509.Name, ec_key: ec.EllipticCurvePrivateKey, now: datetime
) -> None:
    certificate = _named(name, ec_key, now)
    subject = facts_of(certificate).subject
    assert str(subject) == x509.load_der_x509_certificate(certificate).subject.rfc4514_string()
    assert subject.values(COMMON.dotted_string) == tuple(found.value for found in name.get_attributes_for_oid(COMMON))


def test_an_attribute_without_a_keyword_is_written_in_hex_where_rfc_4514_is_followed_strictly(
    ec_key: ec.EllipticCurvePrivateKey, now: datetime
) -> None:
    subject = facts_of(_named(_name(x509.NameAttribute(SERIAL, "8")), ec_key, now)).subject
    assert subject.written(KEYWORDS, is_strict=True) == "2.5.4.5=#130138"


@pytest.mark.parametrize("generation", ["cps3", "cps4"])
def test_a_cards_authentication_certificate_may_not(generation: str, now: datetime) -> None:
    with pytest.raises(SigningCertificateUsage):
        require_signing(card_pen(generation, "authentication").signer, now)


def test_a_certificate_is_good_from_its_first_second_to_its_last(card: Pen, now: datetime) -> None:
    first, last = _validity(card)
    require_signing(card.signer, first)
    require_signing(card.signer, last)
    second = timedelta(seconds=1)
    with pytest.raises(SigningCertificateNotYetValid) as early:
        require_signing(card.signer, first - second)
    with pytest.raises(SigningCertificateExpired) as late:
        require_signing(card.signer, last + second)
    assert early.value.params == {"not_before": first.isoformat()}
    assert late.value.params == {"not_after": last.isoformat()}


def test_an_algorithm_of_another_kind_of_key_is_refused(
    authority: SmallAuthority, rsa_key: rsa.RSAPrivateKey, ec_key: ec.EllipticCurvePrivateKey, now: datetime
) -> None:
    larger = ec.generate_private_key(ec.SECP384R1())
    for key, algorithm in (
        (rsa_key, Algorithm.ES256),
        (ec_key, Algorithm.RS256),
        (ec_key, Algorithm.PS256),
        (larger, Algorithm.ES256),
    ):
        with pytest.raises(AlgorithmUnsupported) as refused:
            require_signing(authority.pen(key, algorithm).signer, now)
        assert refused.value.params == {"algorithm": algorithm}


def _validity(pen: Pen) -> tuple[datetime, datetime]:
    from cryptography.x509 import load_der_x509_certificate

    certificate = load_der_x509_certificate(pen.signer.certificate)
    return certificate.not_valid_before_utc, certificate.not_valid_after_utc


# --- what a certificate says, where it may be crafted


def crafted(base: bytes, change: Callable[[asn1.TbsCertificate], None]) -> bytes:
    """The certificate with something of it changed; its signature is another's then, which no reader of facts asks."""
    certificate = asn1.Certificate.load(base)
    change(certificate["tbs_certificate"])
    return bytes(certificate.dump(force=True))


def extended(base: bytes, *extensions: tuple[str, bytes]) -> bytes:
    """The certificate with these extensions and no others."""
    listed = [{"extn_id": oid, "extn_value": core.ParsableOctetString(value)} for oid, value in extensions]
    return crafted(base, lambda told: told.__setitem__("extensions", listed))


@pytest.fixture(scope="session")
def plain(authority: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey) -> bytes:
    return authority.pen(ec_key, Algorithm.ES256).signer.certificate


def test_the_serial_number_has_two_digits_for_each_byte_and_is_neither_zero_nor_negative_nor_long(
    plain: bytes,
) -> None:
    def numbered(number: int) -> bytes:
        return crafted(plain, lambda told: told.__setitem__("serial_number", number))

    largest = (1 << 8 * 20) - 1
    for number, written in ((1, "01"), (0xAB, "AB"), (0xABC, "0ABC"), (largest, "FF" * 20)):
        assert (facts_of(numbered(number)).number, serial_of(numbered(number))) == (number, written)
    for number in (0, -1, largest + 1):
        with pytest.raises(CardGarbled) as refused:
            facts_of(numbered(number))
        assert refused.value.params == {"what": "certificate"}


def test_a_key_is_told_by_its_kind_and_size_and_is_weak_below_the_least(
    authority: SmallAuthority, plain: bytes, rsa_key: rsa.RSAPrivateKey
) -> None:
    def kind(der: bytes) -> tuple[str, int, bool]:
        facts = facts_of(der)
        return facts.key, facts.key_bits, facts.has_weak_key

    def of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
        return authority.pen(key, Algorithm.ES256).signer.certificate

    def for_pss(told: asn1.TbsCertificate) -> None:
        told["subject_public_key_info"]["algorithm"] = keys.PublicKeyAlgorithm({"algorithm": "rsassa_pss"})

    def another(told: asn1.TbsCertificate) -> None:
        told["subject_public_key_info"] = keys.PublicKeyInfo.load(
            Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        )

    assert kind(of(rsa_key)) == ("rsa", 2048, False)
    assert kind(crafted(of(rsa_key), for_pss)) == ("rsassa_pss", 2048, False)
    assert kind(of(rsa.generate_private_key(65537, 1024))) == ("rsa", 1024, True)
    assert kind(plain) == ("secp256r1", 256, False)
    assert kind(of(ec.generate_private_key(ec.SECP192R1()))) == ("secp192r1", 192, True)
    assert kind(crafted(plain, another)) == ("ed25519", 0, False)
    told = facts_of(plain)
    for key, bits, is_weak in (
        ("rsa", 2047, True),
        ("rsassa_pss", 2047, True),
        ("secp256r1", 255, True),
        ("rsa", 1, True),
    ):
        assert replace(told, key=key, key_bits=bits).has_weak_key is is_weak


def test_a_curve_that_the_key_spells_out_is_its_own(plain: bytes) -> None:
    assert facts_of(plain).has_own_curve is False
    own = facts_of(crafted(plain, _spell_out))
    assert (own.has_own_curve, own.key, own.key_bits) == (True, "ec", 0)


def _spell_out(told: asn1.TbsCertificate) -> None:
    told["subject_public_key_info"]["algorithm"]["parameters"] = keys.ECDomainParameters(
        "specified",
        {
            "version": "ecdpVer1",
            "field_id": {"field_type": "prime_field", "parameters": 23},
            "curve": {"a": b"\x01", "b": b"\x01"},
            "base": b"\x04\x03\x0a",
            "order": 28,
        },
    )


FOR_DOCUMENTS, PROVING, BOTH = (
    ("content_commitment",),
    ("digital_signature",),
    ("digital_signature", "content_commitment"),
)


EVERY_OTHER = (
    *(Purpose.CLIENT_AUTH, Purpose.SMARTCARD_LOGON, Purpose.SERVER_AUTH),
    *(Purpose.CODE_SIGNING, Purpose.TIME_STAMPING, Purpose.OCSP_SIGNING),
)


@pytest.mark.parametrize(
    ("usage", "purposes", "use"),
    [
        (None, (), Use.UNSAID),
        (None, (Purpose.CLIENT_AUTH,), Use.UNSAID),
        (FOR_DOCUMENTS, (), Use.SIGNATURE),
        (BOTH, (), Use.SIGNATURE),
        (FOR_DOCUMENTS, (Purpose.EMAIL_PROTECTION,), Use.SIGNATURE),
        (FOR_DOCUMENTS, (Purpose.EMAIL_PROTECTION, Purpose.CLIENT_AUTH), Use.SIGNATURE),
        (FOR_DOCUMENTS, (Purpose.CLIENT_AUTH,), Use.AUTHENTICATION),
        (FOR_DOCUMENTS, (Purpose.SMARTCARD_LOGON,), Use.AUTHENTICATION),
        *((FOR_DOCUMENTS, (purpose,), Use.OTHER) for purpose in (
            Purpose.SERVER_AUTH, Purpose.CODE_SIGNING, Purpose.TIME_STAMPING, Purpose.OCSP_SIGNING,
        )),
        (FOR_DOCUMENTS, EVERY_OTHER, Use.AUTHENTICATION),
        (PROVING, (), Use.AUTHENTICATION),
        (PROVING, (Purpose.CLIENT_AUTH,), Use.AUTHENTICATION),
        (PROVING, (Purpose.SERVER_AUTH,), Use.OTHER),
        ((*PROVING, "key_encipherment"), (), Use.OTHER),
        ((*PROVING, "key_encipherment"), (Purpose.CLIENT_AUTH, Purpose.SERVER_AUTH), Use.AUTHENTICATION),
        (("key_agreement",), (), Use.OTHER),
    ],
)  # fmt: skip
def test_what_a_key_is_for_is_told_by_its_usage_and_its_purposes(
    authority: SmallAuthority,
    ec_key: ec.EllipticCurvePrivateKey,
    usage: tuple[str, ...] | None,
    purposes: tuple[x509.ObjectIdentifier, ...],
    use: Use,
) -> None:
    told = x509.ExtendedKeyUsage(purposes) if purposes else None
    issued = authority.issue(ec_key, "SIMULATION", usage_of(*usage) if usage else None, purposes=told)
    assert facts_of(der(issued)).use is use


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("03020780", KEY_USAGES[:1]),
        ("03020640", KEY_USAGES[1:2]),
        ("030200ff", KEY_USAGES[:8]),
        ("03020001", KEY_USAGES[7:8]),
        ("0303078080", (KEY_USAGES[0], KEY_USAGES[8])),
        ("0303000080", KEY_USAGES[8:]),
        ("03030000ff", KEY_USAGES[8:]),
        ("0304000000ff", ()),
        ("030100", ()),
        ("0402ffff", ()),
    ],
)
def test_each_bit_of_the_key_usage_has_its_name(
    authority: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey, written: str, read: tuple[str, ...]
) -> None:
    facts = facts_of(der(authority.issue(ec_key, "SIMULATION", None, more=[_odd(KEY_USAGE, bytes.fromhex(written))])))
    assert facts.key_usage == read
    assert facts.use is not Use.UNSAID or not read


@pytest.mark.parametrize("odd", [b"", b"\x30", b"\x30\x05\x06"])
def test_purposes_that_cannot_be_read_are_none_and_make_no_card_useless(
    authority: SmallAuthority, ec_key: ec.EllipticCurvePrivateKey, odd: bytes
) -> None:
    usage = usage_of(*FOR_DOCUMENTS)
    issued = authority.issue(ec_key, "SIMULATION", usage, more=[_odd(EXTENDED_KEY_USAGE, odd)])
    assert facts_of(der(issued)).use is Use.SIGNATURE


def _odd(oid: str, value: bytes) -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)


def test_an_extension_is_given_as_it_is_and_its_value_where_it_is_of_the_type(plain: bytes) -> None:
    oid = "1.2.250.1.71.1.2.2"
    facts = facts_of(extended(plain, (oid, encode(0x02, b"\x05")), ("1.2.3.4", b"")))
    assert facts.extensions == {oid: encode(0x02, b"\x05"), "1.2.3.4": b""}
    assert (facts.value(oid, 0x02), facts.value(oid, 0x04)) == (b"\x05", None)
    assert (facts.extension("1.2.3.4"), facts.value("1.2.3.5", 0x02)) == (None, None)


def test_so_many_extensions_are_read_and_one_without_a_name_or_a_value_is_refused(plain: bytes) -> None:
    many = extended(plain, *((f"1.2.250.{number}", b"\x05\x00") for number in range(EXTENSIONS_MAX + 1)))
    assert [*facts_of(many).extensions] == [f"1.2.250.{number}" for number in range(EXTENSIONS_MAX)]
    one = extended(plain, ("1.2.3.4", b"\x05\x00"))
    for there, in_place in (
        (b"\x06\x03\x2a\x03\x04", b"\x04\x03\x2a\x03\x04"),
        (b"\x04\x02\x05\x00", b"\x0c\x02\x05\x00"),
    ):
        assert facts_of(one).extensions
        with pytest.raises(CardGarbled) as refused:
            facts_of(one.replace(there, in_place))
        assert refused.value.params == {"what": "certificate"}


def test_a_certificate_without_extensions_says_nothing_of_its_key(plain: bytes) -> None:
    facts = facts_of(crafted(plain, lambda told: told.__setitem__("extensions", None)))
    assert (facts.extensions, facts.key_usage, facts.use) == ({}, (), Use.UNSAID)


def test_a_certificate_of_the_largest_size_is_read(plain: bytes) -> None:
    def of_size(size: int) -> bytes:
        empty = extended(plain, ("1.2.3.4", bytes(SIZE_MAX // 2)))
        return extended(plain, ("1.2.3.4", bytes(SIZE_MAX // 2 + size - len(empty))))

    assert len(of_size(SIZE_MAX)) == SIZE_MAX
    assert facts_of(of_size(SIZE_MAX)).key == "secp256r1"
    with pytest.raises(CardGarbled) as refused:
        facts_of(of_size(SIZE_MAX + 1))
    assert refused.value.params == {"what": "certificate"}


def test_a_date_that_is_none_is_refused(plain: bytes) -> None:
    def of_no_year(told: asn1.TbsCertificate) -> None:
        told["validity"]["not_before"] = asn1.Time("general_time", core.GeneralizedTime(b"00000101000000Z".decode()))

    with pytest.raises(CardGarbled) as refused:
        facts_of(crafted(plain, of_no_year))
    assert refused.value.params == {"what": "certificate"}


def test_a_value_of_a_name_that_is_no_text_is_written_in_hex(plain: bytes) -> None:
    number = asn1.NameTypeAndValue({"type": "2.5.4.45", "value": core.OctetBitString(b"\x01")})
    told = asn1.Name("", asn1.RDNSequence([asn1.RelativeDistinguishedName([number])]))
    subject = facts_of(crafted(plain, lambda whole: whole.__setitem__("subject", told))).subject
    assert str(subject) == "2.5.4.45=#03020001"
    assert (subject.values("2.5.4.45"), subject.first("2.5.4.45")) == ((), None)


def test_a_login_s_certificate_is_good_from_its_first_second_to_its_last(card: Pen) -> None:
    first, last = _validity(card)
    east, second = timezone(2 * timedelta(hours=1)), timedelta(seconds=1)
    for time in (first, last, first.astimezone(east)):
        require_validity(card.signer.certificate, time)
    with pytest.raises(LoginCertificateNotYetValid) as early:
        require_validity(card.signer.certificate, first - second)
    with pytest.raises(LoginCertificateExpired) as late:
        require_validity(card.signer.certificate, last + second)
    assert early.value.params == {"not_before": first.isoformat()}
    assert late.value.params == {"not_after": last.isoformat()}


def test_the_card_s_own_key_may_sign_and_its_facts_are_told(card: Pen, now: datetime) -> None:
    told: CertificateFacts = require_signing(card.signer, now)
    assert told == facts_of(card.signer.certificate)
