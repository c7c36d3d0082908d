"""The registry stored query (ITI-18: FindDocuments, GetDocuments) and retrieve (ITI-43)."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from html import escape

from cardd_simulators.dmp import metadata
from cardd_simulators.dmp.calls import Answer, Call
from cardd_simulators.dmp.faults import Refused
from cardd_simulators.dmp.records import PATIENT, REPOSITORY, Document, Records
from cardd_simulators.dmp.spaces import QUERY, RS, SPACES, SUCCESS, XDS
from cardd_simulators.dmp.xmldsig import Xml

FIND_DOCUMENTS = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
GET_DOCUMENTS = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"
QUOTED = re.compile(r"'([^']*)'")  # each value of a query's parameter
RETURNED = {"LeafClass": metadata.leaf, "ObjectRef": metadata.reference}


def query(call: Call, records: Records) -> Answer:
    """What the caller sees of what is asked for. Raises ``Refused``."""
    body = call.message.body
    asked = body.find("rim:AdhocQuery", SPACES)
    shown = RETURNED.get(body.xpath("string(query:ResponseOption/@returnType)", namespaces=SPACES))
    if asked is None or shown is None:
        raise Refused("sim:query.malformed")
    found = tuple(document for document in _asked_for(asked, records) if call.sees(document))
    listed = "".join(shown(document) for document in found)
    return Answer(
        f'<query:AdhocQueryResponse xmlns:query="{QUERY}" xmlns:rim="{metadata.RIM}" status="{SUCCESS}">'
        f"<rim:RegistryObjectList>{listed}</rim:RegistryObjectList></query:AdhocQueryResponse>",
        found,
    )


def _asked_for(asked: Xml, records: Records) -> list[Document]:
    kind = asked.get("id")
    if kind == FIND_DOCUMENTS:
        return _found(asked, records)
    if kind == GET_DOCUMENTS:
        names = {*_values(asked, "$XDSDocumentEntryUniqueId"), *_values(asked, "$XDSDocumentEntryEntryUUID")}
        return [each for each in records.documents if names & {each.unique_id, each.entry_id}]
    raise Refused("sim:query.unknown")


def _found(asked: Xml, records: Records) -> list[Document]:
    """All of the patient's, or those of some types, classes or formats."""
    if _values(asked, "$XDSDocumentEntryPatientId") != [PATIENT]:
        raise Refused("sim:patient.unknown")
    types, classes, formats = (
        {value.partition("^^")[0] for value in _values(asked, f"$XDSDocumentEntry{name}")}
        for name in ("TypeCode", "ClassCode", "FormatCode")
    )
    return [
        each
        for each in records.documents
        if (not types or each.type in types)
        and (not classes or each.class_code in classes)
        and (not formats or each.format in formats)
    ]


def _values(asked: Xml, name: str) -> list[str]:
    return [value for text in metadata.slot(asked, name) for value in QUOTED.findall(text)]


def retrieve(call: Call, records: Records) -> Answer:
    """Documents with their content, all of them or none. Raises ``Refused``."""
    if call.caller.mode == "indirect":
        raise Refused("sim:indirect.consultation")
    requests = call.message.body.findall("xds:DocumentRequest", SPACES)
    found = tuple(_wanted(call, request, records) for request in requests)
    if not found:
        raise Refused("sim:retrieve.malformed")
    return Answer(
        f'<xds:RetrieveDocumentSetResponse xmlns:xds="{XDS}"><rs:RegistryResponse xmlns:rs="{RS}" '
        f'status="{SUCCESS}"/>{_contents(found)}</xds:RetrieveDocumentSetResponse>',
        found,
    )


def _wanted(call: Call, request: Xml, records: Records) -> Document:
    if request.findtext("xds:RepositoryUniqueId", "", SPACES).strip() != REPOSITORY:
        raise Refused("sim:repository.unknown")
    document = records.find(request.findtext("xds:DocumentUniqueId", "", SPACES).strip())
    if document is None:
        raise Refused("sim:document.unknown")
    if not call.sees(document):
        raise Refused("sim:rights.consult")
    return document


def _contents(documents: Sequence[Document]) -> str:
    return "".join(
        f"<xds:DocumentResponse><xds:RepositoryUniqueId>{REPOSITORY}</xds:RepositoryUniqueId>"
        f"<xds:DocumentUniqueId>{escape(document.unique_id)}</xds:DocumentUniqueId>"
        f"<xds:mimeType>{escape(document.mime)}</xds:mimeType>"
        f"<xds:Document>{b64encode(document.content).decode()}</xds:Document></xds:DocumentResponse>"
        for document in documents
    )
