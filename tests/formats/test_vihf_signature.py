"""The two steps of an assertion's signature, and what becomes of it on the way to the server."""

from __future__ import annotations

import base64
import hashlib
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from lxml import etree

from cardd.errors import InternalError
from cardd.formats.saml.profiles import profile_named
from cardd.formats.saml.request import Mode, Speaker, VihfCall
from cardd.formats.saml.vihf import prepare_vihf
from cardd.identity.holders import identity_of
from cardd.model import Algorithm, Situation
from cardd.values import replace
from cardd_drivers.cps3.keys import Verifier
from cardd_simulators.assertions import wrong_in_vihf
from tests.formats.issuing import CARD, prepare, vihf
from tests.rig.assertion_judges import signed_anew, signed_by_xmlsec, xadesjs_says, xmlsec_accepts
from tests.rig.saml import NATIONAL_ID, NOW, PATIENT, REGISTRATION, Key, StoppedClock, doctor, in_other_orders
from tests.rig.simulator import issue
from tests.rig.xml_judges import text_at

RS256 = Algorithm.RS256
MESSAGE = (
    b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns="urn:simulation" xmlns:ds="urn:other">'
    b'<s:Header><w:Security xmlns:w="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd">'
    b"%s</w:Security></s:Header><s:Body/></s:Envelope>"
)


def test_the_key_signs_the_digest_of_what_it_is_shown() -> None:
    message = prepare().message

    assert message.content is not None
    assert message.digest == hashlib.sha256(message.content).digest()
    assert message.content.startswith(b'<SignedInfo xmlns="http://www.w3.org/2000/09/xmldsig#">')


def test_an_assertion_is_finished_once() -> None:
    prepared = prepare()
    CARD.finish(prepared)

    with pytest.raises(InternalError):
        CARD.finish(prepared)


def test_an_assertion_takes_no_timestamp() -> None:
    prepared = prepare()

    with pytest.raises(InternalError):
        prepared.finish(b"value", b"timestamp")


def test_an_assertion_is_ready_to_be_put_into_a_message() -> None:
    document = vihf()

    assert document.startswith(b"<Assertion ")
    assert document.endswith(b"</Assertion>")


def test_an_assertion_means_the_same_inside_a_message_whatever_that_declares(tmp_path: Path) -> None:
    message = MESSAGE % vihf()

    assert wrong_in_vihf(message, "direct", NOW) == []
    assert xmlsec_accepts(tmp_path, message, CARD)


@pytest.mark.parametrize(
    "tamper",
    [
        lambda document: document.replace(b'code="normal"', b'code="bris_de_glace"'),
        lambda document: document.replace(b"<NameID>899000000010", b"<NameID>899000000028"),
        lambda document: document.replace(b">LogiSimulation<", b"> LogiSimulation<"),
        lambda document: document.replace(b"</Subject>", b"</Subject> "),
        lambda document: document.replace(b"<DigestValue>", b"<DigestValue>AAAA"),
        lambda document: document.replace(b"rsa-sha256", b"rsa-sha512"),
    ],
)
def test_a_tampered_one_is_refused_by_every_judge(tmp_path: Path, tamper: Callable[[bytes], bytes]) -> None:
    good = vihf()
    bad = tamper(good)

    assert bad != good
    assert not xmlsec_accepts(tmp_path, bad, CARD)
    assert any(word.startswith("signature.") for word in wrong_in_vihf(bad, "direct", NOW))


def test_xadesjs_takes_a_good_one_and_refuses_a_tampered_one() -> None:
    document = vihf()

    assert xadesjs_says(document) == "good"
    assert "Invalid digest" in xadesjs_says(document.replace(b'code="normal"', b'code="bris_de_glace"'))
    assert xadesjs_says(document.replace(b"<SignatureValue>", b"<SignatureValue>AAAA")).startswith("refused")


def test_signxml_makes_one_that_our_checker_takes(tmp_path: Path) -> None:
    document = signed_anew(vihf(), CARD)

    assert xmlsec_accepts(tmp_path, document, CARD)
    assert wrong_in_vihf(document, "direct", NOW) == []


def test_our_checker_reads_the_sha_1_of_older_senders(tmp_path: Path) -> None:
    older = (
        vihf()
        .replace(b"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", b"http://www.w3.org/2000/09/xmldsig#rsa-sha1")
        .replace(b"http://www.w3.org/2001/04/xmlenc#sha256", b"http://www.w3.org/2000/09/xmldsig#sha1")
    )
    document = signed_by_xmlsec(tmp_path, older, CARD)

    assert wrong_in_vihf(document, "direct", NOW) == []
    assert "signature.digest" in wrong_in_vihf(document.replace(b"SA07^", b"SA05^"), "direct", NOW)


def test_our_checker_reads_a_prefix_list_which_ties_a_signature_to_its_message(tmp_path: Path) -> None:
    document = signed_anew(vihf(), CARD, ("s", "xsi"))

    assert b'PrefixList="s xsi"' in document
    assert xmlsec_accepts(tmp_path, document, CARD)
    assert wrong_in_vihf(document, "direct", NOW) == []
    assert not xmlsec_accepts(tmp_path, MESSAGE % document, CARD)
    assert wrong_in_vihf(MESSAGE % document, "direct", NOW) == ["signature.value"]


@pytest.mark.parametrize("certificate", in_other_orders(CARD))
def test_an_older_card_whose_name_is_in_another_order_is_read_and_signs(tmp_path: Path, certificate: bytes) -> None:
    document = CARD.finish(prepare(signer=replace(CARD.signer, certificate=certificate)))

    issuer = text_at(etree.fromstring(document), "{*}Issuer").partition(",")[0]
    assert set(issuer.split("+")) == {"GN=CAMILLE", f"CN={NATIONAL_ID}", "SN=SIMULATION-MÉDECIN"}
    assert base64.b64encode(certificate) in document
    assert xmlsec_accepts(tmp_path, document, CARD, ssl.DER_cert_to_PEM_cert(certificate).encode())
    assert identity_of(certificate) == identity_of(CARD.signer.certificate)
    assert Verifier(certificate).accepts(CARD.sign(b"SIMULATION"), hashlib.sha256(b"SIMULATION").digest(), RS256)


@pytest.mark.parametrize(
    ("name", "call", "roles"),
    [
        ("medecin", VihfCall(Mode.DIRECT, PATIENT), ["10", "SM36"]),
        ("pharmacien", VihfCall(Mode.DIRECT, PATIENT, section="A"), ["21", "A"]),
        ("infirmier", VihfCall(Mode.DIRECT, PATIENT), ["60"]),
        ("interne", VihfCall(Mode.DIRECT, PATIENT, role="G16_10"), ["10"]),
        ("secretaire", VihfCall(Mode.DIRECT, PATIENT, role="SECRETARIAT_MEDICAL"), ["SECRETARIAT_MEDICAL"]),
    ],
)
def test_each_simulated_card_s_certificate_tells_all_that_a_card_tells(
    name: str, call: VihfCall, roles: list[str]
) -> None:
    issued = issue(name)
    key = Key(issued.signature.key, issued.signature.certificate)
    signer, activity = key.signer, issued.profile.activities[0]
    situation = Situation("1", sector=activity.sector, structure=activity.structure)
    speaker = Speaker(identity_of(signer.certificate), doctor().login, situation)
    prepared = prepare_vihf(
        speaker,
        signer,
        REGISTRATION,
        call,
        profile=profile_named("2024"),
        clock=StoppedClock(),
    )

    assert signer.algorithm is Algorithm.RS256
    document = key.finish(prepared)
    assert wrong_in_vihf(document, "direct", NOW) == []
    assert [role.get("code") for role in etree.fromstring(document).iter("{urn:hl7-org:v3}Role")] == roles
