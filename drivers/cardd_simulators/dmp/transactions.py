"""What can be asked of the record: each call is let in, answered or refused, and remembered.

ITI-18 finds documents (FindDocuments, GetDocuments), ITI-43 retrieves them, ITI-41 adds a submission set with its
signature. Source: IHE ITI volumes 2 and 3.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from hashlib import sha1
from html import escape

from cryptography import x509

from cardd.values import Value
from cardd_simulators.dmp import metadata, registry
from cardd_simulators.dmp.caller import Caller, Gate
from cardd_simulators.dmp.codes import Codes
from cardd_simulators.dmp.records import PATIENT, REPOSITORY, SIGNATURE_FORMAT, Access, Document, Records
from cardd_simulators.dmp.registry import NotRegistered, RegistryError
from cardd_simulators.dmp.rights import Right, Rights
from cardd_simulators.dmp.submission import Entry, Submission, submission_of
from cardd_simulators.dmp.submission_set import wrong_in_submission_set
from cardd_simulators.soap import Message, Refused, envelope
from cardd_simulators.xmldsig import MALFORMED, Xml, parsed

QUERY = "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"
LCM = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"
XDS = "urn:ihe:iti:xds-b:2007"
SPACES = {"query": QUERY, "lcm": LCM, "xds": XDS, "rim": metadata.RIM}
CDA = "{urn:hl7-org:v3}ClinicalDocument"

FIND_DOCUMENTS = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
GET_DOCUMENTS = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"
QUOTED = re.compile(r"'([^']*)'")  # each value of a query's parameter
RETURNED = {"LeafClass": metadata.leaf, "ObjectRef": metadata.reference}

QUERIED, PROVIDED, RETRIEVED = "ITI-18", "ITI-41", "ITI-43"
BODIES = {
    f"{{{QUERY}}}AdhocQueryRequest": (QUERIED, "urn:ihe:iti:2007:RegistryStoredQuery"),
    f"{{{XDS}}}ProvideAndRegisterDocumentSetRequest": (PROVIDED, "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"),
    f"{{{XDS}}}RetrieveDocumentSetRequest": (RETRIEVED, "urn:ihe:iti:2007:RetrieveDocumentSet"),
}


class Call(Value):
    """A message, who sent it, and when."""

    message: Message
    caller: Caller
    now: datetime
    rights: Rights

    def may(self, right: Right, kind: str) -> bool:
        """Return whether the table gives the caller a right for a document type."""
        return self.rights.allow(right, self.caller.roles, kind, self.caller.access)

    def sees(self, document: Document) -> bool:
        """Return whether the caller sees a document: an indirect one sees its own references only."""
        is_own = document.structure == self.caller.structure
        if self.caller.mode == "indirect":
            return is_own
        is_shown = is_own or not document.is_masked or self.may(Right.MASKED, document.type)
        return is_shown and (document.format == SIGNATURE_FORMAT or self.may(Right.CONSULT, document.type))


class Outcome(Value):
    """The Body of an answer, and the documents it was about, for the history."""

    body: str
    documents: tuple[Document, ...]


def query(call: Call, records: Records) -> Outcome:
    """Return what the caller sees of what is asked for. Raises ``Refused``."""
    body = call.message.body
    asked = body.find("rim:AdhocQuery", SPACES)
    shown = RETURNED.get(body.xpath("string(query:ResponseOption/@returnType)", namespaces=SPACES))
    if asked is None or shown is None:
        raise _refusal("XDSRegistryError", "sim:query.malformed")
    found = tuple(document for document in _asked_for(asked, records) if call.sees(document))
    listed = "".join(shown(document) for document in found)
    return Outcome(
        f'<query:AdhocQueryResponse xmlns:query="{QUERY}" xmlns:rim="{metadata.RIM}" status="{registry.SUCCESS}">'
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
    raise _refusal("XDSUnknownStoredQuery", "sim:query.unknown", kind or "")


def _found(asked: Xml, records: Records) -> list[Document]:
    """Return the patient's documents: all of them, or those of some types, classes or formats."""
    patients = _values(asked, "$XDSDocumentEntryPatientId")
    for name, values in (("patient", patients), ("status", _values(asked, "$XDSDocumentEntryStatus"))):
        if not values:
            raise _refusal("XDSStoredQueryMissingParam", f"sim:query.{name}")
    if patients != [PATIENT]:
        raise _refusal("XDSUnknownPatientId", "sim:patient.unknown", " ".join(patients))
    types, classes, formats = (
        {value.partition("^^")[0] for value in _values(asked, f"$XDSDocumentEntry{name}")}
        for name in ("TypeCode", "ClassCode", "FormatCode")
    )
    return [
        each
        for each in records.documents
        if (not types or each.type in types)
        and (not classes or classes & set(each.codes("class")))
        and (not formats or each.format in formats)
    ]


def _values(asked: Xml, name: str) -> list[str]:
    return [value for text in metadata.slot(asked, name) for value in QUOTED.findall(text)]


def retrieve(call: Call, records: Records) -> Outcome:
    """Documents with their content, all of them or none. Raises ``Refused``."""
    if call.caller.mode == "indirect":
        raise Refused("sim:indirect.consultation")
    requests = call.message.body.findall("xds:DocumentRequest", SPACES)
    found = tuple(_wanted(call, request, records) for request in requests)
    if not found:
        raise _refusal("XDSRepositoryError", "sim:retrieve.malformed")
    return Outcome(
        f'<xds:RetrieveDocumentSetResponse xmlns:xds="{XDS}">{registry.success()}'
        f"{_retrieved(found)}</xds:RetrieveDocumentSetResponse>",
        found,
    )


def _wanted(call: Call, request: Xml, records: Records) -> Document:
    repository, name = (
        request.findtext(f"xds:{part}UniqueId", "", SPACES).strip() for part in ("Repository", "Document")
    )
    if repository != REPOSITORY:
        raise _refusal("XDSUnknownRepositoryId", "sim:repository.unknown", repository)
    document = records.find(name)
    if document is None:
        raise _refusal("XDSDocumentUniqueIdError", "sim:document.unknown", name)
    if not call.sees(document):
        raise Refused("sim:rights.consult")
    return document


def _retrieved(documents: Sequence[Document]) -> str:
    return "".join(
        f"<xds:DocumentResponse><xds:RepositoryUniqueId>{REPOSITORY}</xds:RepositoryUniqueId>"
        f"<xds:DocumentUniqueId>{escape(document.unique_id)}</xds:DocumentUniqueId>"
        f"<xds:mimeType>{escape(document.mime)}</xds:mimeType>"
        f"<xds:Document>{b64encode(document.content).decode()}</xds:Document></xds:DocumentResponse>"
        for document in documents
    )


def provide(call: Call, records: Records, codes: Codes, *, wants_signature: bool) -> Outcome:
    """Keep the documents of a set, all of them or none. Raises ``Refused``, NotRegistered."""
    if call.caller.mode == "air":
        raise Refused("sim:air.consultation_only")  # EX_AIR-010
    objects = call.message.body.find("lcm:SubmitObjectsRequest/rim:RegistryObjectList", SPACES)
    if objects is None:
        raise _refusal(registry.METADATA, "sim:metadata.malformed")
    submission = submission_of(objects, codes)
    _require_registrable(call, submission, records)
    contents = _submitted(call, submission.entries)
    _require_signature(call, submission, contents, wants_signature=wants_signature)
    kept = tuple(entry.document(contents[entry.unique_id], call.caller.structure) for entry in submission.entries)
    records.add(kept)
    return Outcome(registry.success(), kept)


def _require_registrable(call: Call, submission: Submission, records: Records) -> None:
    for name in {submission.patient, *(entry.patient for entry in submission.entries)} - {PATIENT}:
        raise _refusal("XDSUnknownPatientId", "sim:patient.unknown", name)
    names = [entry.unique_id for entry in submission.entries]
    if len(set(names)) != len(names):
        raise _refusal("XDSRegistryDuplicateUniqueIdInMessage", "sim:document.duplicate")
    for name in names:
        if records.find(name):
            raise _refusal("XDSDuplicateUniqueIdInRegistry", "sim:document.duplicate", name)
    if not all(call.may(Right.FEED, entry.type) for entry in submission.documents):
        raise Refused("sim:rights.feed")
    if records.is_full:
        raise _refusal("XDSRegistryOutOfResources", "sim:record.full")


def _submitted(call: Call, entries: Sequence[Entry]) -> dict[str, bytes]:
    """Return the bytes of each entry by its uniqueId."""
    sent: dict[str, Xml] = {each.get("id", ""): each for each in call.message.body.findall("xds:Document", SPACES)}
    named = {entry.entry_id for entry in entries}
    for name in named - sent.keys():
        raise _refusal("XDSMissingDocument", "sim:document.missing", location=name)
    for name in sent.keys() - named:
        raise _refusal("XDSMissingDocumentMetadata", "sim:document.unannounced", location=name)
    contents = {entry.unique_id: call.message.content(sent[entry.entry_id]) for entry in entries}
    for entry in entries:
        _require_told(entry, contents[entry.unique_id])
    return contents


def _require_told(entry: Entry, content: bytes) -> None:
    """A document is as its metadata tell."""
    metadata_error = "XDSRepositoryMetadataError"
    if entry.digest != sha1(content, usedforsecurity=False).hexdigest():
        raise _refusal(metadata_error, "sim:document.hash", entry.digest, entry.entry_id)
    if int(entry.size) != len(content):
        raise _refusal(metadata_error, "sim:document.size", entry.size, entry.entry_id)
    if not entry.is_signature and not _is_cda(content):
        raise _refusal("InvalidDocumentContent", "sim:document.cda", entry.mime, entry.entry_id)


def _is_cda(content: bytes) -> bool:
    try:
        return str(parsed(content).tag) == CDA
    except MALFORMED:
        return False


def _require_signature(
    call: Call, submission: Submission, contents: Mapping[str, bytes], *, wants_signature: bool
) -> None:
    """One signature over all the others, by whoever signed the VIHF."""
    signatures = [entry.unique_id for entry in submission.entries if entry.is_signature]
    if len(signatures) > 1 or (wants_signature and not signatures):
        raise Refused("sim:set.signature")
    signed = {name: content for name, content in contents.items() if name not in signatures}
    for name in signatures:
        wrong = wrong_in_submission_set(contents[name], submission.set_id, signed, call.now, call.caller.signer)
        if wrong:
            raise Refused(*(f"sim:{word}" for word in wrong))


def _refusal(code: str, reason: str, value: str = "", location: str = "") -> NotRegistered:
    return NotRegistered(RegistryError(code, reason, value, location))


def refusal(transaction: str, errors: Sequence[RegistryError]) -> str:
    """Return the Body of an answer to this transaction that refuses."""
    if transaction == QUERIED:
        return (
            f'<query:AdhocQueryResponse xmlns:query="{QUERY}" xmlns:rim="{metadata.RIM}" status="{registry.FAILURE}">'
            f"{registry.error_list(errors)}<rim:RegistryObjectList/></query:AdhocQueryResponse>"
        )
    if transaction == RETRIEVED:
        told = registry.failure(errors)
        return f'<xds:RetrieveDocumentSetResponse xmlns:xds="{XDS}">{told}</xds:RetrieveDocumentSetResponse>'
    return registry.failure(errors)


class Answer(Value):
    """A SOAP message; ``refused`` are the reasons of one that refuses."""

    content: bytes
    refused: Sequence[str] = ()


class Dmp:
    """The record of one fictitious patient behind its rules.

    ``codes``: those that the registry knows. ``wants_signature``: whether each submission set must be signed. ``told``
    hears of each access.
    """

    def __init__(
        self,
        records: Records,
        rights: Rights,
        codes: Codes,
        gate: Gate,
        told: Callable[[Access], None],
        *,
        wants_signature: bool = True,
    ) -> None:
        self.records = records
        self._rights = rights
        self._codes = codes
        self._gate = gate
        self._told = told
        self._wants_signature = wants_signature

    def answer(self, message: Message, tls: x509.Certificate, now: datetime) -> Answer:
        """Return the answer to a message that came over TLS with this certificate. Raises ``Refused``."""
        transaction, action = BODIES.get(message.body.tag, ("", ""))
        message.require_addressing(action)
        caller = self._gate.admit(message, tls, now)
        if caller.patient != PATIENT:
            raise Refused("sim:patient.unknown" if caller.patient else "sim:patient.missing")
        call = Call(message, caller, now, self._rights)
        try:
            outcome = self._outcome(transaction, call)
        except NotRegistered as refused:
            body = refusal(transaction, refused.errors)
            return Answer(envelope(body, f"{action}Response", message.identifier), refused.reasons)
        self._remember(call, transaction, outcome)
        return Answer(envelope(outcome.body, f"{action}Response", message.identifier))

    def _outcome(self, transaction: str, call: Call) -> Outcome:
        if transaction == QUERIED:
            return query(call, self.records)
        if transaction == RETRIEVED:
            return retrieve(call, self.records)
        return provide(call, self.records, self._codes, wants_signature=self._wants_signature)

    def _remember(self, call: Call, transaction: str, outcome: Outcome) -> None:
        caller = call.caller
        access = Access(
            when=call.now,
            person=caller.person,
            name=caller.name,
            roles=caller.roles,
            structure=caller.structure,
            software=caller.software,
            action=transaction,
            documents=tuple(document.title for document in outcome.documents if not document.is_invisible),
            mode=caller.mode,
            access=caller.access,
            is_secret=caller.is_secret,
        )
        self.records.remember(access)
        self._told(access)
