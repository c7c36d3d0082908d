"""A submission set's metadata as it came, and all that a registry finds wrong with it.

Sources: IHE ITI volume 3 (4.2, metadata), IHE DSG (the signature's entry), and ANS's public mapping of the DMP's
metadata, which says what the DMP wants beyond IHE.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from cardd.values import Value
from cardd_simulators.dmp.codes import CLASSES_OF_TYPES, Codes
from cardd_simulators.dmp.metadata import (
    AUTHOR,
    CLASSIFICATIONS,
    CONTENT_TYPE,
    DOCUMENT_ID,
    DOCUMENT_PATIENT,
    EVENT,
    HAS_MEMBER,
    SET_AUTHOR,
    SET_ID,
    SET_NODE,
    SET_PATIENT,
    SET_SOURCE,
    SIGNS,
    SPACES,
    STABLE,
    external,
    slot,
)
from cardd_simulators.dmp.records import INVISIBLE, MASKED, SIGNATURE_FORMAT, Coded, Document
from cardd_simulators.dmp.registry import METADATA, NotRegistered, RegistryError
from cardd_simulators.xmldsig import Xml

OID = re.compile(r"[0-2](\.(0|[1-9]\d*))+")
OID_MAX = 64 + 1 + 16  # with an extension, as IHE limits them
TIME = re.compile(r"\d{4}((0[1-9]|1[0-2])((0[1-9]|[12]\d|3[01])(([01]\d|2[0-3])([0-5]\d([0-5]\d)?)?)?)?)?")
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?")
PERSON = re.compile(r"[^^]+\^[^^]+\^[^^]*\^{6}&[\d.]+&ISO\^[A-Z]\^{3}[A-Z]+")
INSTITUTION = re.compile(r"[^^]+\^{5}&[\d.]+&ISO\^[A-Z]+\^{3}[^^]+")
HASH, SIZE = re.compile(r"[0-9a-fA-F]{40}"), re.compile(r"\d{1,12}")

SIGNATURE_CLASS = "urn:oid:1.3.6.1.4.1.19376.1.2.1.1.1"
SIGNATURE_TYPE, SIGNATURE_LANGUAGE, SIGNATURE_TITLE, SIGNATURE_MIME = "E1762", "art", "Source", "text/xml"
SIGNATURE_EVENT = "1.2.840.10065.1.12.1.14"
LEVELS = "2.16.840.1.113883.5.25"  # N, R and V: one of them is always there

ALWAYS = {"creationTime": TIME, "languageCode": LANGUAGE, "hash": HASH, "size": SIZE}
OF_DOCUMENTS = {"serviceStartTime": TIME, "legalAuthenticator": PERSON, "sourcePatientId": re.compile(r".+")}
ONE = ("class", "type", "format", "facility", "practice")


class Entry(Value):
    """A DocumentEntry as it was submitted; ``entry_id`` is its name in the message."""

    entry_id: str
    unique_id: str
    patient: str
    title: str
    coded: dict[str, tuple[Coded, ...]]
    mime: str
    digest: str
    size: str
    author: str
    institution: str
    language: str

    @property
    def type(self) -> str:
        """Return the typeCode, empty where there is none."""
        return _first(self.coded["type"])

    @property
    def is_signature(self) -> bool:
        """Return whether the entry is that of the set's signature."""
        return _first(self.coded["format"]) == SIGNATURE_FORMAT

    def document(self, content: bytes, structure: str) -> Document:
        """Return the document that is kept."""
        return Document(
            self.unique_id,
            self.title,
            self.coded,
            content,
            mime=self.mime,
            structure=structure,
            author=self.author,
            institution=self.institution,
            language=self.language,
        )


class Submission(Value):
    """A set: its identifier, its patient, and the entries of its documents."""

    set_id: str
    patient: str
    entries: Sequence[Entry]

    @property
    def documents(self) -> Sequence[Entry]:
        """Return the entries but for those of signatures."""
        return [entry for entry in self.entries if not entry.is_signature]


def submission_of(objects: Xml, codes: Codes) -> Submission:
    """Return what a RegistryObjectList tells. Raises NotRegistered with all that is wrong with it."""
    found = objects.findall("rim:RegistryPackage", SPACES)
    sets = [each for each in found if external(each, SET_ID)]
    if len(sets) != 1:
        raise NotRegistered(RegistryError(METADATA, "sim:metadata.submission_set"))
    elements = objects.findall("rim:ExtrinsicObject", SPACES)
    entries = [_entry(each) for each in elements]
    wrong = [
        *_wrong_in_set(objects, sets[0], codes),
        *(
            error
            for element, entry in zip(elements, entries, strict=True)
            for error in _wrong_in_entry(element, entry, codes)
        ),
        *_wrong_in_associations(objects, sets[0].get("id", ""), entries),
    ]
    if not any(not entry.is_signature for entry in entries):
        wrong.append(RegistryError(METADATA, "sim:metadata.document"))
    if wrong:
        raise NotRegistered(*wrong)
    return Submission(external(sets[0], SET_ID), external(sets[0], SET_PATIENT), entries)


def _entry(element: Xml) -> Entry:
    return Entry(
        entry_id=element.get("id", ""),
        unique_id=external(element, DOCUMENT_ID),
        patient=external(element, DOCUMENT_PATIENT),
        title=_words(element),
        coded={table: tuple(_coded(element, scheme)) for table, scheme in CLASSIFICATIONS.items()},
        mime=element.get("mimeType", ""),
        digest=_first_of(slot(element, "hash")).lower(),
        size=_first_of(slot(element, "size")),
        author=_author(element, AUTHOR, "authorPerson"),
        institution=_author(element, AUTHOR, "authorInstitution"),
        language=_first_of(slot(element, "languageCode")),
    )


def _wrong_in_entry(element: Xml, entry: Entry, codes: Codes) -> Iterator[RegistryError]:
    def wrong(word: str, value: str = "") -> RegistryError:
        return RegistryError(METADATA, f"sim:metadata.{word}", value, entry.entry_id)

    if not entry.entry_id:
        yield wrong("id")
    if not OID.fullmatch(entry.unique_id.partition("^")[0]) or len(entry.unique_id) > OID_MAX:
        yield wrong("unique_id", entry.unique_id)
    if element.get("objectType") != STABLE:
        yield wrong("object_type", element.get("objectType", ""))
    if not entry.title:
        yield wrong("title")
    yield from (wrong(*one) for one in _wrong_in_slots(element, ALWAYS))
    yield from (wrong(*one) for one in _wrong_in_author(element, AUTHOR, codes))
    yield from (wrong(*one) for one in _wrong_in_confidentiality(entry, codes))
    if entry.is_signature:
        yield from (wrong(f"signature.{word}", value) for word, value in _wrong_in_signature(element, entry))
        return
    yield from (wrong(*one) for one in _wrong_in_slots(element, OF_DOCUMENTS))
    for table in ONE:
        yield from (wrong(*one) for one in _wrong_in_codes(table, entry.coded[table], codes))
    if not codes.knows("mime", entry.mime):
        yield wrong("mime", entry.mime)
    fit = CLASSES_OF_TYPES.get(entry.type, ())
    if fit and _first(entry.coded["class"]) not in fit:
        yield wrong("class.of_type", f"{_first(entry.coded['class'])} {entry.type}")


def _wrong_in_codes(table: str, found: Sequence[Coded], codes: Codes) -> Iterator[tuple[str, str]]:
    if len(found) != 1:
        yield f"{table}.{'several' if found else 'missing'}", ""
    yield from (one for code in found for one in _wrong_in_code(table, code, codes))


def _wrong_in_code(table: str, found: Coded, codes: Codes) -> Iterator[tuple[str, str]]:
    if not codes.knows(table, found.code):
        yield table, found.code
    elif not codes.has(table, found.code, found.scheme):
        yield f"{table}.scheme", f"{found.code} {found.scheme}"
    if not found.words:
        yield f"{table}.name", found.code


def _wrong_in_confidentiality(entry: Entry, codes: Codes) -> Iterator[tuple[str, str]]:
    found = entry.coded["confidentiality"]
    yield from (one for code in found for one in _wrong_in_code("confidentiality", code, codes))
    if sum(one.scheme == LEVELS for one in found) != 1:
        yield "confidentiality.level", " ".join(one.code for one in found)


def _wrong_in_signature(element: Xml, entry: Entry) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the entry of a set's signature: its values are constants."""
    told = {
        "class": (SIGNATURE_CLASS, _first(entry.coded["class"])),
        "type": (SIGNATURE_TYPE, entry.type),
        "title": (SIGNATURE_TITLE, entry.title),
        "language": (SIGNATURE_LANGUAGE, entry.language),
        "mime": (SIGNATURE_MIME, entry.mime),
        "event": (SIGNATURE_EVENT, _first(tuple(_coded(element, EVENT)))),
    }
    yield from ((word, value) for word, (wanted, value) in told.items() if value != wanted)
    kept = {one.code for one in entry.coded["confidentiality"]}
    if not {"N", MASKED, INVISIBLE} <= kept:
        yield "confidentiality", " ".join(sorted(kept))
    for table in ("class", "type", "format"):
        if any(not one.scheme for one in entry.coded[table]):
            yield f"{table}.scheme", ""


def _wrong_in_slots(element: Xml, wanted: dict[str, re.Pattern[str]]) -> Iterator[tuple[str, str]]:
    for name, form in wanted.items():
        values = slot(element, name)
        if len(values) != 1:
            yield f"{name}.{'several' if values else 'missing'}", ""
        elif not form.fullmatch(values[0]):
            yield name, values[0]


def _wrong_in_author(element: Xml, scheme: str, codes: Codes) -> Iterator[tuple[str, str]]:
    authors = _classified(element, scheme)
    if not authors:
        yield "author.missing", ""
    for author in authors:
        persons = slot(author, "authorPerson")
        if len(persons) != 1 or not PERSON.fullmatch(persons[0]):
            yield "author.person", " ".join(persons)
        for institution in slot(author, "authorInstitution"):
            if not INSTITUTION.fullmatch(institution):
                yield "author.institution", institution
        for specialty in slot(author, "authorSpecialty"):
            code, _, rest = specialty.partition("^")
            if not codes.has("specialty", code, rest.rpartition("^")[2]):
                yield "author.specialty", specialty


def _wrong_in_set(objects: Xml, the_set: Xml, codes: Codes) -> Iterator[RegistryError]:
    name = the_set.get("id", "")

    def wrong(word: str, value: str = "") -> RegistryError:
        return RegistryError(METADATA, f"sim:metadata.set.{word}", value, name)

    for word, scheme in (("unique_id", SET_ID), ("source_id", SET_SOURCE)):
        if not OID.fullmatch(external(the_set, scheme)):
            yield wrong(word, external(the_set, scheme))
    yield from (wrong(*one) for one in _wrong_in_slots(the_set, {"submissionTime": TIME}))
    content = list(_coded(the_set, CONTENT_TYPE))
    if len(content) != 1 or not all(one.code and one.scheme and one.words for one in content):
        yield wrong("content_type", " ".join(one.code for one in content))
    yield from (wrong(*one) for one in _wrong_in_author(the_set, SET_AUTHOR, codes))
    nodes = objects.xpath(f"descendant::rim:Classification[@classificationNode='{SET_NODE}']", namespaces=SPACES)
    if [node.get("classifiedObject") for node in nodes] != [name]:
        yield wrong("node")


def _wrong_in_associations(objects: Xml, set_name: str, entries: Sequence[Entry]) -> Iterator[RegistryError]:
    found = objects.findall("rim:Association", SPACES)
    known = {set_name, *(entry.entry_id for entry in entries)}
    for each in found:
        lost = {each.get("sourceObject", ""), each.get("targetObject", "")} - known
        if lost:
            yield RegistryError("UnresolvedReferenceException", "sim:metadata.association", " ".join(sorted(lost)))
    members = [each for each in found if each.get("associationType") == HAS_MEMBER]
    for entry in entries:
        own = [each for each in members if each.get("targetObject") == entry.entry_id]
        if [each.get("sourceObject") for each in own] != [set_name]:
            yield RegistryError(METADATA, "sim:metadata.has_member", location=entry.entry_id)
        elif slot(own[0], "SubmissionSetStatus") != ["Original"]:
            yield RegistryError(METADATA, "sim:metadata.submission_set_status", location=entry.entry_id)
        signs = [each.get("targetObject") for each in found if _signs(each, entry)]
        if signs != ([set_name] if entry.is_signature else []):
            yield RegistryError(METADATA, "sim:metadata.signs", location=entry.entry_id)


def _signs(association: Xml, entry: Entry) -> bool:
    return (association.get("associationType"), association.get("sourceObject")) == (SIGNS, entry.entry_id)


def _classified(element: Xml, scheme: str) -> list[Xml]:
    return list(element.xpath(f"rim:Classification[@classificationScheme='{scheme}']", namespaces=SPACES))


def _coded(element: Xml, scheme: str) -> Iterator[Coded]:
    for each in _classified(element, scheme):
        yield Coded(each.get("nodeRepresentation", ""), _first_of(slot(each, "codingScheme")), _words(each))


def _author(element: Xml, scheme: str, name: str) -> str:
    return _first_of([value for author in _classified(element, scheme) for value in slot(author, name)])


def _words(element: Xml) -> str:
    return str(element.xpath("string(rim:Name/rim:LocalizedString/@value)", namespaces=SPACES)).strip()


def _first(coded: Sequence[Coded]) -> str:
    return coded[0].code if coded else ""


def _first_of(found: Sequence[str]) -> str:
    return found[0] if found else ""
