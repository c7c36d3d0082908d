"""What can be asked of the record: each call is let in, answered or refused, and remembered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from cryptography import x509

from cardd_simulators.dmp import consulting, feeding
from cardd_simulators.dmp.caller import Gate
from cardd_simulators.dmp.calls import Answer, Call
from cardd_simulators.dmp.faults import Refused, envelope
from cardd_simulators.dmp.records import PATIENT, Access, Records
from cardd_simulators.dmp.rights import Rights
from cardd_simulators.dmp.soap import Message
from cardd_simulators.dmp.spaces import QUERY, XDS

QUERIED, PROVIDED, RETRIEVED = "ITI-18", "ITI-41", "ITI-43"
BODIES = {
    f"{{{QUERY}}}AdhocQueryRequest": (QUERIED, "urn:ihe:iti:2007:RegistryStoredQuery"),
    f"{{{XDS}}}ProvideAndRegisterDocumentSetRequest": (PROVIDED, "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"),
    f"{{{XDS}}}RetrieveDocumentSetRequest": (RETRIEVED, "urn:ihe:iti:2007:RetrieveDocumentSet"),
}


class Dmp:
    """The record of one fictitious patient behind its rules.

    ``wants_signature``: whether each submission set must be signed. ``told`` hears of each access.
    """

    def __init__(
        self,
        records: Records,
        rights: Rights,
        gate: Gate,
        told: Callable[[Access], None],
        *,
        wants_signature: bool = True,
    ) -> None:
        self.records = records
        self._rights = rights
        self._gate = gate
        self._told = told
        self._wants_signature = wants_signature

    def answer(self, message: Message, tls: x509.Certificate, now: datetime) -> bytes:
        """The answer to a message that came over TLS with this certificate. Raises ``Refused``."""
        transaction, action = BODIES.get(message.body.tag, ("", ""))
        if not transaction or message.action not in ("", action):
            raise Refused("sim:soap.action")
        caller = self._gate.admit(message, tls, now)
        if caller.patient != PATIENT:
            raise Refused("sim:patient.unknown" if caller.patient else "sim:patient.missing")
        call = Call(message, caller, now, self._rights)
        answer = self._answered(transaction, call)
        self._remember(call, transaction, answer)
        return envelope(answer.body, f"{action}Response", message.identifier)

    def _answered(self, transaction: str, call: Call) -> Answer:
        if transaction == QUERIED:
            return consulting.query(call, self.records)
        if transaction == RETRIEVED:
            return consulting.retrieve(call, self.records)
        return feeding.provide(call, self.records, wants_signature=self._wants_signature)

    def _remember(self, call: Call, transaction: str, answer: Answer) -> None:
        caller = call.caller
        access = Access(
            when=call.now,
            person=caller.person,
            name=caller.name,
            roles=caller.roles,
            structure=caller.structure,
            software=caller.software,
            action=transaction,
            documents=tuple(document.title for document in answer.documents if not document.is_invisible),
            mode=caller.mode,
            access=caller.access,
            is_secret=caller.is_secret,
        )
        self.records.remember(access)
        self._told(access)
