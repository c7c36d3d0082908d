"""The fictitious patient's documents, in memory, and who used them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
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
        """Whether professionals elsewhere do not see it."""
        return MASKED in self.confidentiality

    @property
    def is_invisible(self) -> bool:
        """Whether the patient does not see it: the history does not name it."""
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
    """What the sandbox keeps until it ends; the oldest accesses go first."""

    def __init__(self, documents: Iterable[Document] = ()) -> None:
        self._documents = {document.unique_id: document for document in documents}
        self._accesses: deque[Access] = deque(maxlen=ACCESSES_MAX)

    @property
    def documents(self) -> Sequence[Document]:
        """All of them, the oldest first."""
        return tuple(self._documents.values())

    @property
    def history(self) -> Sequence[Access]:
        """All accesses that the patient sees, the newest first."""
        return tuple(access for access in reversed(self._accesses) if not access.is_secret)

    @property
    def is_full(self) -> bool:
        """Whether no document fits in."""
        return len(self._documents) >= DOCUMENTS_MAX

    def find(self, unique_id: str) -> Document | None:
        """The document of this identifier."""
        return self._documents.get(unique_id)

    def add(self, documents: Iterable[Document]) -> None:
        """Keep documents."""
        self._documents |= {document.unique_id: document for document in documents}

    def remember(self, access: Access) -> None:
        """Write a line of the history."""
        self._accesses.append(access)


def first_documents() -> list[Document]:
    """What the record has at the start."""
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
