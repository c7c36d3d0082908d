"""What an LPS says to the simulated DMP: SOAP messages, and the documents of a submission set."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha1
from io import BytesIO

from cardd.formats.options import SetDocument, SubmissionSetOptions
from cardd.formats.submission_set import prepare_submission_set
from tests.rig.saml import PATIENT, Key

ENVELOPE = "http://www.w3.org/2003/05/soap-envelope"
SECURITY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
RIM = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
XDS = "urn:ihe:iti:xds-b:2007"
INS = f"{PATIENT.ins}^^^&amp;{PATIENT.oid}&amp;ISO^NH"
REPOSITORY = "2.25.999000001"
SIGNATURE_FORMAT = "http://www.w3.org/2000/09/xmldsig#"
TEXT_FORMAT = "urn:ihe:iti:xds-sd:text:2008"
ACTIONS = {
    "AdhocQueryRequest": "RegistryStoredQuery",
    "RetrieveDocumentSetRequest": "RetrieveDocumentSet",
    "ProvideAndRegisterDocumentSetRequest": "ProvideAndRegisterDocumentSet-b",
}
LEVELS = dict.fromkeys(("N", "R", "V"), "2.16.840.1.113883.5.25")
MASKS = "1.2.250.1.213.1.1.4.13"
PERSON = "899000000010^SIMULATION-MEDECIN^CAMILLE^^^^^^&amp;1.2.250.1.71.4.2.1&amp;ISO^D^^^IDNPS"
PLACE = "CABINET SIMULATION^^^^^&amp;1.2.250.1.71.4.2.2&amp;ISO^IDNST^^^499000000010001"


def envelope(body: str, assertion: bytes) -> bytes:
    """A SOAP 1.2 message with the assertion in its header."""
    action = next((f"urn:ihe:iti:2007:{action}" for name, action in ACTIONS.items() if name in body), "")
    head = (
        f'<env:Envelope xmlns:env="{ENVELOPE}" xmlns:wsa="http://www.w3.org/2005/08/addressing"><env:Header>'
        f"<wsa:MessageID>urn:uuid:00000000-0000-4000-8000-000000000001</wsa:MessageID>"
        f'<wsa:Action>{action}</wsa:Action><wsse:Security xmlns:wsse="{SECURITY}">'
    )
    tail = f"</wsse:Security></env:Header><env:Body>{body}</env:Body></env:Envelope>"
    bare = assertion.partition(b"?>\n")[2] if assertion.startswith(b"<?xml") else assertion
    return head.encode() + bare + tail.encode()


def query(*types: str, patient: str = INS) -> str:
    """FindDocuments (ITI-18), of all types or of these."""
    slots = _slot("$XDSDocumentEntryPatientId", f"'{patient}'")
    slots += _slot("$XDSDocumentEntryStatus", "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')")
    if types:
        listed = ",".join(f"'{each}^^2.16.840.1.113883.6.1'" for each in types)
        slots += _slot("$XDSDocumentEntryTypeCode", f"({listed})")
    return (
        '<q:AdhocQueryRequest xmlns:q="urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0" '
        f'xmlns:rim="{RIM}"><q:ResponseOption returnType="LeafClass"/>'
        f'<rim:AdhocQuery id="urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d">{slots}</rim:AdhocQuery>'
        "</q:AdhocQueryRequest>"
    )


def retrieve(*unique_ids: str) -> str:
    """RetrieveDocumentSet (ITI-43)."""
    asked = "".join(
        f"<DocumentRequest><RepositoryUniqueId>{REPOSITORY}</RepositoryUniqueId>"
        f"<DocumentUniqueId>{each}</DocumentUniqueId></DocumentRequest>"
        for each in unique_ids
    )
    return f'<RetrieveDocumentSetRequest xmlns="{XDS}">{asked}</RetrieveDocumentSetRequest>'


@dataclass(frozen=True)
class Sent:
    """A document of a submission set."""

    unique_id: str
    content: bytes
    type: str = "11488-4"
    type_scheme: str = "2.16.840.1.113883.6.1"
    class_code: str = "10"
    format: str = TEXT_FORMAT
    mime: str = "text/xml"
    title: str = ""
    language: str = "fr-FR"
    digest: str | None = None
    confidentiality: Sequence[str] = ("N",)
    has_content: bool = True


def cda(text: str) -> bytes:
    """A text in a CDA."""
    return f'<ClinicalDocument xmlns="urn:hl7-org:v3"><title>{text}</title></ClinicalDocument>'.encode()


def signed(pen: Key, set_id: str, *documents: Sent) -> Sent:
    """The signature of a submission set, as cardd makes it."""
    listed = tuple(SetDocument(each.unique_id, BytesIO(each.content)) for each in documents)
    prepared = prepare_submission_set(SubmissionSetOptions(set_id, listed, True), pen.signer, datetime.now(UTC))
    return signature_of(set_id, pen.finish(prepared))


def signature_of(set_id: str, content: bytes) -> Sent:
    """A set's signature with its metadata."""
    return Sent(
        f"{set_id}.1",
        content,
        "E1762",
        "ASTM",
        "urn:oid:1.3.6.1.4.1.19376.1.2.1.1.1",
        SIGNATURE_FORMAT,
        title="Source",
        language="art",
        confidentiality=("N", "MASQUE_PS", "INVISIBLE_PATIENT"),
    )


def provide(set_id: str, *documents: Sent, included: bool = False) -> str:
    """ProvideAndRegisterDocumentSet-b (ITI-41); ``included``: the contents are parts beside it."""
    entries = "".join(_entry(number, each) for number, each in enumerate(documents))
    contents = "".join(
        f'<Document xmlns="{XDS}" id="entry{number}">{_content(number, each, included=included)}</Document>'
        for number, each in enumerate(documents)
        if each.has_content
    )
    return (
        f'<x:ProvideAndRegisterDocumentSetRequest xmlns:x="{XDS}"><lcm:SubmitObjectsRequest '
        f'xmlns:lcm="urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"><rim:RegistryObjectList xmlns:rim="{RIM}">'
        f"{entries}{_package(set_id)}{''.join(_associations(documents))}"
        f"</rim:RegistryObjectList></lcm:SubmitObjectsRequest>{contents}</x:ProvideAndRegisterDocumentSetRequest>"
    )


def multipart(message: bytes, *documents: Sent) -> tuple[bytes, str]:
    """MTOM: the message, and each content as it is in a part of its own; and the content type."""
    parts = [("<root>", "application/xop+xml; charset=UTF-8", message)]
    parts += [(f"<part{number}@sim>", "text/plain", each.content) for number, each in enumerate(documents)]
    written = b"".join(
        f"--FRONTIER\r\nContent-ID: {name}\r\nContent-Type: {kind}\r\n"
        "Content-Transfer-Encoding: binary\r\n\r\n".encode()
        + content
        + b"\r\n"
        for name, kind, content in parts
    )
    kind = 'multipart/related; type="application/xop+xml"; start="<root>"; boundary=FRONTIER'
    return written + b"--FRONTIER--\r\n", kind


def _content(number: int, document: Sent, *, included: bool) -> str:
    if included:
        return f'<xop:Include xmlns:xop="http://www.w3.org/2004/08/xop/include" href="cid:part{number}@sim"/>'
    return b64encode(document.content).decode()


def _package(set_id: str) -> str:
    return (
        f'<rim:RegistryPackage id="set">{_slot("submissionTime", "20261130101500")}'
        f"{_coded('set', 'aa543740-bdda-424e-8c96-df4873be8500', '04', '1.2.250.1.213.2.2')}"
        f"{_author('set', 'a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d')}"
        f"{_external('set', '96fdda7c-d067-4183-912e-bf5ee74998a8', set_id)}"
        f"{_external('set', '554ac39e-e3fe-47fe-b233-965d2a147832', '2.25.9999')}"
        f"{_external('set', '6b5aea1a-874d-4603-a4bc-96a0a7b38446', INS)}</rim:RegistryPackage>"
        '<rim:Classification classifiedObject="set" '
        'classificationNode="urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"/>'
    )


def _associations(documents: Sequence[Sent]) -> Iterator[str]:
    for number, each in enumerate(documents):
        yield (
            '<rim:Association associationType="urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember" '
            f'sourceObject="set" targetObject="entry{number}">{_slot("SubmissionSetStatus", "Original")}'
            "</rim:Association>"
        )
        if each.format == SIGNATURE_FORMAT:
            yield (
                '<rim:Association associationType="urn:ihe:iti:2007:AssociationType:signs" '
                f'sourceObject="entry{number}" targetObject="set"/>'
            )


def _entry(number: int, document: Sent) -> str:
    name = f"entry{number}"
    is_signature = document.format == SIGNATURE_FORMAT
    coded = [
        ("41a5887f-8865-4c09-adf7-e362475b143a", document.class_code, "1.2.250.1.213.1.1.4.1"),
        ("f0306f51-975f-434e-a61c-c59651d33983", document.type, document.type_scheme),
        ("a09d5840-386c-46f2-b5ad-9c3699a4309d", document.format, "1.3.6.1.4.1.19376.1.2.3"),
        ("f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1", "SA07", "1.2.250.1.71.4.2.4"),
        ("cccf5598-8b07-4b77-a05e-ae952c785ead", "AMBULATOIRE", "1.2.250.1.213.1.1.4.9"),
        *(("f4f85eac-e6cb-4883-b524-f2705394840f", each, LEVELS.get(each, MASKS)) for each in document.confidentiality),
        *([("2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4", "1.2.840.10065.1.12.1.14", "1.2.840.10065.1.12")] * is_signature),
    ]
    slots = {
        "creationTime": "20261130101500",
        "languageCode": document.language,
        "hash": document.digest or sha1(document.content).hexdigest(),
        "size": str(len(document.content)),
        "serviceStartTime": "202611301000",
        "legalAuthenticator": PERSON,
        "sourcePatientId": INS,
    }
    return (
        f'<rim:ExtrinsicObject id="{name}" mimeType="{document.mime}" '
        'objectType="urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1">'
        f"{''.join(_slot(*each) for each in slots.items())}"
        f"{_words(document.title or f'Ajout SIMULATION {document.unique_id}')}"
        f"{''.join(_coded(name, *each) for each in coded)}{_author(name, '93606bcf-9494-43ec-9b4e-a7748d1a838d')}"
        f"{_external(name, '58a6f841-87b3-4a3e-92fd-a8ffeff98427', INS)}"
        f"{_external(name, '2e82c1f6-a085-4c72-9da3-8640a32e42ab', document.unique_id)}</rim:ExtrinsicObject>"
    )


def _coded(name: str, scheme: str, code: str, table: str) -> str:
    return (
        f'<rim:Classification classificationScheme="urn:uuid:{scheme}" classifiedObject="{name}" '
        f'nodeRepresentation="{code}">{_slot("codingScheme", table)}{_words(code)}</rim:Classification>'
    )


def _author(name: str, scheme: str) -> str:
    return (
        f'<rim:Classification classificationScheme="urn:uuid:{scheme}" classifiedObject="{name}" '
        f'nodeRepresentation="">{_slot("authorPerson", PERSON)}{_slot("authorInstitution", PLACE)}'
        f"{_slot('authorSpecialty', 'G15_10/SM36^Oncologie^1.2.250.1.213.1.1.4.5')}</rim:Classification>"
    )


def _words(words: str) -> str:
    return f'<rim:Name><rim:LocalizedString value="{words}"/></rim:Name>'


def _external(name: str, scheme: str, value: str) -> str:
    return f'<rim:ExternalIdentifier registryObject="{name}" identificationScheme="urn:uuid:{scheme}" value="{value}"/>'


def _slot(name: str, value: str) -> str:
    return f'<rim:Slot name="{name}"><rim:ValueList><rim:Value>{value}</rim:Value></rim:ValueList></rim:Slot>'
