"""Provide and register (ITI-41): documents of a submission set, and the set's signature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha1

from cardd_simulators.dmp import metadata
from cardd_simulators.dmp.calls import Answer, Call
from cardd_simulators.dmp.faults import Refused
from cardd_simulators.dmp.metadata import Entry
from cardd_simulators.dmp.records import PATIENT, SIGNATURE_FORMAT, Records
from cardd_simulators.dmp.rights import Right
from cardd_simulators.dmp.spaces import RS, SPACES, SUCCESS
from cardd_simulators.dmp.submission_set import wrong_in_submission_set
from cardd_simulators.dmp.xmldsig import Xml

REGISTERED = f'<rs:RegistryResponse xmlns:rs="{RS}" status="{SUCCESS}"/>'


def provide(call: Call, records: Records, *, wants_signature: bool) -> Answer:
    """Keep the documents of a set, all of them or none. Raises ``Refused``."""
    if call.caller.mode == "air":
        raise Refused("sim:air.consultation_only")  # EX_AIR-010
    objects = call.message.body.find("lcm:SubmitObjectsRequest/rim:RegistryObjectList", SPACES)
    if objects is None:
        raise Refused("sim:metadata.malformed")
    set_id, patient = metadata.set_of(objects)
    entries = metadata.entries_of(objects)
    _require_registrable(call, [patient, *(entry.patient for entry in entries)], entries, records)
    contents = _contents(call, entries)
    _require_signature(call, set_id, entries, contents, wants_signature=wants_signature)
    caller = call.caller
    kept = tuple(entry.document(contents[entry.unique_id], caller.structure, caller.name) for entry in entries)
    records.add(kept)
    return Answer(REGISTERED, kept)


def _require_registrable(call: Call, patients: list[str], entries: Sequence[Entry], records: Records) -> None:
    if set(patients) != {PATIENT}:
        raise Refused("sim:patient.unknown")
    names = [entry.unique_id for entry in entries]
    if len(set(names)) != len(names) or any(records.find(name) for name in names):
        raise Refused("sim:document.duplicate")
    documents = [entry for entry in entries if entry.format != SIGNATURE_FORMAT]
    if not documents:
        raise Refused("sim:metadata.document")
    if not all(call.may(Right.FEED, entry.type) for entry in documents):
        raise Refused("sim:rights.feed")
    if records.is_full:
        raise Refused("sim:record.full")


def _contents(call: Call, entries: Sequence[Entry]) -> dict[str, bytes]:
    """The bytes of each entry by its uniqueId."""
    sent: dict[str, Xml] = {each.get("id", ""): each for each in call.message.body.findall("xds:Document", SPACES)}
    if sent.keys() != {entry.entry_id for entry in entries}:
        raise Refused("sim:document.missing")
    contents = {entry.unique_id: call.message.content(sent[entry.entry_id]) for entry in entries}
    for entry in entries:
        if entry.digest and entry.digest.lower() != sha1(contents[entry.unique_id], usedforsecurity=False).hexdigest():
            raise Refused("sim:document.hash")
    return contents


def _require_signature(
    call: Call, set_id: str, entries: Sequence[Entry], contents: Mapping[str, bytes], *, wants_signature: bool
) -> None:
    """One signature over all the others, by whoever signed the VIHF."""
    signatures = [entry.unique_id for entry in entries if entry.format == SIGNATURE_FORMAT]
    if len(signatures) > 1 or (wants_signature and not signatures):
        raise Refused("sim:set.signature")
    signed = {name: content for name, content in contents.items() if name not in signatures}
    for name in signatures:
        wrong = wrong_in_submission_set(contents[name], set_id, signed, call.now, call.caller.signer)
        if wrong:
            raise Refused(*(f"sim:{word}" for word in wrong))
