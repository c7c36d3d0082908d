"""The fictitious patient's documents, in memory, and the history of who used them.

The history is written as rows for programs, as a page for the patient, and as lines for whoever started the simulator.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from uuid import uuid4

INS, INS_OID = "185059999900181", "1.2.250.1.213.1.4.10"
PATIENT = f"{INS}^^^&{INS_OID}&ISO^NH"
PATIENT_NAME = "PATIENTE SIMULATION"
REPOSITORY = "2.25.999000001"
SIGNATURE_FORMAT = "http://www.w3.org/2000/09/xmldsig#"
MASKED, INVISIBLE = "MASQUE_PS", "INVISIBLE_PATIENT"
DOCUMENTS_MAX = 1000
ACCESSES_MAX = 10_000
FIRST_STRUCTURE = "499999999999001"

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


@dataclass(frozen=True, slots=True)
class Document:
    """A document and what the registry tells of it; ``structure`` is whose it is, ``mime`` its media type."""

    unique_id: str
    title: str
    type: str
    class_code: str
    format: str
    mime: str
    content: bytes = field(repr=False)
    structure: str = FIRST_STRUCTURE
    author: str = "DR SIMULATION-AUTEUR"
    confidentiality: tuple[str, ...] = ("N",)
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    entry_id: str = field(default_factory=lambda: uuid4().urn)

    @property
    def is_masked(self) -> bool:
        """Return whether the document is hidden from professionals elsewhere."""
        return MASKED in self.confidentiality

    @property
    def is_invisible(self) -> bool:
        """Return whether the document is hidden from the patient: the history does not name it."""
        return INVISIBLE in self.confidentiality


@dataclass(frozen=True, slots=True)
class Access:
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


def first_documents() -> list[Document]:
    """Return what the record has at the start."""
    shape = (
        ("2.25.999100001", "Compte rendu SIMULATION", "11488-4", "10", ("N",)),
        ("2.25.999100002", "Prescription SIMULATION", "57833-6", "42", ("N",)),
        ("2.25.999100003", "Compte rendu masqué SIMULATION", "11488-4", "10", ("N", MASKED)),
    )
    return [
        Document(
            unique_id,
            title,
            kind,
            class_code,
            "urn:ihe:iti:xds-sd:text:2008",
            "text/plain",
            f"SIMULATION. {title}. Aucun patient réel.\n".encode(),
            confidentiality=confidentiality,
        )
        for unique_id, title, kind, class_code, confidentiality in shape
    ]


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
