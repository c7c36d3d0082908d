"""Something of this workstation is missing or broken."""

from __future__ import annotations

from cardd.errors.base import CarddError, Words
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

# why a setting will not do
_UNFIT: Words = {
    "why": {
        "unknown": N_("unknown key; the nearest one is {expected}"),
        "type": N_("wrong type; expected: {expected}"),
        "range": N_("out of range; allowed: {expected}"),
        "duration": N_("not a duration; examples: {expected}"),
        "choice": N_("not one of {expected}"),
        "path": N_("not an absolute path ({expected})"),
        "https": N_("not an https address ({expected})"),
        "http": N_("not an http or https address ({expected})"),
        "host": N_("not the name of a host ({expected})"),
        "loopback": N_("cardd listens on this machine's own addresses only: {expected}"),
        "origin": N_("not an origin as browsers send it: {expected}"),
        "insecure_origin": N_("{expected} is not https; for development, set web.allow_insecure_origins = true"),
        "missing": N_("a key that must be there; expected: {expected}"),
        "proxy": N_("no address of a proxy, or one with a user, a password or a path; expected: {expected}"),
        "production": N_("{expected} is the real Pro Santé Connect, and no test environment"),
        "own": N_("{expected} is said by cardd itself, or by a key of its own"),
        "forging": N_("{expected} tells a server who asks, or belongs to the connection: it is never passed on"),
        "same_port": N_("two services have the port {expected}"),
        "same_path": N_("two sockets have the path {expected}"),
        "absent": N_("there is no such file"),
        "forbidden": N_("nobody gave the right to read the file"),
        "unreadable": N_("the file cannot be read: {expected}"),
        "folder": N_("it is a folder, not a file"),
        "no_file": N_("it is no file, but a pipe, a socket or a device"),
        "toml": N_("not TOML at {expected} (line:column)"),
        "toml_statement": N_("not TOML at {expected} (line:column): neither “key = value” nor “[section]”"),
        "toml_value": N_("not TOML at {expected} (line:column): no value there; texts stand between quotes"),
        "toml_text": N_("not TOML at {expected} (line:column): a text without its end, or with a forbidden character"),
        "toml_bracket": N_("not TOML at {expected} (line:column): a bracket is not closed"),
        "toml_more": N_("not TOML at {expected} (line:column): something follows the value on its line"),
        "toml_twice": N_("not TOML at {expected} (line:column): this key or section is there twice"),
        "inherited": N_("the socket that systemd passed is not one of cardd's: {expected}"),
    }
}

# what became of a connection to the daemon
_SILENT: Words = {
    "why": {
        "closed": N_("It closed the connection: all that it has may be taken, or it was stopped just then."),
        "late": N_("It took the request, and did not answer in time."),
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


class SystemFault(CarddError):
    """Something of this workstation is missing or broken."""

    status = 503


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
        'audit.broken = "record" and restart: the break then stands in the log.'
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
        'audit.broken = "record" and restart: the break then stands in the log.'
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


class PolicyUnreadable(SystemFault):
    """A file of a browser's policies, or the record of what was there before, is not what it should be."""

    code = "browser_policy.unreadable"
    title = N_("Browser's policies not understood")
    detail = N_("The file {file} is no JSON object, or not as it was written. Nothing was changed.")
    remedy = N_("Correct the file (chrome://policy and about:policies show what a browser reads), then try again.")

    file: str


class HttpsNotMade(SystemFault):
    """There is no authority of this workstation to trust, and this user may make none."""

    code = "https.not_made"
    title = N_("No https yet")
    detail = N_("This workstation has no certificate for https, and you may not make one.")
    remedy = N_("Have an administrator run “sudo cardctl https install”.")


class CertutilMissing(SystemFault):
    """The tool that changes browsers' stores is not installed."""

    code = "https.certutil_missing"
    title = N_("certutil is missing")
    detail = N_("Browsers' certificate stores are changed by certutil, which is not installed.")
    remedy = N_("Install libnss3-tools (Debian, Ubuntu) or nss-tools (Fedora), then try again.")


class TrustStoreRefused(SystemFault):
    """A store of trusted authorities took no change."""

    code = "https.store_refused"
    title = N_("Certificate store not changed")
    detail = N_("The store {store} cannot be read or changed: {why}")
    remedy = N_("Close the browser; a Firefox primary password has to be taken off for that moment. Then try again.")

    store: str
    why: str


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


class ConfigInvalid(SystemFault):
    """The configuration cannot be used."""

    code = "config.invalid"
    title = N_("Configuration refused")
    detail = N_("{file}: the key “{key}” will not do ({why}).")
    remedy = N_("Correct this file, then check it with “cardctl config check”.")
    words = _UNFIT

    file: str
    key: str
    why: str  # a word
    expected: str = ""


class DaemonUnproven(SystemFault):
    """What answers over TCP is not the daemon that this program was paired with."""

    code = "daemon.unproven"
    title = N_("Not your cardd")
    detail = N_("What answers at {where} is not the service that this program was paired with; it was told nothing.")
    remedy = N_("Enter no PIN. “cardctl doctor” tells which program holds the port; the Unix socket stays safe.")

    where: str


class SocketExposed(DaemonUnproven):
    """The socket lies where a user who is neither root nor the asking one could have put it."""

    code = "daemon.socket_exposed"
    title = N_("Not cardd's socket")
    detail = N_("Another user could have put the socket {where} there (user {owner}); nothing was sent to it.")
    remedy = N_(
        "Use the service's socket (/run/cardd/cardd.sock). One of your own belongs in a folder that only you can write."
    )

    owner: int


class AddressInUse(SystemFault):
    """Another program, or another cardd, listens where this one should."""

    code = "daemon.address_in_use"
    title = N_("Address in use")
    detail = N_("Another program already listens on {address}.")
    remedy = N_("Stop it if it is another cardd; if not, find out which program it is.")

    address: str


class SimulatorsMissing(SystemFault):
    """No package that brings simulators is installed."""

    code = "simulators.missing"
    title = N_("No simulator is installed")
    detail = N_("Simulated cards and servers are no part of cardd.")
    remedy = N_("On a test machine, never in production: “pip install cardd-simulators”, where cardd is installed.")


class DaemonUnreachable(SystemFault):
    """The client library found no daemon."""

    code = "daemon.unreachable"
    retryable = True
    title = N_("cardd does not answer")
    detail = N_("No cardd service answers at {where}.")
    remedy = N_("Start it (“systemctl start cardd.socket”); “cardctl doctor” tells what is missing.")

    where: str


class DaemonSilent(DaemonUnreachable):
    """The daemon took the connection, and gave no answer over it."""

    code = "daemon.silent"
    title = N_("cardd gave no answer")
    detail = N_("The cardd service at {where} runs, and gave no answer. {why}")
    remedy = N_(
        "Try again. If it comes back, end the programs that hold many connections to cardd; “cardctl doctor” tells "
        "more."
    )
    words = _SILENT

    where: str
    why: str
