"""Adding documents to the simulated DMP's record: the set's signature, the rights, and MTOM."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha1

import pytest

from cardd.formats.saml.request import Mode
from tests.rig.dmp import Reply, card, organisation, running_dmp
from tests.rig.dmp_messages import Sent, cda, envelope, multipart, provide, query, retrieve, signed

SET = "2.25.9100"
REPORT = Sent("2.25.9101", cda("SIMULATION\r\n--un compte rendu\r\n"))
OTHER = Sent("2.25.9102", cda("SIMULATION, un autre"))


async def refused(*documents: Sent, set_id: str = SET, profile: str = "medecin") -> Reply:
    """What a set is answered, which must be a fault."""
    async with running_dmp() as dmp:
        reply = await card(profile).post(dmp, provide(set_id, *documents))
        kept = await card().post(dmp, query())
    assert (reply.status, bool(reply.codes)) == (200 if reply.errors else 500, True)
    assert len(kept.titles) == 2
    return reply


async def test_a_signed_set_is_kept_and_read_again() -> None:
    lps = card()
    async with running_dmp() as dmp:
        added = await lps.post(dmp, provide(SET, REPORT, OTHER, signed(lps.pen, SET, REPORT, OTHER)))
        found = await lps.post(dmp, query())
        read = await lps.post(dmp, retrieve(REPORT.unique_id))

    assert added.status == 200
    assert b"ResponseStatusType:Success" in added.body
    assert "Ajout SIMULATION 2.25.9101" in found.titles
    assert b64encode(REPORT.content).decode() in read.texts("//xds:Document/text()")


async def test_contents_may_be_parts_of_their_own() -> None:
    lps = card()
    documents = (REPORT, signed(lps.pen, SET, REPORT))
    message = envelope(provide(SET, *documents, included=True), lps.vihf())
    async with running_dmp() as dmp:
        added = await lps.send(dmp, *multipart(message, *documents))
        cut = await lps.send(dmp, multipart(message, *documents)[0][:-20], multipart(message)[1])
        lacking = await lps.send(dmp, *multipart(message, REPORT))

    assert added.status == 200
    assert cut.codes == ["sim:soap.malformed"]
    assert lacking.codes == ["sim:document.duplicate"]


async def test_parts_that_cannot_be_told_apart_are_refused() -> None:
    lps = card()
    documents = (REPORT, signed(lps.pen, SET, REPORT))
    octets, kind = multipart(envelope(provide(SET, *documents, included=True), lps.vihf()), *documents)
    wrong = [
        (octets, re.sub(r"; ?boundary=[^;]*", "", kind)),
        (octets, re.sub(r"start=\"[^\"]*\"", 'start="<nowhere>"', kind)),
        (octets.replace(b"\r\n\r\n", b"\r\n"), kind),
    ]
    async with running_dmp() as dmp:
        for sent in wrong:
            assert sent != (octets, kind)
            assert (await lps.send(dmp, *sent)).codes == ["sim:soap.malformed"]


async def test_a_part_that_is_missing_is_refused() -> None:
    lps = card()
    message = envelope(provide(SET, REPORT, signed(lps.pen, SET, REPORT), included=True), lps.vihf())
    async with running_dmp() as dmp:
        reply = await lps.send(dmp, *multipart(message, REPORT))

    assert reply.codes == ["sim:document.content"]


async def test_a_set_without_signature_is_refused_unless_it_is_optional() -> None:
    assert (await refused(REPORT)).codes == ["sim:set.signature"]
    async with running_dmp(signature="optional") as dmp:
        assert (await card().post(dmp, provide(SET, REPORT))).status == 200


async def test_a_signature_of_another_set_is_refused() -> None:
    reply = await refused(REPORT, signed(card().pen, "2.25.9999", REPORT))

    assert reply.codes == ["sim:set.set"]


async def test_a_document_that_was_changed_after_signing_is_refused() -> None:
    changed = replace(REPORT, content=cda("SIMULATION, autre chose"))

    reply = await refused(changed, signed(card().pen, SET, REPORT))

    assert reply.codes == ["sim:set.document"]


async def test_a_document_that_is_not_signed_is_refused() -> None:
    reply = await refused(REPORT, OTHER, signed(card().pen, SET, REPORT))

    assert reply.codes == ["sim:set.documents"]


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"<SigningTime>20", b"<SigningTime>19", "sim:set.digest"),
        (b'"purposeOfSignature"', b'"purpose"', "sim:set.purpose"),
        (b"AA==", b"AB==", "sim:set.digest"),
    ],
)
async def test_a_signature_that_was_changed_is_refused(old: bytes, new: bytes, code: str) -> None:
    good = signed(card().pen, SET, REPORT)
    assert old in good.content

    reply = await refused(REPORT, replace(good, content=good.content.replace(old, new)))

    assert code in reply.codes


async def test_the_signature_of_somebody_else_is_refused() -> None:
    reply = await refused(REPORT, signed(card("infirmier").pen, SET, REPORT))

    assert reply.codes == ["sim:set.signer"]


@pytest.mark.parametrize(
    ("content", "code"), [(b"<Signature/>", "sim:set.root"), (b"<!DOCTYPE a []><a/>", "sim:set.malformed")]
)
async def test_what_is_no_signature_is_refused(content: bytes, code: str) -> None:
    reply = await refused(REPORT, replace(signed(card().pen, SET, REPORT), content=content))

    assert reply.codes == [code]


async def test_a_type_that_the_role_may_not_feed_is_refused() -> None:
    document = replace(REPORT, type="57833-6", class_code="42")

    reply = await refused(document, signed(card("pharmacien").pen, SET, document), profile="pharmacien")

    assert reply.codes == ["sim:rights.feed"]


async def test_air_adds_nothing() -> None:
    lps = organisation(Mode.AIR)
    async with running_dmp() as dmp:
        reply = await lps.post(dmp, provide(SET, REPORT, signed(lps.pen, SET, REPORT)))

    assert reply.codes == ["sim:air.consultation_only"]


async def test_indirect_adds_and_finds_its_own() -> None:
    lps = organisation(Mode.INDIRECT)
    async with running_dmp() as dmp:
        added = await lps.post(dmp, provide(SET, REPORT, signed(lps.pen, SET, REPORT)))
        found = await lps.post(dmp, query("11488-4"))

    assert added.status == 200
    assert found.titles == ["Ajout SIMULATION 2.25.9101"]


async def test_a_masked_document_is_seen_by_its_own_structure_alone() -> None:
    masked = replace(REPORT, confidentiality=("N", "MASQUE_PS"))
    lps = card()
    async with running_dmp() as dmp:
        await lps.post(dmp, provide(SET, masked, signed(lps.pen, SET, masked)))
        own = await lps.post(dmp, query("11488-4"))
        others = await card("infirmier").post(dmp, query("11488-4"))

    assert own.titles == ["Compte rendu SIMULATION", "Ajout SIMULATION 2.25.9101"]
    assert others.titles == ["Compte rendu SIMULATION"]


async def test_a_digest_in_the_metadata_is_held_against_the_content() -> None:
    right = replace(REPORT, digest=sha1(REPORT.content).hexdigest())
    lps = card()
    async with running_dmp() as dmp:
        added = await lps.post(dmp, provide(SET, right, signed(lps.pen, SET, right)))

    assert added.status == 200
    wrong = replace(REPORT, digest="0" * 40)
    assert (await refused(wrong, signed(card().pen, SET, wrong))).codes == ["sim:document.hash"]


async def test_what_is_there_is_not_added_again() -> None:
    document = replace(REPORT, unique_id="2.25.999100001")

    assert (await refused(document, signed(card().pen, SET, document))).codes == ["sim:document.duplicate"]


async def test_a_document_that_is_sent_twice_in_a_set_is_refused() -> None:
    assert (await refused(REPORT, REPORT, signed(card().pen, SET, REPORT))).codes == ["sim:document.duplicate"]


async def test_an_entry_without_its_document_is_refused() -> None:
    lacking = replace(REPORT, has_content=False)

    assert (await refused(lacking, signed(card().pen, SET, lacking))).codes == ["sim:document.missing"]
