"""The XDS metadata of documents in the ebXML registry's XML: its names, and how a registry tells what it keeps.

Source: IHE ITI volume 3.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC
from html import escape

from cardd_simulators.dmp.records import PATIENT, PATIENT_NAME, REPOSITORY, Coded, Document
from cardd_simulators.xmldsig import Xml

RIM = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
SPACES = {"rim": RIM}
STABLE = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"
APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
CLASSIFICATIONS = {
    "class": "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a",
    "type": "urn:uuid:f0306f51-975f-434e-a61c-c59651d33983",
    "format": "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d",
    "confidentiality": "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f",
    "facility": "urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1",
    "practice": "urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead",
}
AUTHOR = "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d"
EVENT = "urn:uuid:2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4"
DOCUMENT_ID = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"
DOCUMENT_PATIENT = "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427"
SET_NODE = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"
SET_ID = "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8"
SET_PATIENT = "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446"
SET_SOURCE = "urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832"
SET_AUTHOR = "urn:uuid:a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d"
CONTENT_TYPE = "urn:uuid:aa543740-bdda-424e-8c96-df4873be8500"
HAS_MEMBER = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
SIGNS = "urn:ihe:iti:2007:AssociationType:signs"


def external(element: Xml, scheme: str) -> str:
    """Return an external identifier, empty where there is none."""
    return str(
        element.xpath(f"string(rim:ExternalIdentifier[@identificationScheme='{scheme}']/@value)", namespaces=SPACES)
    )


def slot(element: Xml, name: str) -> list[str]:
    """Return a slot's values."""
    path = f"rim:Slot[@name='{name}']/rim:ValueList/rim:Value"
    return [(value.text or "").strip() for value in element.xpath(path, namespaces=SPACES)]


def reference(document: Document) -> str:
    """Return the document's identifier in the registry alone."""
    return f'<rim:ObjectRef id="{document.entry_id}"/>'


def leaf(document: Document) -> str:
    """Return all that the registry tells of a document."""
    return (
        f'<rim:ExtrinsicObject id="{document.entry_id}" objectType="{STABLE}" status="{APPROVED}" '
        f'mimeType="{escape(document.mime)}">{"".join(_slots(document))}{_name(document.title)}'
        f"{''.join(_classified(document))}{''.join(_identified(document))}</rim:ExtrinsicObject>"
    )


def _slots(document: Document) -> Iterator[str]:
    told = {
        "creationTime": f"{document.created.astimezone(UTC):%Y%m%d%H%M%S}",
        "hash": hashlib.sha1(document.content, usedforsecurity=False).hexdigest(),  # as XDS has it
        "size": str(len(document.content)),
        "languageCode": document.language,
        "repositoryUniqueId": REPOSITORY,
        "sourcePatientId": PATIENT,
        "sourcePatientInfo": f"PID-5|{PATIENT_NAME.replace(' ', '^')}^^^^^D",
    }
    return (_slot(name, value) for name, value in told.items())


def _slot(name: str, value: str) -> str:
    return f'<rim:Slot name="{name}"><rim:ValueList><rim:Value>{escape(value)}</rim:Value></rim:ValueList></rim:Slot>'


def _name(words: str) -> str:
    return f'<rim:Name><rim:LocalizedString xml:lang="fr-FR" value="{escape(words)}"/></rim:Name>'


def _classified(document: Document) -> Iterator[str]:
    coded = [(CLASSIFICATIONS[table], code) for table, codes in document.coded.items() for code in codes]
    for number, (scheme, code) in enumerate(coded):
        inside = _slot("codingScheme", code.scheme) + _name(code.words)
        yield _classification(document, number, scheme, code, inside)
    author = _slot("authorPerson", document.author) + _slot("authorInstitution", document.institution)
    yield _classification(document, len(coded), AUTHOR, Coded(""), author)


def _classification(document: Document, number: int, scheme: str, code: Coded, inside: str) -> str:
    return (
        f'<rim:Classification id="{document.entry_id}.c{number}" classificationScheme="{scheme}" '
        f'classifiedObject="{document.entry_id}" nodeRepresentation="{escape(code.code)}">{inside}</rim:Classification>'
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
