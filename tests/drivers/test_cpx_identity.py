"""What a CPx certificate says of its holder and of itself."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardd.errors import CarddError, CardGarbled, HolderUnknown
from cardd.formats.certificate import facts_of, serial_of
from cardd.identity.holders import identity_of
from cardd.model import Identity, KeyPurpose
from cardd.tlv import encode
from tests.drivers.pki import (
    EXTENSIONS,
    NOT_AFTER,
    NOT_BEFORE,
    authentication_pair,
    certificate,
    signature_pair,
    subject,
)


@dataclass(frozen=True)
class Profile:
    """One kind of holder, as extensions write it."""

    number: str
    card_type: int
    category: int
    profession: int | None
    specialty: str | None


PROFILES = {
    "médecin": Profile("899700000001", 0, 0x80, 10, "SM26"),
    "pharmacien": Profile("899700000002", 0, 0x00, 21, None),
    "infirmier": Profile("00B6087510", 0, 0x83, 60, None),
    "secrétaire": Profile("500000000029751/CPAT0001", 3, 0x03, None, None),
}


def _extensions(profile: Profile) -> dict[str, bytes]:
    told = {
        "1.2.250.1.71.1.2.2": encode(0x02, bytes((profile.card_type,))),
        "1.2.250.1.71.1.2.5": encode(0x04, bytes((profile.category,))),
    }
    if profile.profession is not None:
        told["1.2.250.1.71.1.2.7"] = encode(0x02, bytes((profile.profession,)))
    if profile.specialty is not None:
        told["1.2.250.1.71.4.2.5"] = encode(0x30, encode(0x0C, profile.specialty.encode()))
    return told


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_the_holder_is_read_from_the_certificate_of_each_profile(profile: Profile) -> None:
    der = certificate(
        signature_pair().key, signature=True, name=subject(profile.number), extensions=_extensions(profile)
    )
    assert identity_of(der) == Identity(
        national_id=profile.number,
        family_name="MÉDECIN FICTIF",
        given_name="SIMULATION",
        title="Médecin",
        profession=None if profile.profession is None else str(profile.profession),
        specialty=profile.specialty,
        card_type=str(profile.card_type),
        card_number=None,
        is_test=bool(profile.category & 0x80),
    )


def test_a_certificate_without_any_cpx_extension_still_names_its_holder() -> None:
    der = certificate(signature_pair().key, signature=True, extensions={})
    assert identity_of(der) == Identity("899700000001", "MÉDECIN FICTIF", "SIMULATION", "Médecin")


@pytest.mark.parametrize(
    "name", [None, "SIM PORTEUR 899700000001", "899700000001 SIMULATION", "Jean Martin", "1234567890", "8", "8/899700"]
)
def test_a_certificate_without_national_identifier_speaks_for_nobody(name: str | None) -> None:
    with pytest.raises(HolderUnknown):
        identity_of(certificate(signature_pair().key, signature=True, name=subject(name)))


@pytest.mark.parametrize(
    ("account", "national_id"),
    [
        ("899700000001@carte-cps.fr", "899700000001"),
        ("899700000001@carte-cps.invalid", "899700000001"),
        ("899700000001@hopital.example", None),
        ("porteur@carte-cps.fr", None),
        ("", None),
    ],
)
def test_where_the_name_is_no_national_identifier_the_principal_name_may_be(
    account: str, national_id: str | None
) -> None:
    principal = encode(0x06, bytes.fromhex("2B060104018237140203")) + encode(0xA0, encode(0x0C, account.encode()))
    names = {"2.5.29.17": encode(0x30, encode(0x82, b"cps.example") + encode(0xA0, principal))}
    der = certificate(signature_pair().key, signature=False, name=subject("SIM PORTEUR"), extensions=names)
    if national_id is None:
        with pytest.raises(HolderUnknown):
            identity_of(der)
    else:
        assert identity_of(der).national_id == national_id


def test_the_card_number_is_told() -> None:
    assert identity_of(signature_pair().der).card_number == "8025000001/2699213845"


def test_extensions_of_another_type_are_left_out() -> None:
    wrong = dict.fromkeys(EXTENSIONS, encode(0x05, b""))
    identity = identity_of(certificate(signature_pair().key, signature=True, extensions=wrong))
    assert (identity.profession, identity.specialty, identity.card_type, identity.card_number) == (None,) * 4
    assert identity.is_test is False


@pytest.mark.parametrize(
    ("der", "usage", "purpose"),
    [
        (signature_pair().der, ("nonRepudiation",), KeyPurpose.SIGNATURE),
        (authentication_pair().der, ("digitalSignature",), KeyPurpose.AUTHENTICATION),
    ],
    ids=["signature", "authentication"],
)
def test_the_facts_tell_dates_usage_and_purpose(der: bytes, usage: tuple[str, ...], purpose: KeyPurpose) -> None:
    facts = facts_of(der)
    assert (facts.key_usage, facts.use) == (usage, str(purpose))
    assert (facts.not_before, facts.not_after) == (NOT_BEFORE, NOT_AFTER)
    assert str(facts.issuer) == "CN=SIMULATION"
    assert "CN=899700000001" in str(facts.subject)


def test_the_serial_number_is_written_as_openssl_does(tmp_path: Path) -> None:
    (tmp_path / "certificate.der").write_bytes(signature_pair().der)
    told = subprocess.run(
        ["openssl", "x509", "-inform", "DER", "-in", "certificate.der", "-noout", "-serial"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert told.strip() == f"serial={serial_of(signature_pair().der)}"


@pytest.mark.parametrize("der", [b"", b"\x30\x00", signature_pair().der[:500], bytes(20_000)])
def test_what_is_no_certificate_is_refused(der: bytes) -> None:
    for read in (identity_of, facts_of, serial_of):
        with pytest.raises(CardGarbled):
            read(der)


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@settings(max_examples=150, deadline=None)
@given(position=st.integers(0, 600), value=st.integers(0, 255))
def test_a_damaged_certificate_only_raises_our_errors(position: int, value: int) -> None:
    damaged = bytearray(signature_pair().der)
    damaged[position] = value
    try:
        assert identity_of(bytes(damaged)).national_id
        assert facts_of(bytes(damaged)).serial
    except CarddError:
        return
