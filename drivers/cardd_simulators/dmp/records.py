"""The fictitious patient's documents, in memory, and the history of who used them.

The history is written as rows for programs, as a page for the patient, and as lines for whoever started the simulator.
"""

from __future__ import annotations

from base64 import b64encode
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from uuid import uuid4

from cardd.values import Value, field

INS, INS_OID = "185059999900181", "1.2.250.1.213.1.4.10"
PATIENT = f"{INS}^^^&{INS_OID}&ISO^NH"
PATIENT_NAME = "PATIENT SIMULATION"
REPOSITORY = "2.25.999000001"
SIGNATURE_FORMAT = "http://www.w3.org/2000/09/xmldsig#"
MASKED, INVISIBLE = "MASQUE_PS", "INVISIBLE_PATIENT"
DOCUMENTS_MAX = 1000
ACCESSES_MAX = 10_000
FIRST_STRUCTURE = "499999999999001"
FIRST_AUTHOR = "899999999999^SIMULATION-AUTEUR^DOMINIQUE^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS"
FIRST_INSTITUTION = f"CABINET SIMULATION^^^^^&1.2.250.1.71.4.2.2&ISO^IDNST^^^{FIRST_STRUCTURE}"

Row = dict[str, str | list[str]]
HEADS = {
    "date": "Date",
    "nom": "Professionnel",
    "identifiant": "Identifiant",
    "roles": "Rôles",
    "structure": "Structure",
    "logiciel": "Logiciel",
    "action": "Action",
    "documents": "Documents",
    "mode": "Mode",
    "acces": "Accès",
}


class Coded(Value):
    """A code, its coding scheme, and its words."""

    code: str
    scheme: str = ""
    words: str = ""


class Document(Value):
    """A document and what the registry tells of it; ``structure`` is whose it is, ``mime`` its media type.

    ``coded``: its codes by table, as ``codes.TABLES`` names them. ``author`` (XCN) and ``institution`` (XON) are HL7's.
    """

    HIDDEN = frozenset({"content"})

    unique_id: str
    title: str
    coded: Mapping[str, tuple[Coded, ...]]
    content: bytes
    mime: str = "text/xml"
    structure: str = FIRST_STRUCTURE
    author: str = FIRST_AUTHOR
    institution: str = FIRST_INSTITUTION
    language: str = "fr-FR"
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    entry_id: str = field(default_factory=lambda: uuid4().urn)

    def codes(self, table: str) -> tuple[str, ...]:
        """Return the codes of a table."""
        return tuple(each.code for each in self.coded.get(table, ()))

    @property
    def type(self) -> str:
        """Return the typeCode."""
        return self.codes("type")[0]

    @property
    def format(self) -> str:
        """Return the formatCode."""
        return self.codes("format")[0]

    @property
    def confidentiality(self) -> tuple[str, ...]:
        """Return the confidentiality codes."""
        return self.codes("confidentiality")

    @property
    def is_masked(self) -> bool:
        """Return whether the document is hidden from professionals elsewhere."""
        return MASKED in self.confidentiality

    @property
    def is_invisible(self) -> bool:
        """Return whether the document is hidden from the patient: the history does not name it."""
        return INVISIBLE in self.confidentiality


class Access(Value):
    """A line of the access history, as the patient sees it; ``is_secret``: the patient does not."""

    when: datetime
    person: str
    name: str
    roles: tuple[str, ...]
    structure: str
    software: str
    action: str
    documents: tuple[str, ...]
    mode: str
    access: str
    is_secret: bool


class Records:
    """The documents and the history, kept until the simulator ends; the oldest accesses go first."""

    def __init__(self, documents: Iterable[Document] = ()) -> None:
        self._documents = {document.unique_id: document for document in documents}
        self._accesses: deque[Access] = deque(maxlen=ACCESSES_MAX)

    @property
    def documents(self) -> Sequence[Document]:
        """Return all documents, the oldest first."""
        return tuple(self._documents.values())

    @property
    def history(self) -> Sequence[Access]:
        """Return all accesses that the patient sees, the newest first."""
        return tuple(access for access in reversed(self._accesses) if not access.is_secret)

    @property
    def is_full(self) -> bool:
        """Return whether no document fits in."""
        return len(self._documents) >= DOCUMENTS_MAX

    def find(self, unique_id: str) -> Document | None:
        """Return the document of this identifier."""
        return self._documents.get(unique_id)

    def add(self, documents: Iterable[Document]) -> None:
        """Keep documents."""
        self._documents |= {document.unique_id: document for document in documents}

    def remember(self, access: Access) -> None:
        """Write a line of the history."""
        self._accesses.append(access)


LOINC, LEVEL, MASKING = "2.16.840.1.113883.6.1", "2.16.840.1.113883.5.25", "1.2.250.1.213.1.1.4.13"
NORMAL = Coded("N", LEVEL, "Normal")
REPORT = (Coded("10", "1.2.250.1.213.1.1.4.1", "Compte rendu"), Coded("11488-4", LOINC, "CR de consultation"))
PRESCRIPTION = (Coded("42", "1.2.250.1.213.1.1.4.1", "Prescription"), Coded("57833-6", LOINC, "Prescription"))
AROUND = {
    "format": (Coded("urn:ihe:iti:xds-sd:text:2008", "1.3.6.1.4.1.19376.1.2.3", "Texte dans un CDA"),),
    "facility": (Coded("SA07", "1.2.250.1.71.4.2.4", "Cabinet individuel"),),
    "practice": (Coded("AMBULATOIRE", "1.2.250.1.213.1.1.4.9", "Ambulatoire"),),
}


def first_documents() -> list[Document]:
    """Return what the record has at the start."""
    shape = (
        ("2.25.999100001", "Compte rendu SIMULATION", REPORT, (NORMAL,)),
        ("2.25.999100002", "Prescription SIMULATION", PRESCRIPTION, (NORMAL,)),
        ("2.25.999100003", "Compte rendu masqué SIMULATION", REPORT, (NORMAL, Coded(MASKED, MASKING, "Masqué"))),
    )
    return [
        Document(
            unique_id,
            title,
            {"class": (kind[0],), "type": (kind[1],), "confidentiality": confidentiality, **AROUND},
            cda(unique_id, title, f"SIMULATION. {title}. Aucun patient réel.\n"),
        )
        for unique_id, title, kind, confidentiality in shape
    ]


def cda(unique_id: str, title: str, text: str) -> bytes:
    """Return a text in a CDA of level 1: enough of one to be read, not a conformant one."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ClinicalDocument xmlns="urn:hl7-org:v3">'
        f'<typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/><id root="{escape(unique_id)}"/>'
        f"<title>{escape(title)}</title><component><nonXMLBody>"
        f'<text mediaType="text/plain" representation="B64">{b64encode(text.encode()).decode()}</text>'
        "</nonXMLBody></component></ClinicalDocument>"
    ).encode()


def row(access: Access) -> Row:
    """Return one access as a row, with its date in ISO 8601."""
    return {
        "date": access.when.isoformat(timespec="seconds"),
        "nom": access.name,
        "identifiant": access.person,
        "roles": list(access.roles),
        "structure": access.structure,
        "logiciel": access.software,
        "action": access.action,
        "documents": list(access.documents),
        "mode": access.mode,
        "acces": access.access,
    }


def rows(records: Records) -> list[Row]:
    """Return what the patient sees, the newest first."""
    return [row(access) for access in records.history]


def line(access: Access) -> str:
    """Return one access in a line."""
    return "  ".join(_text(value) for value in row(access).values())


def page(records: Records) -> str:
    """Return the history as an HTML page."""
    heads = "".join(f"<th>{head}</th>" for head in HEADS.values())
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(_text(one[name]))}</td>' for name in HEADS)}</tr>" for one in rows(records)
    )
    return (
        '<!DOCTYPE html><html lang="fr"><meta charset="utf-8"><title>SIMULATION – historique des accès</title>'
        "<style>body{font-family:sans-serif}td,th{padding:.2em .6em;text-align:left;border-bottom:1px solid}</style>"
        f"<h1>SIMULATION – historique des accès au dossier de {PATIENT_NAME}</h1>"
        f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></html>"
    )


def _text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else ", ".join(value)
