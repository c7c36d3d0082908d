"""Consulting the simulated DMP's record: who is shown what, over real TLS, with assertions as cardd makes them."""

from __future__ import annotations

from base64 import b64decode, b64encode
from pathlib import Path

import pytest

from cardd.formats.saml.request import Access, Mode, Patient
from tests.rig.dmp import card, organisation, rights, running_dmp
from tests.rig.dmp_messages import query, retrieve
from tests.rig.saml import PATIENT

REPORT, PRESCRIPTION, MASKED = "2.25.999100001", "2.25.999100002", "2.25.999100003"


async def test_a_doctor_finds_the_documents_that_are_not_masked() -> None:
    async with running_dmp() as dmp:
        reply = await card().post(dmp, query())

    assert reply.status == 200
    assert reply.titles == ["Compte rendu SIMULATION", "Prescription SIMULATION"]


async def test_documents_are_found_by_type() -> None:
    async with running_dmp() as dmp:
        reply = await card().post(dmp, query("57833-6"))

    assert reply.titles == ["Prescription SIMULATION"]


async def test_a_doctor_retrieves_a_document() -> None:
    async with running_dmp() as dmp:
        reply = await card().post(dmp, retrieve(REPORT))

    (content,) = reply.texts("//xds:Document/text()")
    assert b64encode(b"SIMULATION. Compte rendu") in b64decode(content)
    assert reply.texts("//xds:DocumentUniqueId/text()") == [REPORT]


async def test_a_program_may_ask_for_names_alone_and_for_what_they_name() -> None:
    find, get = "14d4debf-8f97-4251-9a74-a90016b0af0d", "5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"
    unique = f"<rim:Slot name=\"$XDSDocumentEntryUniqueId\"><rim:ValueList><rim:Value>('{REPORT}')</rim:Value>"
    by_name = query().replace(find, get).replace("<rim:Slot", f"{unique}</rim:ValueList></rim:Slot><rim:Slot", 1)
    async with running_dmp() as dmp:
        names = await card().post(dmp, query().replace("LeafClass", "ObjectRef"))
        named = await card().post(dmp, by_name)

    assert (names.titles, len(names.texts("//rim:ObjectRef/@id"))) == ([], 2)
    assert named.titles == ["Compte rendu SIMULATION"]


async def test_breaking_the_glass_shows_what_is_masked() -> None:
    async with running_dmp() as dmp:
        refused = await card().post(dmp, retrieve(MASKED))
        shown = await card(access=Access.BREAK_GLASS).post(dmp, retrieve(MASKED))

    assert refused.codes == ["sim:rights.consult"]
    assert shown.status == 200


async def test_each_role_sees_the_types_of_its_lines() -> None:
    async with running_dmp() as dmp:
        pharmacist = await card("pharmacien").post(dmp, query())
        nurse = await card("infirmier").post(dmp, query())
        emergency = await card("infirmier", access=Access.CENTRE_15).post(dmp, query())

    assert pharmacist.titles == ["Prescription SIMULATION"]
    assert nurse.titles == ["Compte rendu SIMULATION"]
    assert emergency.titles == ["Compte rendu SIMULATION", "Prescription SIMULATION"]


async def test_a_document_of_a_forbidden_type_is_refused() -> None:
    async with running_dmp() as dmp:
        reply = await card("pharmacien").post(dmp, retrieve(REPORT))

    assert reply.status == 500
    assert reply.codes == ["sim:rights.consult"]


async def test_the_table_of_a_file_takes_the_place_of_the_sample(tmp_path: Path) -> None:
    table = rights(tmp_path / "table.csv", "10/SM36;57833-6;*;consulter", "10/SM54;*;*;consulter")
    async with running_dmp(table=table) as dmp:
        reply = await card().post(dmp, query())

    assert reply.titles == ["Prescription SIMULATION"]


async def test_air_consults() -> None:
    async with running_dmp() as dmp:
        reply = await organisation(Mode.AIR).post(dmp, retrieve(REPORT))

    assert reply.status == 200


async def test_indirect_finds_nothing_of_others_and_consults_nothing() -> None:
    async with running_dmp() as dmp:
        found = await organisation(Mode.INDIRECT).post(dmp, query())
        refused = await organisation(Mode.INDIRECT).post(dmp, retrieve(REPORT))

    assert (found.status, found.titles) == (200, [])
    assert refused.codes == ["sim:indirect.consultation"]


async def test_another_patient_is_not_known() -> None:
    other = Patient("285059999900131", PATIENT.oid)
    async with running_dmp() as dmp:
        in_vihf = await card(patient=other).post(dmp, query())
        in_query = await card().post(dmp, query(patient="285059999900131^^^&amp;1.2.250.1.213.1.4.10&amp;ISO^NH"))
        nobody = await card(patient=None).post(dmp, query())

    assert in_vihf.codes == ["sim:patient.unknown"]
    assert in_query.codes == ["sim:patient.unknown"]
    assert nobody.codes == ["sim:patient.missing"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (retrieve("2.25.1"), "sim:document.unknown"),
        (retrieve(REPORT).replace("2.25.999000001", "2.25.3"), "sim:repository.unknown"),
        (retrieve(), "sim:retrieve.malformed"),
        (query().replace("14d4debf", "00000000"), "sim:query.unknown"),
        (query().replace("LeafClass", "Everything"), "sim:query.malformed"),
        ("<autre/>", "wsa:MessageAddressingHeaderRequired"),
        ("", "sim:soap.body"),
    ],
)
async def test_what_cannot_be_asked_is_refused(body: str, code: str) -> None:
    async with running_dmp() as dmp:
        reply = await card().post(dmp, body)

    assert reply.codes[0] == code


async def test_an_answer_names_the_message_that_it_answers() -> None:
    async with running_dmp() as dmp:
        reply = await card().post(dmp, query())

    assert b"<wsa:RelatesTo>urn:uuid:00000000-0000-4000-8000-000000000001<" in reply.body
