"""The simulated INSi: whom it answers, what it finds, and what it refuses, over real TLS with assertions of cardd."""

from __future__ import annotations

import re
from pathlib import Path

import aiohttp
import pytest

from cardd.errors import AddressInUse, InvalidRequest
from cardd.formats.saml.request import InsiCall
from cardd.simulator import ServerOptions
from cardd_simulators.insi.simulator import InsiSimulator
from tests.rig.assertion_judges import signed_anew
from tests.rig.dmp import Lps, card, event
from tests.rig.insi import (
    PATIENT,
    assertion,
    assertion_of_psc,
    request,
    running_insi,
    software,
)
from tests.rig.saml import Key, card_key
from tests.rig.simulator import STATE, store

FOUND = "00 1850599999001 81"

# what is changed in a good message, and all that is found
FAULTS = [
    (r"uuid:6a1d0c52", "id:6a1d0c52", "wsa:InvalidAddressingHeader sim:soap.message_id"),
    ("<a:MessageID>.*?</a:MessageID>", "", "wsa:MessageAddressingHeaderRequired sim:soap.message_id"),
    ("<a:Action>.*?</a:Action>", "", "wsa:MessageAddressingHeaderRequired sim:soap.action"),
    ("rechercherInsAvecTraitsIdentite", "rechercher", "wsa:ActionNotSupported sim:soap.action"),
    ("rechercherInsAvecTraitsIdentite", "rechercherInsAvecCarteVitale", "sim:insi.vitale"),
    ("INSiRecSans", "INSiRecAvec", "wsa:ActionNotSupported sim:soap.action"),
    ("<b:ContexteBAM.*?</b:ContexteBAM>", "", "sim:insi.ContexteBAM sim:insi.ContexteBAM.COUVERTURE"),
    ('Version="01_02"', 'Version="01_01"', "sim:insi.ContexteBAM.version"),
    ('Nature="CTXBAM"', 'Nature="CTXLPS"', "sim:insi.ContexteBAM.nature"),
    ("<b:Id>.*?</b:Id>", "<b:Id>1</b:Id>", "sim:insi.ContexteBAM.Id"),
    ("<b:Temps>.*?</b:Temps>", "<b:Temps>30/11/2026</b:Temps>", "sim:insi.ContexteBAM.Temps"),
    ("<b:Emetteur>.*?</b:Emetteur>", "", "sim:insi.ContexteBAM.Emetteur"),
    ("<b:COUVERTURE/>", "<b:COUVERTURE>1</b:COUVERTURE>", "sim:insi.ContexteBAM.COUVERTURE"),
    ('Version="01_00"', 'Version="01_02"', "sim:insi.ContexteLPS.version"),
    ('IDAM R="4"', 'IDAM R="3"', "sim:insi.ContexteLPS.IDAM"),
    ("<l:Instance>.*?</l:Instance>", "", "sim:insi.ContexteLPS.Instance"),
    ("<l:Nom>.*?</l:Nom>", "<l:Nom/>", "sim:insi.ContexteLPS.Nom"),
    ("<r:NomNaissance>.*?</r:NomNaissance>", "", "sim:insi.traits.NomNaissance"),
    (">M<", ">H<", "sim:insi.traits.Sexe"),
    (">1985-05-09<", ">09/05/1985<", "sim:insi.traits.DateNaissance"),
    ("</r:DateNaissance>", "</r:DateNaissance><r:Adresse>X</r:Adresse>", "sim:insi.traits.unexpected"),
]


async def test_a_message_against_the_facts_is_refused_with_what_is_wrong() -> None:
    lps, found = card(), []
    good = request(assertion(lps))
    async with running_insi() as insi:
        for pattern, replacement, _ in FAULTS:
            bad = re.sub(pattern, replacement, good, count=1, flags=re.DOTALL)
            assert bad != good, pattern
            told = await insi.ask(lps.tls, bad)
            assert told.status == 500
            found.append((pattern, replacement, " ".join(told.codes)))
        right = await insi.ask(lps.tls, good)

    assert found == FAULTS
    assert (right.status, right.result) == (200, FOUND)


def changed(lps: Lps, pattern: str, replacement: str) -> str:
    """An assertion in which this was changed before the same key signed it."""
    good = assertion(lps)
    bad = re.sub(pattern, replacement, good, count=1)
    assert bad != good
    return signed_anew(bad.encode(), lps.pen).decode()


ASSERTION_FAULTS = [
    ('NameQualifier="CPS"', 'NameQualifier="PSC"', "qualifier"),
    (">991234567<", ">12<", "identifiantFacturation"),
    ('<Attribute Name="codeSpecialiteAMO">.*?</Attribute>', "", "codeSpecialite"),
    (">SA07<", ">SA07^1.2.250.1.71.4.2.4<", "secteurActivite"),
    ("<AttributeStatement>", "<Conditions/><AttributeStatement>", "Conditions.present"),
    (">899000000010<", ">899000000028<", "name_id.certificate tls.holder"),
    ("GN=CAMILLE", "GN=AUTRE", "issuer.subject"),
]


async def test_an_assertion_against_a_rule_is_refused() -> None:
    lps, found = card(), []
    async with running_insi() as insi:
        for pattern, replacement, _ in ASSERTION_FAULTS:
            told = await insi.ask(lps.tls, request(changed(lps, pattern, replacement)))
            codes = " ".join(code.removeprefix("sim:insi.assertion.") for code in told.codes)
            found.append((pattern, replacement, codes))

    assert found == ASSERTION_FAULTS


async def test_who_speaks_is_who_signed_and_who_connected() -> None:
    lps, nurse = card(), card("infirmier")
    good = assertion(lps)
    unknown = signed_anew(good.encode(), card_key()).decode()
    by_authentication = signed_anew(good.encode(), lps.tls).decode()
    async with running_insi() as insi:

        async def codes(asserted: str, tls: Key = lps.tls) -> list[str]:
            return (await insi.ask(tls, request(asserted))).codes

        assert await codes(good, nurse.tls) == ["sim:insi.assertion.tls.holder"]
        assert "sim:insi.assertion.certificate.chain" in await codes(unknown)
        assert await codes(by_authentication) == ["sim:insi.assertion.certificate.key_usage"]
        assert "sim:insi.assertion.signature.digest" in await codes(good.replace(">SA07<", ">SA08<"))
        assert await codes("") == ["sim:insi.assertion.missing"]


async def test_an_assertion_hidden_elsewhere_is_not_read() -> None:
    lps = card()
    hidden = request("").replace("</s:Header>", f"<x>{assertion(lps)}</x></s:Header>")
    twice = request(assertion(lps)).replace("</s:Header>", f"<x>{assertion(lps)}</x></s:Header>")
    async with running_insi() as insi:
        assert (await insi.ask(software(), hidden)).codes == ["sim:insi.assertion.place"]
        assert (await insi.ask(lps.tls, twice)).codes[0] == "sim:insi.assertion.assertion.count"


async def test_a_nurse_needs_no_speciality() -> None:
    nurse = card("infirmier")
    async with running_insi() as insi:
        told = await insi.ask(nurse.tls, request(assertion(nurse, InsiCall("991234567"))))

    assert told.result == FOUND


async def test_the_software_certificate_asks_without_an_assertion() -> None:
    async with running_insi() as insi:
        alone = await insi.ask(software(), request(""))
        with_one = await insi.ask(software(), request(assertion(card())))
        card_alone = await insi.ask(card().tls, request(""))

    assert alone.result == FOUND
    assert with_one.codes == ["sim:insi.assertion.unexpected"]
    assert card_alone.codes == ["sim:insi.assertion.missing"]


async def test_an_assertion_after_pro_sante_connect_is_taken_where_it_is_allowed() -> None:
    message = request(assertion_of_psc())
    async with running_insi() as insi:
        assert (await insi.ask(card().tls, message)).codes == ["sim:insi.assertion.psc"]
    async with running_insi(psc="accepted") as insi:
        assert (await insi.ask(card().tls, message)).result == FOUND
        signed = message.replace("</Assertion>", '<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/></Assertion>')
        assert "sim:insi.assertion.signature.present" in (await insi.ask(card().tls, signed)).codes
        other = message.replace('NameQualifier="PSC"', 'NameQualifier="CPS"')
        assert (await insi.ask(card().tls, other)).codes == ["sim:insi.assertion.signature"]


RESULTS = {
    ("simulation", "claude", "M", "1985-05-09"): FOUND,
    ("SIMULATION-CORSE", "MARIE", "F", "1990-02-28"): "00 290022A999002 54",
    ("SIMULATION", "PATIENT", "F", "1985-05-09"): "01 – –",
    ("SIMULATION", "PATIENT", "M", "1985-05-10"): "01 – –",
    ("SIMULATION-HOMONYME", "ALEX", "F", "1970-01-01"): "02 – –",
}


async def test_one_is_found_none_or_several() -> None:
    async with running_insi() as insi:
        found = {traits: (await insi.ask(software(), request("", traits))).result for traits in RESULTS}

    assert found == RESULTS


async def test_the_place_of_birth_tells_apart_where_it_is_given() -> None:
    there, elsewhere = (
        request("").replace("</r:DateNaissance>", f"</r:DateNaissance><r:LieuNaissance>{place}</r:LieuNaissance>")
        for place in ("99999", "75056")
    )
    async with running_insi() as insi:
        assert (await insi.ask(software(), there)).result == FOUND
        assert (await insi.ask(software(), elsewhere)).result.startswith("01")


async def test_nobody_connects_without_a_certificate_of_the_authorities() -> None:
    async with running_insi() as insi:
        for tls in (None, card_key(non_repudiation=False)):
            with pytest.raises(aiohttp.ClientError):
                await insi.ask(tls, request(""))


PEOPLE = """
[[people]]
ins = "269059999900506"
birth_name = "ESSAI"
given_names = ["Anne", "Zoé"]
sex = "F"
birth_date = "1969-05-01"
birth_place = "99999"
"""
FITTING = PEOPLE.replace("269059999900506", "269059999900535")


async def test_other_people_can_be_told(tmp_path: Path) -> None:
    ins, key = "2690599999005", "35"
    (tmp_path / "people.toml").write_text(FITTING)
    async with running_insi(people=tmp_path / "people.toml") as insi:
        assert (
            await insi.ask(software(), request("", ("ESSAI", "ZOÉ", "F", "1969-05-01")))
        ).result == f"00 {ins} {key}"
        assert (await insi.ask(software(), request("", PATIENT))).result.startswith("01")


@pytest.mark.parametrize(
    ("told", "where"),
    [
        ("", "--people"),
        ("people", "--people"),
        ("people = 1", "--people"),
        ("[[people]]", "--people[1].ins"),
        (PEOPLE, "--people[1].ins"),
        (FITTING.replace('"F"', '"X"'), "--people[1].sex"),
        (FITTING.replace('["Anne', '[1, "'), "--people[1].given_names"),
        (FITTING.replace('["Anne', '["", "'), "--people[1].given_names"),
    ],
)
async def test_people_that_will_not_do_are_refused(tmp_path: Path, told: str, where: str) -> None:
    (tmp_path / "people.toml").write_text(told)
    with pytest.raises(InvalidRequest) as refused:
        async with running_insi(people=tmp_path / "people.toml"):
            raise AssertionError("it must not start")
    assert refused.value.params["where"] == where


async def test_a_port_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        await InsiSimulator().run(ServerOptions(state=STATE, port=70_000), print)


@pytest.mark.parametrize("settings", [{"psc": "maybe"}, {"authorities": "/nowhere"}, {"couleur": "bleu"}], ids=str)
async def test_a_setting_that_will_not_do_is_refused(settings: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        await InsiSimulator().run(ServerOptions(state=STATE, settings=settings), print)
    with pytest.raises(InvalidRequest):
        await InsiSimulator().tell(ServerOptions(), "approve", None)


async def test_the_simulated_insi_tells_what_to_configure_and_then_what_happens() -> None:
    async with running_insi() as insi:
        await insi.ask(software(), request(""))
        await insi.ask(card().tls, request(""))
        told = [await insi.next() for _ in range(insi.told.qsize())]
        with pytest.raises(AddressInUse):
            async with running_insi(port=insi.port):
                raise AssertionError("it must not start")

    text = "\n".join(told)
    assert f'[upstreams.insi]\nurl = "https://localhost:{insi.port}"' in text
    assert f'authorities = "{store().chain}"' in text
    assert "INSI-AUTO: SIMULATION PATIENT M 1985-05-09 → 00 OK" in text
    assert told[-1] == "Refused: sim:insi.assertion.missing"


async def test_a_program_is_told_in_json() -> None:
    async with running_insi(as_json=True) as insi:
        start = event(await insi.next())
        await insi.ask(software(), request(""))
        answered = event(await insi.next())

    assert (start["event"], answered["event"]) == ("listening", "answered")
    assert answered["values"]["code"] == "00"  # type: ignore[index]  # JSON
