"""Crafted documents of every format, and the verdict that each must get: what an outside judge refuses, we refuse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest
from asn1crypto import cms, pem, tsp
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.sign.fields import (
    FieldMDPAction,
    FieldMDPSpec,
    MDPPerm,
)

from cardd.documents.verdicts import Verdict
from cardd.errors import DocumentAmbiguous
from cardd.formats.cades import CadesPrepared
from cardd.formats.cms import signer_part
from cardd.formats.document import new_document
from cardd.formats.jws import prepare_jws
from cardd.formats.options import JwsOptions, PadesOptions
from cardd.formats.pades import prepare_pades
from cardd.formats.xmldsig import ENVELOPED
from cardd.model import Algorithm, Identity
from cardd.values import replace
from tests.rig import java_judges, jose, pdf_here
from tests.rig.java_judges import JavaJudges
from tests.rig.openssl import accepts_cms
from tests.rig.others import openssl_cms, xmlsec_part
from tests.rig.pdf import pdf, pyhanko_says
from tests.rig.pdf_changes import (
    empty_field,
    field_filled,
    fields_drawn_otherwise,
    note_laid_over,
    page_replaced,
    picture,
    picture_of_a_timestamp,
    updated,
)
from tests.rig.verifying import DOCUMENT, Desk, codes, verifying
from tests.rig.xml_judges import xmlsec_accepts

IDENTIFIERS = ("--id-attr:Id", "part", "--id-attr:Id", "order")
WHO = Identity("899000000010", "SIMULATION", "CAMILLE")
TEXT_FIELD = b"<< /FT /Tx /T (dose) /V (1) /Type /Annot /Subtype /Widget /Rect [10 10 90 30] /P 3 0 R >>"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with verifying(tmp_path) as made:
        yield made


@dataclass(frozen=True)
class Crafted:
    """A document, what it must be found to be, and the reasons of each of its signatures."""

    name: str
    made: Callable[[Desk], bytes]
    verdict: Verdict
    reasons: tuple[list[str], ...]


def signed(desk: Desk, content: bytes) -> bytes:
    pen = desk.pen()
    options = PadesOptions()
    return pen.write(
        prepare_pades(new_document(content), pen.signer, datetime.now(UTC), options, process=desk.pdf, who=WHO)
    )


def author_signed(desk: Desk, allowing: MDPPerm | None = None, locked: FieldMDPSpec | None = None) -> bytes:
    """A form that its author signed by pyHanko: certified, or with some of its fields locked."""
    return pdf_here.author_signed(desk.pen(), form(), allowing, locked)


def form() -> bytes:
    return pdf(extra=[TEXT_FIELD], catalogue=b"/AcroForm << /Fields [4 0 R] /DA (/Helv 0 Tf) >>")


def words_in_the_room(document: bytes) -> bytes:
    """The end of the hexadecimal string, which is no part of what was signed, says something."""
    words, end = b"dose 100".hex().encode(), document.rindex(b"00>") + 2
    return document[: end - len(words)] + words + document[end:]


CORPUS = [
    Crafted("pdf, signed twice", lambda desk: signed(desk, signed(desk, pdf())), Verdict.VALID, (["signed_later"], [])),
    Crafted(
        "pdf, its page replaced between two signatures",
        lambda desk: signed(desk, updated(signed(desk, pdf()), page_replaced)),
        Verdict.INVALID,
        (["changed_later"], []),
    ),
    Crafted(
        "pdf, its page replaced after the signature",
        lambda desk: updated(signed(desk, pdf()), page_replaced),
        Verdict.INVALID,
        (["changed_later"],),
    ),
    Crafted(
        "pdf, a note laid over the page",
        lambda desk: updated(signed(desk, pdf()), note_laid_over),
        Verdict.INVALID,
        (["changed_later"],),
    ),
    Crafted(
        "pdf, an empty signature field whose picture covers the page",
        lambda desk: updated(signed(desk, pdf()), picture),
        Verdict.INVALID,
        (["changed_later"],),
    ),
    Crafted(
        "pdf, a document timestamp whose picture covers the page",
        lambda desk: updated(signed(desk, pdf()), picture_of_a_timestamp),
        Verdict.INVALID,
        (["changed_later"],),
    ),
    Crafted(
        "pdf, an empty field for the next signature",
        lambda desk: updated(signed(desk, pdf()), empty_field),
        Verdict.VALID,
        (["signed_later"],),
    ),
    Crafted(
        "pdf, a field filled in after the signature",
        lambda desk: signed(desk, updated(signed(desk, form()), field_filled)),
        Verdict.UNDETERMINED,
        (["filled_later"], []),
    ),
    Crafted(
        "pdf, the form's font replaced, so that its fields show other values",
        lambda desk: updated(signed(desk, form()), fields_drawn_otherwise),
        Verdict.UNDETERMINED,
        (["filled_later"],),
    ),
    Crafted(
        "pdf, the form's font replaced where the signature locks its fields",
        lambda desk: updated(author_signed(desk, locked=FieldMDPSpec(FieldMDPAction.ALL)), fields_drawn_otherwise),
        Verdict.INVALID,
        (["changed_later"],),
    ),
    Crafted(
        "pdf, a field filled in that the certification left open",
        lambda desk: updated(author_signed(desk, MDPPerm.FILL_FORMS), field_filled),
        Verdict.VALID,
        (["filled_later"],),
    ),
    Crafted(
        "pdf, a field filled in that the certification closed",
        lambda desk: updated(author_signed(desk, MDPPerm.NO_CHANGES), field_filled),
        Verdict.INVALID,
        (["changed_later"],),
    ),
    Crafted(
        "pdf, a page replaced where the certification left fields open",
        lambda desk: updated(author_signed(desk, MDPPerm.ANNOTATE), page_replaced),
        Verdict.INVALID,
        (["changed_later"],),
    ),
    Crafted(
        "pdf, a field filled in that the signature locks",
        lambda desk: updated(author_signed(desk, locked=FieldMDPSpec(FieldMDPAction.ALL)), field_filled),
        Verdict.INVALID,
        (["changed_later"],),
    ),
    Crafted(
        "pdf, bytes behind its end",
        lambda desk: signed(desk, pdf()) + b"9 0 obj\n",
        Verdict.INVALID,
        (["changed_later"],),
    ),
    Crafted(
        "pdf, words in the room that the signature's message leaves",
        lambda desk: words_in_the_room(signed(desk, pdf())),
        Verdict.INVALID,
        (["flaw_content"],),
    ),
    Crafted("pdf, a line's end behind its end", lambda desk: signed(desk, pdf()) + b"\r\n", Verdict.VALID, ([],)),
]


def by_openssl(usage: str, *options: str) -> Callable[[Desk], bytes]:
    def made(desk: Desk) -> bytes:
        return openssl_cms(desk.pen(usage=usage), desk.directory, DOCUMENT, "-nodetach", *options)

    return made


def xml(
    document: bytes, uri: str = "", change: Callable[[bytes], bytes] = lambda signed: signed
) -> Callable[[Desk], bytes]:
    """An XML document that xmlsec1 signed, and that was changed then."""
    return lambda desk: change(xmlsec_part(desk.pen(), desk.directory, document, uri, transforms=(ENVELOPED,)))


def xml_signed_twice(desk: Desk) -> bytes:
    """One signed a part, another one the whole."""
    part = xmlsec_part(desk.pen(), desk.directory, b'<order><part Id="p">10</part>@</order>', "#p")
    return xml(part.replace(b"</order>", b"@</order>"))(desk)


def replacing(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda signed: signed.replace(old, new, 1)


def jws(desk: Desk, change: Callable[[bytes], bytes] = lambda signed: signed) -> bytes:
    pen = desk.pen()
    return change(pen.write(prepare_jws(BytesIO(DOCUMENT), pen.signer, datetime.now(UTC), JwsOptions())))


def of_another(desk: Desk) -> bytes:
    """A JWS whose value is another key's."""
    other = replace(desk.pen(), key=ec.generate_private_key(ec.SECP256R1()))
    return other.write(prepare_jws(BytesIO(DOCUMENT), other.signer, datetime.now(UTC), JwsOptions()))


def naming(desk: Desk, further: bytes) -> bytes:
    """A CMS message whose ESS attribute names this certificate behind the signer's."""
    pen = desk.pen()
    part = signer_part(pen.signer, sha256(DOCUMENT).digest(), None)
    attributes = cms.CMSAttributes.load(part.attributes)
    (named,) = (attribute for attribute in attributes if attribute["type"].native == "signing_certificate_v2")
    named["values"][0]["certs"].append(tsp.ESSCertIDv2({"cert_hash": sha256(further).digest()}))
    return pen.write(CadesPrepared(replace(part, attributes=attributes.dump(force=True)), BytesIO(DOCUMENT)))


CORPUS += [
    Crafted("jws, as cardd makes it", jws, Verdict.VALID, ([],)),
    Crafted(
        "jws, another dose in its payload",
        lambda desk: jws(desk, replacing(b".Y29tcHRl", b".Y29tcHRF")),
        Verdict.INVALID,
        (["flaw_signature"],),
    ),
    Crafted("jws, by a key that is not the certificate's", of_another, Verdict.INVALID, (["flaw_signature"],)),
    Crafted("cms, as CAdES wants it", by_openssl("content_commitment", "-cades"), Verdict.VALID, ([],)),
    Crafted(
        "cms, without the name of its certificate",
        by_openssl("content_commitment"),
        Verdict.UNDETERMINED,
        (["certificate_unnamed"],),
    ),
    Crafted(
        "cms, that names its authority too",
        lambda desk: naming(desk, desk.root.certificate.public_bytes(Encoding.DER)),
        Verdict.VALID,
        ([],),
    ),
    Crafted(
        "cms, that names an authority which is not its own",
        lambda desk: naming(desk, b"another authority"),
        Verdict.UNDETERMINED,
        (["path_other"],),
    ),
    Crafted(
        "cms, without signed attributes",
        by_openssl("content_commitment", "-noattr"),
        Verdict.INVALID,
        (["flaw_attributes"],),
    ),
    Crafted(
        "cms, by SHA-1", by_openssl("content_commitment", "-cades", "-md", "sha1"), Verdict.INVALID, (["flaw_weak"],)
    ),
    Crafted(
        "cms, by a key that only proves who somebody is",
        by_openssl("digital_signature", "-cades"),
        Verdict.INVALID,
        (["usage_authentication"],),
    ),
    Crafted(
        "cms, by a key that only enciphers",
        by_openssl("key_encipherment", "-cades"),
        Verdict.INVALID,
        (["usage"],),
    ),
    Crafted("xml, without a signature", lambda _: b"<order>10</order>", Verdict.INVALID, ()),
    Crafted("xml, signed whole", xml(b"<order>10@</order>"), Verdict.VALID, ([],)),
    Crafted(
        "xml, a comment between elements", xml(b"<order><!-- note --><dose>10</dose>@</order>"), Verdict.VALID, ([],)
    ),
    Crafted(
        "xml, a comment in a text",
        xml(b"<order><dose>10</dose>@</order>", change=replacing(b"10", b"1<!-- -->0")),
        Verdict.UNDETERMINED,
        (["part"],),
    ),
    Crafted(
        "xml, a style sheet before a root that is named",
        xml(b'<order Id="o">10@</order>', "#o", replacing(b"<order", b'<?xml-stylesheet href="x.xsl"?><order')),
        Verdict.UNDETERMINED,
        (["part"],),
    ),
    Crafted(
        "xml, a style sheet before the document",
        xml(b"<order>10@</order>", change=replacing(b"<order", b'<?xml-stylesheet href="x.xsl"?><order')),
        Verdict.INVALID,
        (["flaw_content"],),
    ),
    Crafted(
        "xml, an object more in the signature",
        xml(b"<order>10@</order>", change=replacing(b"</Signature>", b"<Object><dose>100</dose></Object></Signature>")),
        Verdict.UNDETERMINED,
        (["part"],),
    ),
    Crafted(
        "xml, a text more in the signature",
        xml(b"<order>10@</order>", change=replacing(b"</SignedInfo>", b"</SignedInfo>100")),
        Verdict.UNDETERMINED,
        (["part"],),
    ),
    Crafted(
        "xml, an attribute more in the signature",
        xml(b"<order>10@</order>", change=replacing(b"<SignatureValue", b'<SignatureValue dose="100"')),
        Verdict.UNDETERMINED,
        (["part"],),
    ),
    Crafted(
        "xml, an element of the document's among what tells the key",
        xml(b"<order>10@</order>", change=replacing(b"</KeyInfo>", b'<dose xmlns="">100</dose></KeyInfo>')),
        Verdict.UNDETERMINED,
        (["part"],),
    ),
    Crafted(
        "xml, another meaning of a prefix that a value alone has",
        xml(b'<order xmlns:t="urn:a" kind="t:low">10@</order>', change=replacing(b"urn:a", b"urn:b")),
        Verdict.UNDETERMINED,
        (["part"],),
    ),
    Crafted(
        "xml, a prefix that a value has and an element around it too",
        xml(b'<t:order xmlns:t="urn:a" kind="t:low">10@</t:order>'),
        Verdict.VALID,
        ([],),
    ),
    Crafted(
        "xml, a prefix that nothing has",
        xml(b'<order xmlns:t="urn:a">10@</order>'),
        Verdict.VALID,
        ([],),
    ),
    Crafted(
        "xml, a part signed by one, the whole by another",
        xml_signed_twice,
        Verdict.UNDETERMINED,
        (["part"], []),
    ),
    Crafted(
        "xml, SHA-1 as the signature's hash",
        xml(b"<order>10@</order>", change=replacing(b"xmldsig-more#ecdsa-sha256", b"xmldsig-more#ecdsa-sha1")),
        Verdict.INVALID,
        (["flaw_weak"],),
    ),
]


@pytest.fixture(scope="module")
def judges(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JavaJudges | None]:
    if not java_judges.is_there():
        yield None
        return
    with java_judges.judging(tmp_path_factory.mktemp("judges")) as made:
        yield made


@pytest.mark.parametrize("crafted", CORPUS, ids=lambda crafted: crafted.name)
async def test_a_crafted_document_gets_its_verdict(desk: Desk, judges: JavaJudges | None, crafted: Crafted) -> None:
    document = await asyncio.to_thread(crafted.made, desk)
    found = await desk.verify(document)
    assert (found.verdict, tuple(codes(one) for one in found.signatures)) == (crafted.verdict, crafted.reasons)
    if found.verdict is not Verdict.INVALID:
        assert await asyncio.to_thread(refusing, crafted.name[:3], document, desk, judges) == []


def refusing(kind: str, document: bytes, desk: Desk, java: JavaJudges | None) -> list[str]:
    """The outside judges of this kind of document that refuse a signature of it."""
    file = desk.directory / "judged"
    file.write_bytes(document)
    judging: dict[str, dict[str, Callable[[], bool]]] = {
        "pdf": {"pyHanko": lambda: all(one.bottom_line for one in pyhanko_says(document, desk.root.pem))},
        "jws": {"jose": lambda: not jose.is_installed() or "payload" in jose.judge(document, Algorithm.ES256)},
        "cms": {"openssl": lambda: accepts_cms(file, desk.root.pem, cades=False)},
        "xml": {"xmlsec1": lambda: xmlsec_accepts(file, desk.root.pem, *IDENTIFIERS)},
    }
    if java is not None and kind in ("cms", "xml"):
        judging[kind]["Java's"] = lambda: java.accept(kind, document)
    return [name for name, accepts in judging[kind].items() if not accepts()]


def test_openssl_wants_each_certificate_that_is_named_in_the_path_too(desk: Desk) -> None:
    file = desk.directory / "named"
    for further, is_good in ((desk.root.certificate.public_bytes(Encoding.DER), True), (b"another authority", False)):
        file.write_bytes(naming(desk, further))
        assert accepts_cms(file, desk.root.pem) is is_good


@pytest.mark.parametrize("around", ["Dose: 100\n{}", "{}Dose: 100\n", "{0}{0}"], ids=["before", "behind", "twice"])
async def test_words_around_a_signature_in_pem_are_not_taken_for_signed(desk: Desk, around: str) -> None:
    der = await asyncio.to_thread(by_openssl("content_commitment", "-cades"), desk)
    text = pem.armor("CMS", der).decode()
    assert (await desk.verify(f"\n{text}\n".encode())).verdict is Verdict.VALID
    with pytest.raises(DocumentAmbiguous):
        await desk.verify(around.format(text).encode())
