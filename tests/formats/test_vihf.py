"""VIHF assertions in the three modes, before our own checker and outside judges."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from cardd.config import Dmp
from cardd.errors import AssertionRefused
from cardd.formats.saml.profiles import profile_named
from cardd.formats.saml.request import Access, Means, Mode, VihfCall
from cardd.values import replace
from cardd_simulators.assertions import wrong_in_vihf
from tests.formats.issuing import CARD, ORGANISATION, organisation_vihf, prepare, vihf
from tests.rig.assertion_judges import schema_faults, xmlsec_accepts
from tests.rig.saml import (
    NATIONAL_ID,
    NOW,
    PATIENT,
    REGISTRATION,
    SIRET,
    card_key,
    doctor,
    placed,
    told,
)

SAML = "{urn:oasis:names:tc:SAML:2.0:assertion}"
ROLE = "urn:oasis:names:tc:xacml:2.0:subject:role"
Coded = dict[str, str]


def values(document: bytes, name: str) -> list[str]:
    """The texts of an attribute's values."""
    return [str(value.text) for value in _values(document, name)]


def coded(document: bytes, name: str) -> list[Coded]:
    """The HL7 codes of an attribute."""
    return [dict(value[0].attrib) for value in _values(document, name)]


def _values(document: bytes, name: str) -> list[etree._Element]:
    path = f".//{SAML}Attribute[@Name='{name}']/{SAML}AttributeValue"
    return etree.fromstring(document).findall(path)


def parts_of(name: str) -> set[frozenset[tuple[str, str]]]:
    """The parts of a name in the form of RFC 2253, in whatever order they are."""
    types = {"GN": NameOID.GIVEN_NAME, "SN": NameOID.SURNAME, "T": NameOID.TITLE, "title": NameOID.TITLE}
    parsed = x509.Name.from_rfc4514_string(name, types)
    return {frozenset((each.oid.dotted_string, str(each.value)) for each in rdn) for rdn in parsed.rdns}


def subject_by_openssl(pem: bytes) -> str:
    command = ["openssl", "x509", "-noout", "-subject", "-nameopt", "RFC2253,-esc_msb,utf8"]
    told = subprocess.run(command, input=pem, check=True, capture_output=True).stdout.decode()
    return told.strip().removeprefix("subject=")


def test_a_doctor_opens_the_dmp_with_the_card(tmp_path: Path) -> None:
    document = vihf()

    assert wrong_in_vihf(document, "direct", NOW) == []
    assert schema_faults(document) == []
    assert xmlsec_accepts(tmp_path, document, CARD)


def test_an_organisation_names_the_professional(tmp_path: Path) -> None:
    document = organisation_vihf(Mode.INDIRECT, doctor(Means.PASSWORD))

    assert wrong_in_vihf(document, "indirect", NOW) == []
    assert schema_faults(document) == []
    assert xmlsec_accepts(tmp_path, document, ORGANISATION)
    assert values(document, "Identifiant_Structure") == [SIRET]
    assert f">{NATIONAL_ID}</NameID>".encode() in document


@pytest.mark.parametrize("means", [Means.MOBILE, Means.CARD])
def test_air_joins_a_psc_login_with_the_organisations_signature(tmp_path: Path, means: Means) -> None:
    document = organisation_vihf(Mode.AIR, doctor(means))

    assert wrong_in_vihf(document, "air", NOW) == []
    assert schema_faults(document) == []
    assert xmlsec_accepts(tmp_path, document, ORGANISATION)
    assert [role["code"] for role in coded(document, ROLE)] == ["10", "SM54"]


def test_air_lives_thirty_seconds_and_serves_once() -> None:
    document, seen = organisation_vihf(Mode.AIR, doctor(Means.MOBILE)), set[str]()

    assert b"<OneTimeUse>" in document
    assert wrong_in_vihf(document, "air", NOW + timedelta(seconds=29), seen) == []
    assert wrong_in_vihf(document, "air", NOW + timedelta(seconds=29), seen) == ["air.used"]
    assert wrong_in_vihf(document, "air", NOW + timedelta(seconds=30)) == ["life", "air.old"]


def test_a_vihf_by_the_card_says_no_time_because_no_source_does() -> None:
    assert b"<Conditions" not in vihf()


def test_no_two_assertions_share_an_identifier() -> None:
    assert len({prepare().identifier for _ in range(50)}) == 50


def test_a_doctor_has_profession_and_savoir_faire() -> None:
    roles = coded(vihf(), ROLE)

    assert [(role["code"], role["codeSystem"]) for role in roles] == [
        ("10", "1.2.250.1.71.1.2.7"),
        ("SM54", "1.2.250.1.71.4.2.5"),
    ]
    assert [role["displayName"] for role in roles] == ["Médecin", "Médecine Générale (SM)"]


def test_a_pharmacist_has_profession_and_section() -> None:
    pharmacist = placed(told(doctor(), profession="21", specialty=None), section="A")
    signed = card_key(profession=21)
    document = signed.finish(prepare(speaker=pharmacist, signer=signed.signer))

    assert wrong_in_vihf(document, "direct", NOW) == []
    assert [(role["code"], role["codeSystem"]) for role in coded(document, ROLE)] == [
        ("21", "1.2.250.1.71.1.2.7"),
        ("A", "1.2.250.1.71.4.2.6"),
    ]


def test_the_request_tells_a_section_that_the_card_does_not() -> None:
    pharmacist = told(doctor(), profession="21", specialty=None)

    document = vihf(VihfCall(Mode.DIRECT, PATIENT, section="H"), speaker=pharmacist)

    assert [role["displayName"] for role in coded(document, ROLE)] == [
        "Pharmacien",
        "Pharmacien d'établissement de santé",
    ]


def test_a_nurse_has_one_role() -> None:
    nurse = told(doctor(), profession="60", specialty=None)
    signed = card_key(profession=60)
    document = signed.finish(prepare(speaker=nurse, signer=signed.signer))

    assert wrong_in_vihf(document, "direct", NOW) == []
    assert [role["displayName"] for role in coded(document, ROLE)] == ["Infirmier"]


@pytest.mark.parametrize(
    ("role", "code", "table"),
    [
        ("SECRETARIAT_MEDICAL", "SECRETARIAT_MEDICAL", "1.2.250.1.213.1.1.4.6"),
        ("331", "331", "1.2.250.1.213.1.6.1.107"),
        ("73", "73", "1.2.250.1.213.1.6.1.109"),
        ("G16_10", "10", "1.2.250.1.71.1.2.8"),
    ],
)
def test_who_has_no_profession_takes_the_role_of_the_request(role: str, code: str, table: str) -> None:
    person, signed = told(doctor(), profession=None, specialty=None, card_type="1"), card_key(profession=None)
    document = signed.finish(prepare(VihfCall(Mode.DIRECT, PATIENT, role=role), speaker=person, signer=signed.signer))

    assert wrong_in_vihf(document, "direct", NOW) == []
    assert [(each["code"], each["codeSystem"]) for each in coded(document, ROLE)] == [(code, table)]


def test_the_situation_goes_before_the_identity() -> None:
    surgeon = placed(doctor(), specialty="SM05")

    assert [role["code"] for role in coded(vihf(speaker=surgeon), ROLE)] == ["10", "SM05"]


def test_words_for_a_new_code_come_from_the_registration() -> None:
    registration = replace(REGISTRATION, labels={"SM99": "Savoir-faire SIMULATION"})

    roles = coded(vihf(speaker=told(doctor(), specialty="SM99"), registration=registration), ROLE)

    assert roles[1]["displayName"] == "Savoir-faire SIMULATION"


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"structure": "1990000002"}, "1990000002"),
        ({"structure": None, "finess": "990000002"}, "1990000002"),
        ({"structure": None, "siret": "99999999900017"}, SIRET),
    ],
)
def test_the_structure_is_the_situations(fields: dict[str, str | None], place: str) -> None:
    assert values(vihf(speaker=placed(doctor(), **fields)), "Identifiant_Structure") == [place]


def test_the_sector_may_come_with_or_without_its_table() -> None:
    for sector in ("SA07", "SA07^1.2.250.1.71.4.2.4"):
        assert values(vihf(speaker=placed(doctor(), sector=sector)), "Secteur_Activite") == ["SA07^1.2.250.1.71.4.2.4"]


@pytest.mark.parametrize("access", list(Access))
def test_the_access_is_the_one_that_the_user_chose(access: Access) -> None:
    document = vihf(VihfCall(Mode.DIRECT, PATIENT, access))

    purposes = coded(document, "urn:oasis:names:tc:xspa:1.0:subject:purposeofuse")
    assert [purpose["code"] for purpose in purposes] == [access.value]
    assert wrong_in_vihf(document, "direct", NOW) == []


def test_a_vihf_may_be_about_no_patient_yet() -> None:
    document = vihf(VihfCall(Mode.DIRECT))

    assert wrong_in_vihf(document, "direct", NOW) == []
    assert b"resource-id" not in document


def test_a_secret_connection_carries_the_code_that_makers_know() -> None:
    registration = replace(REGISTRATION, secret_code=Dmp().secret_code)
    name = "urn:oasis:names:tc:xspa:1.0:resource:patient:hl7:confidentiality-code"
    document = vihf(VihfCall(Mode.DIRECT, PATIENT, is_secret=True), registration=registration)

    assert values(document, name) == ["INVISIBLE_REPRESENTANTS_LEGAUX"]
    assert values(vihf(registration=registration), name) == []
    assert wrong_in_vihf(document, "direct", NOW) == []
    assert wrong_in_vihf(document, "direct", NOW, secret="AUTRE") == ["secret"]


def test_what_the_registration_leaves_out_is_left_out() -> None:
    document = vihf(registration=replace(REGISTRATION, version=None, installation=None))

    assert wrong_in_vihf(document, "direct", NOW) == []
    assert values(document, "LPS_Version") + values(document, "LPS_ID") == []
    assert values(document, "LPS_Nom") == ["LogiSimulation"]


def test_text_with_markup_stays_text() -> None:
    registration = replace(REGISTRATION, name='Logi<b> & "Cie"')

    document = vihf(registration=registration)

    assert values(document, "LPS_Nom") == ['Logi<b> & "Cie"']
    assert wrong_in_vihf(document, "direct", NOW) == []


@pytest.mark.parametrize(
    "name", ["SIMULATION D'Œ", "SIM,A", "SIM+B", "#SIM", "SIM\\", "\\,SIM", 'S"I"M', "S=I;M", "<SIM>&amp;]]>"]
)
def test_a_holder_s_name_of_any_characters_stands_there_as_in_the_certificate(tmp_path: Path, name: str) -> None:
    signed = card_key(family_name=name)
    document = signed.finish(prepare(speaker=told(doctor(), family_name=name), signer=signed.signer))

    assert wrong_in_vihf(document, "direct", NOW) == []
    assert xmlsec_accepts(tmp_path, document, signed)
    assert schema_faults(document) == []
    issuer = etree.fromstring(document).findtext(f"{SAML}Issuer")
    assert parts_of(str(issuer)) == parts_of(subject_by_openssl(signed.pem))


@settings(deadline=None)
@given(name=st.text(max_size=300))
def test_any_name_of_a_software_stands_there_to_the_letter_or_is_refused(name: str) -> None:
    try:
        document = vihf(registration=replace(REGISTRATION, name=name))
    except AssertionRefused:
        assert not name.strip() or len(name) > 256 or not name.isprintable()
    else:
        assert values(document, "LPS_Nom") == [name]


def test_an_extension_that_nobody_can_read_makes_no_card_useless() -> None:
    key = card_key(odd=True)

    assert b"<SignatureValue>" in key.finish(prepare(signer=key.signer))


def test_the_class_tells_the_real_login() -> None:
    air = organisation_vihf(Mode.AIR, doctor(Means.MOBILE), profile_named("2024"))

    assert b":SmartcardPKI<" in vihf()
    assert b":MobileTwoFactorUnregistered<" in air
    assert b":Password<" in organisation_vihf(Mode.INDIRECT, doctor(Means.PASSWORD))
    assert b":unspecified<" in organisation_vihf(Mode.INDIRECT, doctor(Means.AUTOMATE))
