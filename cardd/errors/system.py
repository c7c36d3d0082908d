"""Something of this workstation is missing or broken."""

from __future__ import annotations

from cardd.errors.base import CarddError, Words
from cardd.i18n import N_

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
        "same_origin": N_("{expected} has this origin already"),
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
        "not_passed": N_("systemd lets the service open no port; cardd.socket has to have it too: {expected}"),
    }
}

# what became of a connection to the daemon
_SILENT: Words = {
    "why": {
        "closed": N_("It closed the connection: all that it has may be taken, or it was stopped just then."),
        "late": N_("It took the request, and did not answer in time."),
    }
}


# what the daemon may have no more of
_EXHAUSTED: Words = {
    "why": {
        "files": N_("It may open no further file or connection."),
        "memory": N_("It gets no more memory."),
    }
}

# why a certificate of support's will not do
_BUNDLE_KEY: Words = {
    "why": {
        "unreadable": N_("it cannot be read"),
        "no_certificate": N_("it is no certificate (PEM)"),
        "expired": N_("it is not valid now"),
        "no_openssl": N_("the program openssl is not installed"),
        "refused": N_("openssl refuses it"),
    }
}


class SystemFault(CarddError):
    """Something of this workstation is missing or broken."""

    status = 503


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


class BundleKeyUnusable(SystemFault):
    """What support gets was to be encrypted, and cannot be; nothing was written."""

    code = "bundle.key_unusable"
    title = N_("Support bundle not encrypted")
    detail = N_("The bundle cannot be encrypted to {file}: {why}.")
    remedy = N_("Set support.bundle_key to a certificate of who helps that is valid, and install openssl.")
    file: str
    why: str
    words = _BUNDLE_KEY


class ClientModuleMissing(SystemFault):
    """The module that other programs load is not installed."""

    code = "pkcs11.client_missing"
    title = N_("p11-kit-client.so is missing")
    detail = N_("Other programs reach the card through p11-kit-client.so, which is not installed.")
    remedy = N_("Install p11-kit-modules (Debian, Ubuntu) or p11-kit-server (Fedora), then try again.")


class RegistrationUnreadable(SystemFault):
    """The record of what was in programs' files before is not as it was written."""

    code = "pkcs11.record_unreadable"
    title = N_("Record of PKCS#11 not understood")
    detail = N_("The file {file} is not as it was written. Nothing was changed.")
    remedy = N_("Put the file back from a backup. “cardctl pkcs11 status” names the files that have cardd in them.")

    file: str


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


class DaemonExhausted(SystemFault):
    """The daemon has none left of what it needs from this computer for the request; nothing left it."""

    code = "daemon.exhausted"
    retryable = True
    title = N_("cardd is at a limit")
    detail = N_("cardd could not finish the request. {why}")
    remedy = N_(
        "Try again. If it comes back, close programs that use the card, or have an administrator restart cardd: "
        "“sudo systemctl restart cardd”."
    )
    words = _EXHAUSTED

    why: str


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
    remedy = N_("Start it (“sudo systemctl start cardd.socket”); “cardctl doctor” tells what is missing.")

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
