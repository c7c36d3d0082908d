"""The XDS metadata of documents, read and written: IHE ITI volume 3, in the ebXML registry's XML."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from html import escape

from cardd_simulators.dmp.records import PATIENT, PATIENT_NAME, REPOSITORY, Document
from cardd_simulators.dmp.soap import Refused
from cardd_simulators.dmp.xmldsig import Xml

RIM = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
SPACES = {"rim": RIM}
STABLE = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"
APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
CLASS = "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a"
TYPE = "urn:uuid:f0306f51-975f-434e-a61c-c59651d33983"
FORMAT = "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d"
CONFIDENTIALITY = "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f"
AUTHOR = "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d"
DOCUMENT_ID = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"
DOCUMENT_PATIENT = "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427"
SET_ID = "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8"
SET_PATIENT = "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446"
LOINC, XDS_CLASSES = "2.16.840.1.113883.6.1", "1.2.250.1.213.1.1.4.1"
CONFIDENTIALITIES = "2.16.840.1.113883.5.25"


@dataclass(frozen=True, slots=True)
class Entry:
    """A DocumentEntry as it was submitted; ``entry_id`` is its name in the message."""

    entry_id: str
    unique_id: str
    patient: str
    title: str
    type: str
    class_code: str
    format: str
    mime: str
    confidentiality: tuple[str, ...]
    digest: str | None

    def document(self, content: bytes, structure: str, author: str) -> Document:
        """Return the document that is kept."""
        return Document(
            self.unique_id,
            self.title,
            self.type,
            self.class_code,
            self.format,
            self.mime,
            content,
            structure,
            author,
            self.confidentiality,
        )


def entries_of(objects: Xml) -> list[Entry]:
    """Return the documents' entries in a RegistryObjectList. Raises ``Refused``."""
    return [_entry(each) for each in objects.findall("rim:ExtrinsicObject", SPACES)]


def set_of(objects: Xml) -> tuple[str, str]:
    """Return the identifier of the submission set, and its patient. Raises ``Refused``."""
    found = objects.findall("rim:RegistryPackage", SPACES)
    sets = [each for each in found if external(each, SET_ID)]
    if len(sets) != 1:
        raise Refused("sim:metadata.submission_set")
    return external(sets[0], SET_ID), external(sets[0], SET_PATIENT)


def external(element: Xml, scheme: str) -> str:
    """Return an external identifier, empty where there is none."""
    return str(
        element.xpath(f"string(rim:ExternalIdentifier[@identificationScheme='{scheme}']/@value)", namespaces=SPACES)
    )


def slot(element: Xml, name: str) -> list[str]:
    """Return a slot's values."""
    path = f"rim:Slot[@name='{name}']/rim:ValueList/rim:Value"
    return [(value.text or "").strip() for value in element.xpath(path, namespaces=SPACES)]


def _entry(element: Xml) -> Entry:
    formats, types, classes = (_codes(element, scheme) for scheme in (FORMAT, TYPE, CLASS))
    unique_id, name = external(element, DOCUMENT_ID), element.get("id", "")
    if not (unique_id and name and len(formats) == len(types) == len(classes) == 1):
        raise Refused("sim:metadata.document")
    return Entry(
        entry_id=name,
        unique_id=unique_id,
        patient=external(element, DOCUMENT_PATIENT),
        title=str(element.xpath("string(rim:Name/rim:LocalizedString/@value)", namespaces=SPACES)),
        type=types[0],
        class_code=classes[0],
        format=formats[0],
        mime=element.get("mimeType", "application/octet-stream"),
        confidentiality=tuple(_codes(element, CONFIDENTIALITY)),
        digest=next(iter(slot(element, "hash")), None),
    )


def _codes(element: Xml, scheme: str) -> list[str]:
    path = f"rim:Classification[@classificationScheme='{scheme}']/@nodeRepresentation"
    return [str(code) for code in element.xpath(path, namespaces=SPACES)]


def reference(document: Document) -> str:
    """Return the document's identifier in the registry alone."""
    return f'<rim:ObjectRef id="{document.entry_id}"/>'


def leaf(document: Document) -> str:
    """Return all that the registry tells of a document."""
    return (
        f'<rim:ExtrinsicObject id="{document.entry_id}" objectType="{STABLE}" status="{APPROVED}" '
        f'mimeType="{escape(document.mime)}">{"".join(_slots(document))}'
        f'<rim:Name><rim:LocalizedString xml:lang="fr-FR" value="{escape(document.title)}"/></rim:Name>'
        f"{''.join(_classified(document))}{''.join(_identified(document))}</rim:ExtrinsicObject>"
    )


def _slots(document: Document) -> Iterator[str]:
    told = {
        "creationTime": f"{document.created.astimezone(UTC):%Y%m%d%H%M%S}",
        "hash": hashlib.sha1(document.content, usedforsecurity=False).hexdigest(),  # as XDS has it
        "size": str(len(document.content)),
        "languageCode": "fr-FR",
        "repositoryUniqueId": REPOSITORY,
        "sourcePatientId": PATIENT,
        "sourcePatientInfo": f"PID-5|{PATIENT_NAME.replace(' ', '^')}^^^^^D",
    }
    return (_slot(name, value) for name, value in told.items())


def _slot(name: str, value: str) -> str:
    return f'<rim:Slot name="{name}"><rim:ValueList><rim:Value>{escape(value)}</rim:Value></rim:ValueList></rim:Slot>'


def _classified(document: Document) -> Iterator[str]:
    coded = [
        (CLASS, document.class_code, XDS_CLASSES),
        (TYPE, document.type, LOINC),
        (FORMAT, document.format, "1.3.6.1.4.1.19376.1.2.3"),
        *((CONFIDENTIALITY, code, CONFIDENTIALITIES) for code in document.confidentiality),
    ]
    for number, (scheme, code, table) in enumerate(coded):
        inside = _slot("codingScheme", table)
        yield _classification(document, number, scheme, code, inside)
    author = _slot("authorPerson", document.author) + _slot("authorInstitution", document.structure)
    yield _classification(document, len(coded), AUTHOR, "", author)


def _classification(document: Document, number: int, scheme: str, code: str, inside: str) -> str:
    return (
        f'<rim:Classification id="{document.entry_id}.c{number}" classificationScheme="{scheme}" '
        f'classifiedObject="{document.entry_id}" nodeRepresentation="{escape(code)}">{inside}</rim:Classification>'
    )


def _identified(document: Document) -> Iterator[str]:
    named = (
        (DOCUMENT_PATIENT, PATIENT, "XDSDocumentEntry.patientId"),
        (DOCUMENT_ID, document.unique_id, "XDSDocumentEntry.uniqueId"),
    )
    for number, (scheme, value, name) in enumerate(named):
        yield (
            f'<rim:ExternalIdentifier id="{document.entry_id}.i{number}" registryObject="{document.entry_id}" '
            f'identificationScheme="{scheme}" value="{escape(value)}"><rim:Name><rim:LocalizedString '
            f'value="{name}"/></rim:Name></rim:ExternalIdentifier>'
        )
