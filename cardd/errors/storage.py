"""What cardd keeps cannot be read or written: the audit log, the files of its state, its secrets."""

from __future__ import annotations

from cardd.errors.base import Words
from cardd.errors.system import SystemFault
from cardd.i18n import N_

# how the audit log was changed
_CHANGED: Words = {
    "why": {
        "removed": N_("Row {row} was removed."),
        "order": N_("Row {row} is not where it was written."),
        "changed": N_("Row {row} is not what was recorded: it was changed, moved or inserted."),
        "removed_at_end": N_("Rows from {row} on were removed at the end."),
        "added_at_end": N_("Rows from {row} on were added at the end."),
        "head": N_("The log was rewritten: row {row} is not the one that the head names."),
    }
}

# what became of the audit log's head
_HEADLESS: Words = {
    "why": {
        "missing": N_("Its head, {file}, is not there."),
        "garbled": N_("Its head, {file}, is not as cardd wrote it."),
        "unsealed": N_("Its head, {file}, has lost its seal."),
        "forged": N_("Its head, {file}, has a seal that was not made with this workstation's key."),
    }
}

# what is wrong with a file of the state
_DAMAGE: Words = {
    "why": {
        "json": N_("it is not JSON"),
        "shape": N_("it does not have the form of such a file"),
        "entry": N_("what stands at {place} is missing or of another kind"),
    }
}

_UNWRITABLE: Words = {"why": {"taken": N_("another cardd writes it")}}


class AuditUnavailable(SystemFault):
    """The audit log cannot be written, so nothing is signed."""

    code = "audit.unavailable"
    retryable = True
    title = N_("Audit log unavailable")
    detail = N_("The audit log cannot be written ({why}); without it nothing is signed.")
    remedy = N_("Free some disk space or correct the rights, then try again.")
    words = _UNWRITABLE

    why: str


class AuditSlow(AuditUnavailable):
    """The disk does not take what the card has signed, or does not tell what was signed; nothing leaves meanwhile."""

    code = "audit.slow"
    title = N_("Audit log too slow")
    detail = N_(
        "The disk has not taken within {seconds} s what must be recorded. The card may have signed; no signature "
        "leaves before it is recorded."
    )
    remedy = N_(
        "Ask again with the same Idempotency-Key: what was signed is not signed anew. Have the workstation's disk "
        "looked at."
    )

    why: str = ""
    seconds: int


class AuditDamaged(AuditUnavailable):
    """The audit log's file is no database any more, so nothing is signed."""

    code = "audit.damaged"
    retryable = False
    title = N_("Audit log damaged")
    detail = N_("The file of the audit log is damaged ({why}); without it nothing is signed.")
    remedy = N_("Keep the damaged file. Put a sound copy in its place, or move the directory away: a new log begins.")


class AuditBroken(AuditUnavailable):
    """The audit log was changed, so nothing is signed unless the configuration lets it go on."""

    code = "audit.broken"
    retryable = False
    title = N_("Audit log changed")
    detail = N_("The audit log was changed. {why}")
    remedy = N_(
        "Keep a copy of the audit directory and tell your security officer. To sign all the same, set "
        'audit.broken = "record", then “sudo systemctl restart cardd”: the break then stands in the log.'
    )
    words = _CHANGED

    row: int
    why: str


class AuditHeadBroken(AuditUnavailable):
    """The audit log's head is gone or is not cardd's, so that rows may be missing at the end."""

    code = "audit.head_broken"
    retryable = False
    title = N_("Audit log without its head")
    detail = N_("The audit log may have lost rows at its end. {why}")
    remedy = N_(
        "Keep a copy of the audit directory and tell your security officer. To sign all the same, set "
        'audit.broken = "record", then “sudo systemctl restart cardd”: the break then stands in the log.'
    )
    words = _HEADLESS

    file: str
    why: str


class AuditKeyMissing(AuditUnavailable):
    """The key that seals the audit log's head is not at hand."""

    code = "audit.key_missing"
    retryable = False
    title = N_("No key for the audit log")
    detail = N_("audit.sealed is set, and the key that seals the audit log is not there ({why}).")
    remedy = N_("Give the service the credential “cardd.audit-key”, or take audit.sealed out of the configuration.")


class AuditKeyWeak(AuditUnavailable):
    """The key that seals the audit log's head is empty, or so short that it could be guessed."""

    code = "audit.key_weak"
    retryable = False
    title = N_("Weak key for the audit log")
    detail = N_("The key that seals the audit log has {size} bytes; it must have {least}.")
    remedy = N_(
        "Make a new one (“openssl rand -hex 32”) and give it to the service as the credential “cardd.audit-key”."
    )

    why: str = ""
    size: int
    least: int


class StateUnavailable(SystemFault):
    """A document in the state directory cannot be read or written."""

    code = "state.unavailable"
    retryable = True
    title = N_("State unavailable")
    detail = N_("The file {file} cannot be read or written ({why}).")
    remedy = N_("Check its rights and the disk space.")

    file: str
    why: str


class StateDamaged(StateUnavailable):
    """A document in the state directory is not what cardd wrote."""

    code = "state.damaged"
    retryable = False
    title = N_("State damaged")
    detail = N_("The file {file} is not as cardd wrote it ({why}).")
    remedy = N_("Put it back from a backup; else move it away and start again: what it held is asked anew.")
    words = _DAMAGE

    file: str
    why: str  # one of these words
    place: str = ""


class StateTooNew(StateUnavailable):
    """A newer cardd wrote a file of the state, which is left as it is."""

    code = "state.too_new"
    retryable = False
    title = N_("State of a newer cardd")
    detail = N_(
        "The file {file} was written by a newer cardd: its format is {format}, and this one knows up to {known}."
    )
    remedy = N_(
        "Install that cardd again, or put the state directory back from before the upgrade. "
        "Nothing in the file was changed."
    )

    why: str = ""
    format: int
    known: int


class StateExposed(StateUnavailable):
    """A directory or file of the state belongs to another user, or others may reach it."""

    code = "state.exposed"
    retryable = False
    title = N_("State open to others")
    detail = N_("{file} is not this service's alone: its owner is user {owner}, its mode {mode}.")
    remedy = N_(
        "Find out who changed it, and whether its content is still as cardd wrote it; then make user {user} its owner "
        "and take the rights of all others away (“chmod go= FILE”)."
    )

    why: str = ""
    owner: int
    mode: str
    user: int


class StateNotAFile(StateUnavailable):
    """A pipe, a socket or a device stands where a file of the state should; it was not opened."""

    code = "state.not_a_file"
    retryable = False
    title = N_("No file of the state")
    detail = N_("{file} is no file, but a pipe, a socket or a device: cardd does not open it.")
    remedy = N_("Find out who put it there, then remove it. Where a file was before, put it back from a backup.")

    why: str = ""


class StateInUse(StateUnavailable):
    """Another daemon runs with this directory: each would write over what the other keeps."""

    code = "state.in_use"
    retryable = False
    title = N_("State in use")
    detail = N_("Another cardd runs with the directory {file}.")
    remedy = N_("Stop that one, or give this one directories of its own (state.directory, audit.directory).")

    why: str = ""


class SecretStoreUnavailable(SystemFault):
    """No store that keeps secrets encrypted is at hand."""

    code = "secrets.unavailable"
    title = N_("No secret store")
    detail = N_("No encrypted secret store is at hand ({why}).")
    remedy = N_("Unlock the desktop's keyring, or configure systemd credentials.")

    why: str
