"""The checker finds what is wrong: the errors met in the field, and those that nobody may send."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from cardd.formats.saml.request import Means, Mode
from cardd_simulators.assertions import wrong_in_insi, wrong_in_vihf
from tests.formats.issuing import CARD, ORGANISATION, organisation_vihf, vihf
from tests.rig.assertion_judges import SIGNATURE, signed_anew
from tests.rig.saml import NOW, card_key, doctor

HL7_ROLE = rb"<AttributeValue><Role [^>]*></Role></AttributeValue>"


def judged(pattern: bytes, replacement: bytes) -> list[str]:
    """What is wrong with a good VIHF in which this was changed before a key signed it."""
    good = vihf()
    bad = re.sub(pattern, replacement, good, count=1)
    assert bad != good
    return wrong_in_vihf(signed_anew(bad, CARD), "direct", NOW)


@pytest.mark.parametrize(
    ("pattern", "replacement", "wrong"),
    [
        (rb'"10" codeSystem="1.2.250.1.71.1.2.7"', b'"10" codeSystem="1.2.250.1.71.1.2.8"', "role.certificate"),
        (rb"CAMILLE SIMULATION-", b"PATIENTE SIMULATION-", "subject_id"),
        (HL7_ROLE + rb"</Attribute>", b"</Attribute>", "role.second"),
        (rb"(" + HL7_ROLE + rb")(" + HL7_ROLE + rb")", rb"\2\1", "role.table"),
        (rb"85059999900181", b"85059999900182", "patient.key"),
        (rb"213\.1\.4\.10&", b"213.1.4.2&", "patient"),
        (rb"DIRECTE", b"INDIRECTE", "mode"),
        (rb"Authentification_mode", b"Mode", "Authentification_Mode.count"),
        (rb'code="normal"', b'code="urgence"', "purpose"),
        (rb"<AttributeValue>3.0<", b"<AttributeValue>2.0<", "VIHF_Version.value"),
        (rb"SA07\^1.2.250.1.71.4.2.4", b"SA07", "Secteur_Activite.value"),
        (rb"urn:dmp<", b"urn:autre<", "Ressource_URN.value"),
        (rb'<Attribute Name="LPS_ID_HOMOLOGATION_DMP">.*?</Attribute>', b"", "LPS_ID_HOMOLOGATION_DMP.count"),
        (rb"<AttributeValue>LogiSimulation</AttributeValue>", b"<AttributeValue/>", "LPS_Nom.count"),
        (rb"SmartcardPKI", b"Kerberos", "login.class"),
        (rb"</AuthnContext>", b"<AuthnContextDecl>X</AuthnContextDecl></AuthnContext>", "login.declaration"),
        (rb"<NameID>899000000010", b"<NameID>899000000028", "name_id.certificate"),
        (rb"<NameID>", b'<NameID Format="urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified">', "name_id"),
        (rb"GN=CAMILLE", b"GN=AUTRE", "issuer.subject"),
        (rb'Version="2.0"', b'Version="1.1"', "version"),
        (rb"http://www.w3.org/2001/XMLSchema-instance", b"http://wwww.w3.org/2001/XMLSchema-instance", "role.count"),
    ],
)  # fmt: skip
def test_the_judge_of_vihf_finds_what_may_not_stand_there(pattern: bytes, replacement: bytes, wrong: str) -> None:
    assert wrong in judged(pattern, replacement)


def test_the_judge_of_vihf_finds_a_signature_at_the_end() -> None:
    good = vihf()
    found = SIGNATURE.search(good)
    assert found is not None
    moved = good.replace(found[0], b"").replace(b"</Assertion>", found[0] + b"</Assertion>")

    assert wrong_in_vihf(moved, "direct", NOW) == ["signature.place"]


def test_the_judge_of_vihf_finds_the_namespace_of_signatures_misspelt() -> None:
    misspelt = vihf().replace(b'xmlns="http://www.w3.org/2000/09', b'xmlns="http://wwww.w3.org/2000/09')

    assert {"signature.count", "certificate"} <= set(wrong_in_vihf(misspelt, "direct", NOW))


def test_the_judge_of_vihf_finds_a_reference_to_the_whole_document() -> None:
    assert "signature.reference" in wrong_in_vihf(re.sub(rb'URI="#[^"]*"', b'URI=""', vihf()), "direct", NOW)


def test_the_judge_of_vihf_finds_a_key_value() -> None:
    bad = vihf().replace(b"</KeyInfo>", b"<KeyValue/></KeyInfo>")

    assert wrong_in_vihf(bad, "direct", NOW) == ["signature.key_value"]


def test_the_judge_of_vihf_finds_no_signature_and_no_assertion() -> None:
    assert "signature.count" in wrong_in_vihf(SIGNATURE.sub(b"", vihf()), "direct", NOW)
    assert wrong_in_vihf(b"<Envelope/>", "direct", NOW) == ["assertion.count"]


def test_the_judge_of_vihf_finds_a_certificate_that_may_not_sign() -> None:
    for key, wrong in (
        (card_key(non_repudiation=False), "certificate.key_usage"),
        (card_key(end=NOW - timedelta(seconds=1)), "certificate.dates"),
    ):
        assert wrong in wrong_in_vihf(signed_anew(vihf(), key), "direct", NOW)


def test_the_judge_of_vihf_finds_another_mode_s_assertion() -> None:
    air = organisation_vihf(Mode.AIR, doctor(Means.MOBILE))

    assert "mode" in wrong_in_vihf(air, "indirect", NOW)
    assert "name_id.certificate" in wrong_in_vihf(air, "direct", NOW)
    assert "structure.certificate" in wrong_in_vihf(vihf(), "indirect", NOW)


def test_the_judge_of_vihf_finds_an_assertion_from_the_future() -> None:
    assert "issue_instant.future" in wrong_in_vihf(vihf(), "direct", NOW - timedelta(minutes=2))


def test_the_judge_of_vihf_finds_an_air_that_claims_to_live_longer() -> None:
    air = organisation_vihf(Mode.AIR, doctor(Means.MOBILE))
    end = (NOW + timedelta(seconds=31)).isoformat(timespec="milliseconds").replace("+00:00", "Z").encode()
    longer = re.sub(rb'NotOnOrAfter="[^"]*"', b'NotOnOrAfter="' + end + b'"', air)

    assert "life.long" in wrong_in_vihf(signed_anew(longer, ORGANISATION), "air", NOW)


def test_the_judge_of_vihf_does_not_take_a_vihf_for_an_insi_assertion() -> None:
    assert {"AuthnStatement.present", "qualifier", "identifiantFacturation"} <= set(
        wrong_in_insi(vihf(), signed=True, doctor=True, now=NOW)
    )
