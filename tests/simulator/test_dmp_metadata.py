"""What the simulated DMP's registry finds wrong with a submission set's metadata, and how it says so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cardd.errors import InvalidRequest
from tests.rig.dmp import Reply, RunningDmp, card, running_dmp
from tests.rig.dmp_messages import Sent, cda, envelope, provide, query, retrieve, signed

SET, REPORT = "2.25.9300", Sent("2.25.9301", cda("SIMULATION"))
XML = "application/soap+xml"
METADATA = "XDSRegistryMetadataError"

# what is changed in a submission set's metadata, and the only thing that is found: all else is as it should be
METADATA_FAULTS = [
    ('nodeRepresentation="11488-4"', 'nodeRepresentation="99999-9"', "type"),
    ('nodeRepresentation="10"', 'nodeRepresentation="12"', "class class.of_type"),
    ('nodeRepresentation="10"', 'nodeRepresentation="42"', "class.of_type"),
    ('nodeRepresentation="urn:ihe:iti:xds-sd:text:2008"', 'nodeRepresentation="urn:example:other"', "format"),
    ('nodeRepresentation="SA07"', 'nodeRepresentation="SA99"', "facility"),
    ('nodeRepresentation="AMBULATOIRE"', 'nodeRepresentation="NAVIRE"', "practice"),
    ('nodeRepresentation="N"', 'nodeRepresentation="SECRET"', "confidentiality"),
    ('nodeRepresentation="N"', 'nodeRepresentation="MASQUE_PS"', "confidentiality.scheme"),
    (">2.16.840.1.113883.5.25<", ">1.2.3<", "confidentiality.scheme confidentiality.level"),
    ('mimeType="text/xml"', 'mimeType="application/msword"', "mime"),
    (">2.16.840.1.113883.6.1<", ">1.2.3<", "type.scheme"),
    ('<rim:Slot name="codingScheme"><rim:ValueList><rim:Value>1.2.250.1.213.1.1.4.1<.*?</rim:Slot>', "",
     "class.scheme"),
    ('(nodeRepresentation="10">.*?)<rim:Name>.*?</rim:Name>', r"\1", "class.name"),
    ('<rim:Classification classificationScheme="urn:uuid:f0306f51.*?</rim:Classification>', "", "type.missing"),
    ('(<rim:Classification classificationScheme="urn:uuid:cccf5598.*?</rim:Classification>)', r"\1\1",
     "practice.several"),
    ('<rim:Classification classificationScheme="urn:uuid:93606bcf.*?</rim:Classification>', "", "author.missing"),
    (r'Value>899000000010\^SIMULATION-MEDECIN\^[^<]*(?=<.{0,90}authorInst)', "Value>DR SIMULATION", "author.person"),
    (r">CABINET SIMULATION\^[^<]*", ">CABINET SIMULATION", "author.institution"),
    (">G15_10/SM36", ">G15_10/SM00", "author.specialty"),
    ('<rim:Slot name="creationTime">.*?</rim:Slot>', "", "creationTime.missing"),
    (">20261130101500<", ">30/11/2026<", "creationTime"),
    (">fr-FR<", ">français<", "languageCode"),
    ('<rim:Slot name="legalAuthenticator">.*?</rim:Slot>', "", "legalAuthenticator.missing"),
    ('<rim:Slot name="sourcePatientId">.*?</rim:Slot>', "", "sourcePatientId.missing"),
    ('value="2.25.9301"/>', 'value="9301"/>', "unique_id"),
    ('objectType="urn:uuid:7edca82f', 'objectType="urn:uuid:00000000', "object_type"),
    ('value="Ajout[^"]*"', 'value=""', "title"),
    ('value="2.25.9300"', 'value=""', "submission_set"),
    (">Original<", ">Reference<", "submission_set_status"),
    ("AssociationType:signs", "AssociationType:signed", "signs"),
    ('(AssociationType:signs" sourceObject="entry1" targetObject=)"set"', r'\1"entry0"', "signs"),
    ('value="Source"', 'value="Signature"', "signature.title"),
    (">art<", ">fr-FR<", "signature.language"),
    ('nodeRepresentation="INVISIBLE_PATIENT"', 'nodeRepresentation="MASQUE_PS"',
     "signature.confidentiality"),
    ('nodeRepresentation="E1762"', 'nodeRepresentation="11488-4"', "signature.type"),
    ("1.2.840.10065.1.12.1.14", "1.2.840.10065.1.12.1.5", "signature.event"),
    ('value="2.25.9999"', 'value="LPS"', "set.source_id"),
    ('(<rim:RegistryPackage id="set">)<rim:Slot.*?</rim:Slot>', r"\1", "set.submissionTime.missing"),
    ('<rim:Classification classificationScheme="urn:uuid:a7058bb9.*?</rim:Classification>', "", "set.author.missing"),
    ('<rim:Classification classificationScheme="urn:uuid:aa543740.*?</rim:Classification>', "", "set.content_type"),
    ("a54d6aa5-d40d-43f9-88c5-b4633d873bdd", "00000000-0000-0000-0000-000000000000", "set.node"),
]  # fmt: skip


def body(*documents: Sent) -> str:
    """A set that the registry takes."""
    return provide(SET, *(documents or (REPORT,)), signed(card().pen, SET, *(documents or (REPORT,))))


def changed(pattern: str, replacement: str) -> str:
    """A set in which this is otherwise."""
    good = body()
    bad = re.sub(pattern, replacement, good, count=1, flags=re.DOTALL)
    assert bad != good, pattern
    return bad


async def test_metadata_that_are_wrong_are_refused_as_a_registry_refuses() -> None:
    lps, found = card(), []
    async with running_dmp() as dmp:
        for pattern, replacement, _ in METADATA_FAULTS:
            reply = await lps.post(dmp, changed(pattern, replacement))
            assert (reply.status, set(reply.errors)) == (200, {METADATA}), reply.body
            assert b"ResponseStatusType:Failure" in reply.body
            found.append((pattern, " ".join(code.removeprefix("sim:metadata.") for code in reply.codes)))
        taken = await lps.post(dmp, body())

    assert found == [(pattern, word) for pattern, _, word in METADATA_FAULTS]
    assert b"ResponseStatusType:Success" in taken.body


async def test_all_that_is_wrong_is_told_at_once_with_whose_it_is() -> None:
    bad = re.sub('nodeRepresentation="(11488-4|SA07|AMBULATOIRE)"', 'nodeRepresentation="X"', body())
    async with running_dmp() as dmp:
        reply = await card().post(dmp, bad)
        told = [await dmp.next() for _ in range(dmp.told.qsize())]

    assert (
        reply.codes == [f"sim:metadata.{word}" for word in ("type", "facility", "practice", "facility", "practice")][:3]
    )
    assert reply.texts("//@location")[:1] == ["entry0"]
    assert told[-1].startswith("Refused: XDSRegistryMetadataError sim:metadata.type X")


@pytest.mark.parametrize(
    ("pattern", "replacement", "error", "code"),
    [
        (r'(value=")185059999900181', r"\g<1>285059999900190", "XDSUnknownPatientId", "patient.unknown"),
        ('(xmlns:lcm="urn:)', r"\1x", "XDSRegistryMetadataError", "metadata.malformed"),
        ('targetObject="entry1"', 'targetObject="entry9"', "UnresolvedReferenceException", "metadata.association"),
        ('(<Document [^>]*)id="entry0"', r'\1id="entry7"', "XDSMissingDocument", "document.missing"),
        ('(<Document [^>]*id="entry1")', r'<Document xmlns="urn:ihe:iti:xds-b:2007" id="more">AA==</Document>\1',
         "XDSMissingDocumentMetadata", "document.unannounced"),
        ('(name="size"><rim:ValueList><rim:Value>)', r"\g<1>9", "XDSRepositoryMetadataError", "document.size"),
    ],
)  # fmt: skip
async def test_what_is_submitted_wrongly_has_ihes_own_code(
    pattern: str, replacement: str, error: str, code: str
) -> None:
    async with running_dmp() as dmp:
        reply = await card().post(dmp, changed(pattern, replacement))

    assert (reply.errors[0], reply.codes[0]) == (error, f"sim:{code}")


async def test_a_document_that_is_no_cda_is_refused() -> None:
    async with running_dmp() as dmp:
        reply = await card().post(dmp, body(Sent("2.25.9302", b"SIMULATION")))

    assert (reply.errors, reply.codes) == (["InvalidDocumentContent"], ["sim:document.cda"])


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        (retrieve("2.25.404"), "XDSDocumentUniqueIdError"),
        (retrieve("2.25.999100001").replace("2.25.999000001", "2.25.1"), "XDSUnknownRepositoryId"),
        (query().replace("14d4debf", "00000000"), "XDSUnknownStoredQuery"),
        (query().replace("$XDSDocumentEntryStatus", "$Other"), "XDSStoredQueryMissingParam"),
    ],
)
async def test_what_is_asked_for_wrongly_has_ihes_own_code(asked: str, error: str) -> None:
    async with running_dmp() as dmp:
        reply = await card().post(dmp, asked)

    assert (reply.status, reply.errors) == (200, [error])


async def sent(dmp: RunningDmp, pattern: str, replacement: str) -> Reply:
    """A query whose message is otherwise."""
    lps = card()
    message = re.sub(pattern, replacement, envelope(query(), lps.vihf()).decode(), count=1)
    return await lps.send(dmp, message.encode(), XML)


async def test_headers_of_addressing_are_wanted() -> None:
    async with running_dmp() as dmp:
        no_id = await sent(dmp, "<wsa:MessageID>.*?</wsa:MessageID>", "")
        other_id = await sent(dmp, "urn:uuid:00000000-0000-4000-8000-000000000001", "1")
        no_action = await sent(dmp, "<wsa:Action>.*?</wsa:Action>", "")
        other_action = await sent(dmp, "RegistryStoredQuery<", "RetrieveDocumentSet<")
        elsewhere = await sent(dmp, "<wsa:Action>", "<wsa:ReplyTo><wsa:Address>urn:x</wsa:Address></wsa:ReplyTo>\\g<0>")
        two_actions = await sent(dmp, "<wsa:Action>", "<wsa:Action>urn:x</wsa:Action>\\g<0>")
        two_ids = await sent(dmp, "<wsa:MessageID>.*?</wsa:MessageID>", "\\g<0>\\g<0>")

    assert two_actions.codes == ["wsa:InvalidAddressingHeader", "sim:soap.action"]
    assert two_ids.codes == ["wsa:InvalidAddressingHeader", "sim:soap.message_id"]
    assert no_id.codes == ["wsa:MessageAddressingHeaderRequired", "sim:soap.message_id"]
    assert other_id.codes == ["wsa:InvalidAddressingHeader", "sim:soap.message_id"]
    assert no_action.codes == ["wsa:MessageAddressingHeaderRequired", "sim:soap.action"]
    assert other_action.codes == ["wsa:ActionNotSupported", "sim:soap.action"]
    assert elsewhere.codes == ["wsa:InvalidAddressingHeader", "sim:soap.reply_to"]


async def test_codes_can_be_added(tmp_path: Path) -> None:
    more = tmp_path / "codes.csv"
    more.write_text("table;scheme;codes\n# SIMULATION\nformat;1.3.6.1.4.1.19376.1.2.3;urn:example:structured\n")
    other = body().replace("urn:ihe:iti:xds-sd:text:2008", "urn:example:structured")
    async with running_dmp(codes=str(more)) as dmp:
        assert (await card().post(dmp, other)).errors == []


@pytest.mark.parametrize("line", ["format;1.2.3", "formats;1.2.3;urn:x", "format;1.2.3;"])
async def test_a_line_of_codes_that_will_not_do_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "codes.csv").write_text(f"# SIMULATION\n{line}\n")
    with pytest.raises(InvalidRequest) as told:
        async with running_dmp(codes=str(tmp_path / "codes.csv")):
            raise AssertionError("it must not start")
    assert told.value.params["where"] == "codes:2"
