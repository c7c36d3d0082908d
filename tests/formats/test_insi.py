"""INSi assertions: signed by the card, unsigned for PSC, none for an organisation."""

from __future__ import annotations

from pathlib import Path

import pytest

from cardd import errors
from cardd.formats.saml.insi import prepare_insi, unsigned_insi
from cardd.formats.saml.profiles import DmpProfile, profile_named, varied
from cardd.formats.saml.request import InsiCall, Means, Speaker
from cardd.values import replace
from cardd_simulators.assertions import wrong_in_insi
from tests.formats.issuing import BILLING, CARD
from tests.rig.assertion_judges import schema_faults, xmlsec_accepts
from tests.rig.saml import NOW, REGISTRATION, StoppedClock, card_key, doctor, of_organisation, placed, told

ISSUER = replace(REGISTRATION, insi_issuer="CN=SIMULATION")


def insi(speaker: Speaker | None = None, call: InsiCall = BILLING, profile: DmpProfile | None = None) -> bytes:
    """The doctor's, signed by the card."""
    prepared = prepare_insi(
        speaker or doctor(), CARD.signer, call, profile=profile or profile_named("2024"), clock=StoppedClock()
    )
    return CARD.finish(prepared)


def test_the_card_signs_an_insi_assertion(tmp_path: Path) -> None:
    document = insi()

    assert wrong_in_insi(document, signed=True, doctor=True, now=NOW) == []
    assert schema_faults(document) == []
    assert xmlsec_accepts(tmp_path, document, CARD)
    assert b">SA07</AttributeValue>" in document


@pytest.mark.parametrize(("card_type", "word"), [("0", "CPS"), ("1", "CPF"), ("2", "CDE-CPE"), ("3", "CPA")])
def test_the_card_s_type_qualifies_the_name(card_type: str, word: str) -> None:
    assert f'<NameID NameQualifier="{word}">'.encode() in insi(told(doctor(), card_type=card_type))


def test_psc_s_assertion_is_not_signed() -> None:
    with unsigned_insi(doctor(Means.MOBILE), ISSUER, BILLING, StoppedClock()) as made:
        document = made.read()

    assert wrong_in_insi(document, signed=False, doctor=True, now=NOW) == []
    assert schema_faults(document) == []


@pytest.mark.parametrize("name", ["codeSpecialite", "codeSpecialiteAMO", "CodeSpecialite"])
def test_the_speciality_s_name_is_the_profile_s(name: str) -> None:
    profile = varied(profile_named("2024"), {"insi_specialty": name})

    assert f'<Attribute Name="{name}">'.encode() in insi(profile=profile)


def test_only_a_doctor_needs_a_speciality() -> None:
    nurse = told(doctor(), profession="60", specialty=None)

    assert wrong_in_insi(insi(nurse, InsiCall("991234567")), signed=True, doctor=False, now=NOW) == []


def test_a_doctor_without_a_speciality_reads_that_doctors_must_give_it() -> None:
    with pytest.raises(errors.AssertionValueInvalid) as refused:
        insi(doctor(), InsiCall("991234567"))
    assert "qu'un médecin doit indiquer" in refused.value.told("fr").detail


@pytest.mark.parametrize(
    ("speaker", "call", "refusal"),
    [
        (doctor(), InsiCall("991234567"), errors.AssertionValueInvalid),
        (doctor(), InsiCall("", "01"), errors.AssertionValueInvalid),
        (doctor(), InsiCall("99 1234567", "01"), errors.AssertionValueInvalid),
        (doctor(), InsiCall("991234567", "<01>"), errors.AssertionValueInvalid),
        (told(doctor(), card_type=None), BILLING, errors.AssertionCardType),
        (told(doctor(), card_type="9"), BILLING, errors.AssertionCardType),
        (told(doctor(), national_id=""), BILLING, errors.AssertionNationalIdInvalid),
        (told(doctor(), national_id="899000000028"), BILLING, errors.AssertionSignerOther),
        (placed(doctor(), sector=None), BILLING, errors.AssertionSectorMissing),
        (of_organisation(doctor(), declared=True), BILLING, errors.AssertionNoneNeeded),
        (doctor(Means.TLS), BILLING, errors.AssertionNoneNeeded),
    ],
)
def test_what_will_not_do_is_refused(speaker: Speaker, call: InsiCall, refusal: type[errors.CarddError]) -> None:
    with pytest.raises(refusal):
        insi(speaker, call)


def test_the_authentication_key_signs_no_assertion() -> None:
    with pytest.raises(errors.SigningCertificateUsage):
        prepare_insi(
            doctor(),
            card_key(non_repudiation=False).signer,
            BILLING,
            profile=profile_named("2024"),
            clock=StoppedClock(),
        )


def test_an_unsigned_assertion_needs_an_issuer_that_no_source_tells() -> None:
    with pytest.raises(errors.AssertionRegistrationIncomplete):
        unsigned_insi(doctor(Means.MOBILE), REGISTRATION, BILLING, StoppedClock())
