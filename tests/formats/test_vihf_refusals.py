"""What no VIHF is made of: each bad input has its own error, and nothing is signed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from cardd import errors
from cardd.formats.prepared import Signer
from cardd.formats.saml.profiles import profile_named, varied
from cardd.formats.saml.request import Means, Mode, Patient, Speaker, VihfCall, means_of_psc
from cardd.model import Algorithm
from cardd.values import replace
from tests.formats.issuing import CARD, ORGANISATION, prepare
from tests.rig.saml import (
    NOW,
    PATIENT,
    REGISTRATION,
    StoppedClock,
    card_key,
    doctor,
    of_organisation,
    organisation_key,
    placed,
    told,
)

Refusal = type[errors.CarddError]


@pytest.mark.parametrize(
    ("speaker", "refusal"),
    [
        (told(doctor(), national_id=""), errors.AssertionNationalIdInvalid),
        (told(doctor(), national_id="899000000011"), errors.AssertionNationalIdInvalid),
        (told(doctor(), national_id="89900000001"), errors.AssertionNationalIdInvalid),
        (told(doctor(), national_id="899000000028"), errors.AssertionSignerOther),
        (told(doctor(), specialty=None), errors.AssertionExpertiseMissing),
        (told(doctor(), specialty="SM99"), errors.AssertionCodeUnknown),
        (told(doctor(), profession="21"), errors.AssertionSectionMissing),
        (told(doctor(), profession=None), errors.AssertionRoleMissing),
        (told(doctor(), profession="11"), errors.AssertionCodeUnknown),
        (told(doctor(), family_name="x" * 300), errors.AssertionValueInvalid),
        (told(doctor(), is_declared=True), errors.AssertionIdentityDeclared),
        (doctor(Means.MOBILE), errors.AssertionLoginUnfit),
        (placed(doctor(), structure=None), errors.AssertionStructureMissing),
        (placed(doctor(), structure="500000000000001"), errors.AssertionStructureMissing),
        (replace(doctor(), situation=None), errors.AssertionStructureMissing),
        (placed(doctor(), sector=None), errors.AssertionSectorMissing),
        (placed(doctor(), sector="07"), errors.AssertionSectorMissing),
    ],
)
def test_a_person_who_will_not_do_is_refused(speaker: Speaker, refusal: Refusal) -> None:
    with pytest.raises(refusal):
        prepare(speaker=speaker)


@pytest.mark.parametrize(
    ("call", "refusal"),
    [
        (VihfCall(Mode.DIRECT, Patient("185059999900182", PATIENT.oid)), errors.AssertionInsKey),
        (VihfCall(Mode.DIRECT, Patient("1850599999001", PATIENT.oid)), errors.AssertionInsFormat),
        (VihfCall(Mode.DIRECT, Patient(PATIENT.ins, "1.2.250.1.213.1.4.2")), errors.AssertionInsOid),
        (VihfCall(Mode.DIRECT, role="SECRETARIAT_MEDICAL"), errors.AssertionRoleUnknown),
        (VihfCall(Mode.DIRECT, is_secret=True), errors.AssertionRegistrationIncomplete),
    ],
)
def test_a_request_that_will_not_do_is_refused(call: VihfCall, refusal: Refusal) -> None:
    with pytest.raises(refusal):
        prepare(call)


@pytest.mark.parametrize("role", ["CHEF", "10", "G16_60", "G16_", "SM54"])
def test_a_role_of_no_such_table_is_refused(role: str) -> None:
    with pytest.raises((errors.AssertionRoleUnknown, errors.AssertionRoleMissing)):
        prepare(VihfCall(Mode.DIRECT, role=role), speaker=told(doctor(), profession=None))


@pytest.mark.parametrize("card_type", ["0", "2", "3", None])
def test_only_a_card_of_those_in_training_makes_one_of_them(card_type: str | None) -> None:
    employee = told(doctor(), profession=None, card_type=card_type)

    with pytest.raises(errors.AssertionRoleUnknown):
        prepare(VihfCall(Mode.DIRECT, role="G16_10"), speaker=employee)


def test_pro_sante_connect_tells_of_nobody_that_they_are_in_training() -> None:
    person = of_organisation(told(doctor(Means.MOBILE), profession=None))

    with pytest.raises(errors.AssertionRoleUnknown):
        prepare(VihfCall(Mode.AIR, role="G16_10"), speaker=person, signer=ORGANISATION.signer)


def test_a_section_may_not_differ_from_the_situations() -> None:
    pharmacist = placed(told(doctor(), profession="21"), section="A")

    with pytest.raises(errors.AssertionSectionMissing):
        prepare(VihfCall(Mode.DIRECT, section="D"), speaker=pharmacist)


@pytest.mark.parametrize(
    ("signer", "refusal"),
    [
        (lambda: card_key(non_repudiation=False).signer, errors.SigningCertificateUsage),
        (lambda: card_key(end=NOW - timedelta(seconds=1)).signer, errors.SigningCertificateExpired),
        (lambda: card_key(begin=NOW + timedelta(minutes=2)).signer, errors.SigningCertificateNotYetValid),
        (lambda: replace(CARD.signer, algorithm=Algorithm.PS256), errors.AlgorithmUnsupported),
        (lambda: replace(CARD.signer, certificate=b"\x30\x00"), errors.CardGarbled),
        (lambda: ORGANISATION.signer, errors.AssertionSignerOther),
    ],
)
def test_a_key_that_will_not_do_is_refused(signer: Callable[[], Signer], refusal: Refusal) -> None:
    with pytest.raises(refusal):
        prepare(signer=signer())


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"name": ""}, errors.AssertionRegistrationIncomplete),
        ({"homologation": ""}, errors.AssertionRegistrationIncomplete),
        ({"name": "Logi\x00"}, errors.AssertionValueInvalid),
        ({"version": "4.2\n"}, errors.AssertionValueInvalid),
        ({"installation": "x" * 257}, errors.AssertionValueInvalid),
    ],
)
def test_a_registration_that_will_not_do_is_refused(fields: dict[str, str], refusal: Refusal) -> None:
    with pytest.raises(refusal):
        prepare(registration=replace(REGISTRATION, **fields))  # by name


@pytest.mark.parametrize("mode", [Mode.INDIRECT, Mode.AIR])
def test_without_the_organisation_s_signature_certificate_there_is_no_indirect_vihf(mode: Mode) -> None:
    speaker, call = doctor(Means.MOBILE), VihfCall(mode, PATIENT)

    with pytest.raises(errors.AssertionOrganisationMissing):
        prepare(call, speaker=speaker, signer=ORGANISATION.signer)
    with pytest.raises(errors.AssertionSignerOther):
        prepare(call, speaker=of_organisation(speaker))
    with pytest.raises(errors.AssertionSignerOther):
        prepare(call, speaker=of_organisation(speaker, identifier="399999999900025"), signer=ORGANISATION.signer)
    with pytest.raises(errors.SigningCertificateUsage):
        prepare(call, speaker=of_organisation(speaker), signer=organisation_key(non_repudiation=False).signer)
    with pytest.raises(errors.AssertionStructureMissing):
        prepare(call, speaker=of_organisation(speaker, identifier="0002 999999999"), signer=ORGANISATION.signer)


def test_air_wants_a_person_whom_psc_proved() -> None:
    call = VihfCall(Mode.AIR, PATIENT)

    with pytest.raises(errors.AssertionIdentityDeclared):
        prepare(call, speaker=of_organisation(doctor(Means.MOBILE), declared=True), signer=ORGANISATION.signer)
    for means in (Means.PASSWORD, Means.TLS, Means.AUTOMATE):
        with pytest.raises(errors.AssertionLoginUnfit):
            prepare(call, speaker=of_organisation(doctor(means)), signer=ORGANISATION.signer)


def test_an_air_that_is_signed_after_its_thirty_seconds_is_thrown_away() -> None:
    clock = StoppedClock()
    call, speaker = VihfCall(Mode.AIR, PATIENT), of_organisation(doctor(Means.MOBILE))
    prepared = prepare(call, speaker=speaker, signer=ORGANISATION.signer, clock=clock)
    clock.time += timedelta(seconds=30)

    with pytest.raises(errors.AssertionLate) as refused:
        ORGANISATION.finish(prepared)
    assert refused.value.params == {"seconds": 30}


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(errors.AssertionProfileUnknown):
        profile_named("1999")


@pytest.mark.parametrize("point", [{"version": "5.0"}, {"colour": "red"}])
def test_a_point_that_no_source_has_is_refused(point: dict[str, str]) -> None:
    with pytest.raises(errors.AssertionPointInvalid):
        varied(profile_named("2024"), point)


@pytest.mark.parametrize("window", [-1, 3601])
def test_a_life_out_of_all_measure_is_refused(window: int) -> None:
    with pytest.raises(errors.AssertionPointInvalid):
        varied(profile_named("2024"), {}, window=window)


def test_psc_s_means_of_login_are_known_or_refused() -> None:
    assert [means_of_psc("CARD"), means_of_psc("MOBILE")] == [Means.CARD, Means.MOBILE]
    for told_mode in (None, "", "FAX"):
        with pytest.raises(errors.AssertionLoginUnfit):
            means_of_psc(told_mode)
