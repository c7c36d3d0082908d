"""One call that was let in, and what its caller may see of the record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cardd_simulators.dmp.caller import Caller
from cardd_simulators.dmp.records import SIGNATURE_FORMAT, Document
from cardd_simulators.dmp.rights import Right, Rights
from cardd_simulators.dmp.soap import Message


@dataclass(frozen=True, slots=True)
class Call:
    """A message, who sent it, and when."""

    message: Message
    caller: Caller
    now: datetime
    rights: Rights

    def may(self, right: Right, kind: str) -> bool:
        """Whether the table gives the caller a right for a document type."""
        return self.rights.allow(right, self.caller.roles, kind, self.caller.access)

    def sees(self, document: Document) -> bool:
        """Whether the caller sees a document: an indirect one sees its own references only."""
        is_own = document.structure == self.caller.structure
        if self.caller.mode == "indirect":
            return is_own
        is_shown = is_own or not document.is_masked or self.may(Right.MASKED, document.type)
        return is_shown and (document.format == SIGNATURE_FORMAT or self.may(Right.CONSULT, document.type))


@dataclass(frozen=True, slots=True)
class Answer:
    """The Body of an answer, and the documents it was about, for the history."""

    body: str
    documents: tuple[Document, ...]
