"""The points on which sources differ: each has a name, and both of its values pass the checker."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cardd.config.services import DMP_POINTS
from cardd.formats.saml.profiles import PROFILES, profile_named, varied
from cardd.formats.saml.request import Means, Mode, VihfCall
from cardd_simulators.assertions import wrong_in_vihf
from tests.formats.issuing import ORGANISATION, organisation_vihf, prepare, vihf
from tests.rig.assertion_judges import schema_faults
from tests.rig.saml import NOW, PATIENT, StoppedClock, doctor, of_organisation

POINTS = [(point, value) for point, values in DMP_POINTS.items() for value in values]


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_makes_a_good_vihf(name: str) -> None:
    assert wrong_in_vihf(vihf(profile=profile_named(name)), "direct", NOW) == []


@pytest.mark.parametrize(("point", "value"), POINTS)
def test_every_variant_makes_a_good_vihf(point: str, value: str) -> None:
    profile = varied(profile_named("2024"), {point: value})
    document = organisation_vihf(Mode.AIR, doctor(Means.MOBILE), profile)

    assert wrong_in_vihf(document, "air", NOW) == []
    assert schema_faults(document) == []


def test_the_profiles_tell_the_version() -> None:
    assert b"<AttributeValue>3.0<" in vihf(profile=profile_named("2024"))
    assert b"<AttributeValue>4.0<" in vihf(profile=profile_named("4.0"))


@pytest.mark.parametrize(
    ("point", "value", "shown"),
    [
        ("mode_attribute", "Authentification_Mode", 'Name="Authentification_Mode"'),
        ("access_table", "mode acces VIHF 1.0", 'codeSystemName="mode acces VIHF 1.0"'),
        ("role_tables", "words", 'codeSystemName="specialites RPPS"'),
        ("role_tables", "tables", 'codeSystemName="R01"'),
        ("air_declaration", "APP_BROWSER_AUTH", "<AuthnContextDecl>APP_BROWSER_AUTH<"),
        ("air_declaration", "class", "<AuthnContextDecl>urn:oasis:names:tc:SAML:2.0:ac:classes:Mobile"),
        ("mobile_class", "unspecified", "ac:classes:unspecified<"),
    ],
)
def test_a_changed_point_is_seen_and_nothing_else_has_it(point: str, value: str, shown: str) -> None:
    default, changed = profile_named("2024"), varied(profile_named("2024"), {point: value})
    speaker = doctor(Means.MOBILE)

    assert shown.encode() in organisation_vihf(Mode.AIR, speaker, changed)
    assert (shown.encode() in organisation_vihf(Mode.AIR, speaker, default)) == (default == changed)


def test_roles_may_leave_their_table_unnamed() -> None:
    document = vihf(profile=varied(profile_named("2024"), {"role_tables": "none"}))

    assert b'codeSystem="1.2.250.1.71.1.2.7" displayName=' in document


def test_air_s_thirty_seconds_may_stay_unwritten() -> None:
    profile = varied(profile_named("2024"), {"air_window": "unwritten"})
    document = organisation_vihf(Mode.AIR, doctor(Means.MOBILE), profile)

    assert b"<Conditions" not in document
    assert wrong_in_vihf(document, "air", NOW + timedelta(seconds=30)) == ["air.old"]


def test_a_life_may_be_given_to_every_vihf() -> None:
    document = vihf(profile=varied(profile_named("2024"), {}, window=300))

    assert schema_faults(document) == []
    assert wrong_in_vihf(document, "direct", NOW + timedelta(seconds=299)) == []
    assert wrong_in_vihf(document, "direct", NOW + timedelta(seconds=300)) == ["life"]
    assert b"OneTimeUse" not in document


def test_the_life_begins_when_the_assertion_is_prepared() -> None:
    clock = StoppedClock()
    speaker = of_organisation(doctor(Means.MOBILE))
    prepared = prepare(VihfCall(Mode.AIR, PATIENT), speaker=speaker, signer=ORGANISATION.signer, clock=clock)
    clock.time += timedelta(seconds=29)

    document = ORGANISATION.finish(prepared)

    begin = (NOW).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert f'NotBefore="{begin}"'.encode() in document
