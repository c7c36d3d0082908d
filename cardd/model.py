"""The values that every layer speaks of: readers, cards, keys, PINs, callers, identities and events.

Plain immutable values, without I/O. Times are aware UTC datetimes; digests, certificates and signatures are bytes.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

JsonValue = str | int | bool | None | list["JsonValue"] | dict[str, "JsonValue"]

# what moves the cursor, turns the direction, breaks the line or hides: controls, formats, lone surrogates, private use
UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def shown(text: str) -> str:
    """Return text that came from elsewhere as it may be printed, logged or shown: a space for each unsafe character."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(" " if unicodedata.category(character) in UNSAFE else character for character in text)


class Confinement(StrEnum):
    """Whether a process of ours enters its sandbox, and what becomes of it where this machine cannot make one."""

    OFF = "off"
    POSSIBLE = "possible"
    REQUIRED = "required"  # it ends with the status ``UNCONFINED``


UNCONFINED = 5


class CardKind(StrEnum):
    """What a card is, as far as its ATR and its applications tell.

    PKCS11 is a token that a module shows, PKCS12 a key file: neither has an ATR. OTHER is for the drivers of others.
    """

    CPS2TER = "cps2ter"
    CPS3 = "cps3"
    CPS3_CONTACTLESS = "cps3-contactless"
    CPS4 = "cps4"
    PKCS11 = "pkcs11"
    PKCS12 = "pkcs12"
    OTHER = "other"
    VITALE = "vitale"
    UNKNOWN = "unknown"


class KeyPurpose(StrEnum):
    """What a key is for. cardd never uses one for another's purpose.

    A technical key works without a PIN: it proves that a card is genuine, and never speaks for its holder.
    """

    AUTHENTICATION = "authentication"
    SIGNATURE = "signature"
    TECHNICAL = "technical"


class Algorithm(StrEnum):
    """Signature algorithms by their JOSE names (RFC 7518)."""

    RS256 = "RS256"
    ES256 = "ES256"
    PS256 = "PS256"


class PinState(StrEnum):
    """What the card says of its PIN before any is given."""

    READY = "ready"
    LAST_TRY = "last_try"
    BLOCKED = "blocked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class KeyRef:
    """One private key of a card, as its own directories describe it.

    ``id`` ties key and certificate together (PKCS#15 iD, hex); ``reference`` is what the card is told; ``pin`` names
    the PIN that protects it, None when the key works without one.
    """

    id: str
    label: str
    purpose: KeyPurpose
    reference: int
    algorithms: tuple[Algorithm, ...]
    pin: int | None


@dataclass(frozen=True, slots=True)
class PinInfo:
    """A PIN or PUK as the card describes it: lengths in characters, ``tries`` when the card is fresh.

    ``digits`` is False for the password of a token or key file, which may have any characters.
    """

    reference: int
    label: str
    minimum: int
    maximum: int
    tries: int
    digits: bool = True


@dataclass(frozen=True, slots=True)
class PinStatus:
    """What the card answers when it is asked about its PIN; ``tries_left`` is None when it does not tell."""

    tries_left: int | None

    @property
    def state(self) -> PinState:
        """The PIN's state as one word."""
        match self.tries_left:
            case None:
                return PinState.UNKNOWN
            case 0:
                return PinState.BLOCKED
            case 1:
                return PinState.LAST_TRY
            case _:
                return PinState.READY


@dataclass(frozen=True, slots=True)
class CardInfo:
    """What can be known of a card without its certificates and without a PIN; ``serial`` is empty when it has none.

    ``puk`` is the code that unblocks the PIN; None when nothing can unblock it here. ``unusable`` are the kinds of the
    holder's keys that are there besides ``keys``, and with which nothing can be signed here.
    """

    kind: CardKind
    driver: str
    serial: str
    label: str
    keys: tuple[KeyRef, ...]
    pin: PinInfo | None
    puk: PinInfo | None = None
    unusable: tuple[str, ...] = ()

    def key(self, purpose: KeyPurpose) -> KeyRef | None:
        """The first key for this purpose; None when the card has none."""
        return next((key for key in self.keys if key.purpose is purpose), None)


@dataclass(frozen=True, slots=True)
class CardCertificate:
    """One certificate read from a card: ``der`` as the card holds it, ``key_id`` of the key it belongs to."""

    key_id: str
    label: str
    der: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be signed. ``digest`` is its SHA-256; ``content`` is there when the caller sent the document."""

    digest: bytes
    content: bytes | None = None


CARD_TYPES = {"0": "CPS", "1": "CPF", "2": "CPE", "3": "CPA"}  # ANS table G02


@dataclass(frozen=True, slots=True)
class Organisation:
    """The structure that a certificate stands for.

    ``identifier`` is the certificate's own (FINESS, SIREN, SIRET …), ``kind`` what its form tells it to be: ``finess``,
    ``siren``, ``siret``, ``adeli``, ``rpps`` or ``other``.
    """

    identifier: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a session speaks for: the fields of the certificate or of PSC's userinfo, none of them invented.

    ``national_id`` has its type prefix (``8`` RPPS, …); codes are those of the ANS tables, None when absent. In a
    session of an organisation's certificate, ``organisation`` is what is proven; the person is as the practice software
    declared it (``is_declared``).
    """

    national_id: str
    family_name: str
    given_name: str
    title: str | None = None
    profession: str | None = None
    specialty: str | None = None
    card_type: str | None = None
    card_number: str | None = None
    is_test: bool = False
    organisation: Organisation | None = None
    is_declared: bool = False

    @property
    def card_type_name(self) -> str | None:
        """CPS, CPF, CPE or CPA: the word for ``card_type``; None for a code that table G02 does not have."""
        return CARD_TYPES.get(self.card_type or "")


@dataclass(frozen=True, slots=True)
class Situation:
    """One way in which a professional practises: an exercice and one of its activities, as the card or PSC has them.

    ``id`` tells them apart within one identity. Codes are those of the ANS tables, None where nothing is said;
    ``section`` is a pharmacist's; ``structure`` is the place's Struct_IdNat, which PSC calls
    ``ancienIdentifiantDeLaStructure``.
    """

    id: str
    profession: str | None = None
    specialty: str | None = None
    title: str | None = None
    section: str | None = None
    sector: str | None = None
    mode: str | None = None
    role: str | None = None
    structure: str | None = None
    technical_structure: str | None = None
    structure_name: str | None = None
    finess: str | None = None
    siret: str | None = None
    siren: str | None = None

    def applied_to(self, identity: Identity) -> Identity:
        """The identity as this situation has it: profession, specialty and title."""
        return replace(
            identity,
            profession=self.profession or identity.profession,
            specialty=self.specialty or identity.specialty,
            title=self.title or identity.title,
        )


class CallerKind(StrEnum):
    """How a caller is known."""

    PROGRAM = "program"
    ORIGIN = "origin"
    LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Peer:
    """The process at the other end of a connection; ``pid`` and ``program`` only where the system tells.

    ``is_cardctl`` says that the process calls itself so, by its command line: to name it to a person, any of whose
    programs may run cardctl, and nothing to decide on. ``socket`` is the inode of its end of a TCP connection.
    """

    uid: int
    pid: int | None = None
    program: str | None = None
    is_cardctl: bool = field(default=False, compare=False)
    socket: int | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Executable:
    """The file that a process runs, as the kernel tells it: no process can choose ``device`` and ``inode``.

    ``path`` is what it is called, empty where it may not be seen. ``is_replaced`` says that the file was root's, at a
    path that all processes see alike, and that it is there no more: an update has put another one in its place.
    """

    path: str = ""
    device: int = 0
    inode: int = 0
    is_replaced: bool = False


Holders = Mapping[int, Sequence[Executable]]  # by the inode of a socket: the programs that have it open


class CallerKey(NamedTuple):
    """Whose something is, in every table that is kept by caller: the OS user, and the identifier among that user's."""

    uid: int
    id: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: a paired program, an allowed web origin, or an unpaired program on the Unix socket (cardctl).

    ``id`` is the client's identifier or the origin itself; ``name`` is what a person reads in a dialog; ``origin``
    is what authentication tokens are bound to, and no request can choose it; ``peer`` has the OS user behind the
    connection, always. One origin may be several users': tables are kept by ``key``.
    ``seal`` is a key that only who knows the caller's secret can have; a page has none.
    """

    kind: CallerKind
    id: str
    name: str
    origin: str
    peer: Peer
    seal: bytes | None = field(default=None, repr=False, compare=False)

    @property
    def key(self) -> CallerKey:
        """What tells this caller from every other one."""
        return CallerKey(self.peer.uid, self.id)


class Choice(StrEnum):
    """A person's answer to a question."""

    YES = "yes"
    ALWAYS = "always"
    ANOTHER = "another"
    AGAIN = "again"
    SHOW = "show"
    NO = "no"


@dataclass(frozen=True, slots=True)
class ShownDocument:
    """One document to be signed, as a person is shown it."""

    name: str
    format: str
    patient: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A dialog's content as data; words and languages are the prompter's.

    ``topic`` names the text in ``cardd.i18n`` (``dialog.<topic>.…``) and ``params`` fills it. ``uid`` is the user
    whose desktop shows it; ``language`` is ``fr`` or ``en``, None for that desktop's own; ``third`` offers an answer
    beside yes and no, ALWAYS, ANOTHER or AGAIN; ``caller`` is the client whose request asks, if it is known.
    ``documents`` are all that are to be signed: who is asked can read the name of each.
    """

    topic: str
    uid: int
    params: dict[str, str | int]
    language: str | None = None
    third: Choice | None = None
    timeout: float = 120.0
    caller: CallerKey | None = None
    documents: tuple[ShownDocument, ...] = ()


class PinRole(StrEnum):
    """Which code a dialog asks for."""

    CURRENT = "current"
    NEW = "new"
    REPEATED = "repeated"
    PUK = "puk"


@dataclass(frozen=True, slots=True)
class PinQuestion:
    """A PIN dialog: why it is asked (as a ``Question``), for which card and reader, and with how many tries.

    ``problem`` says why the code is asked again (``dialog.problem.…``): ``wrong``, ``mismatch``, or what makes a new
    one too easy to guess.
    """

    question: Question
    pin: PinInfo
    reader: str
    card: str
    tries_left: int | None
    problem: str | None = None
    role: PinRole = PinRole.CURRENT


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, as it goes out on ``/v1/events``. ``to`` limits it to one caller."""

    type: str
    data: dict[str, JsonValue] = field(default_factory=dict)
    to: CallerKey | None = None


class Outcome(StrEnum):
    """How an audited act ended."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One row of the audit log before it is chained: who, what, with which certificate, by whose consent, how it ended.

    ``action`` is a dotted verb (``session.open``, ``signature.raw``, ``auth_token.issue``, ``client.pair``); ``digest``
    is hex; ``certificate`` is the serial number in hex; ``code`` is the error's code when the outcome is not ``done``.
    """

    action: str
    outcome: Outcome
    uid: int
    caller: str
    caller_name: str = ""
    session: str | None = None
    digest: str | None = None
    document: str | None = None
    certificate: str | None = None
    consent: str | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One row as it is kept: its number, its time, the entry, and the hash that chains it to the row before."""

    number: int
    time: datetime
    entry: AuditEntry
    hash: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the audit log keeps beside the rows of what was signed under an Idempotency-Key, in the same commit.

    ``name`` stands for the caller and the key, ``request`` for what was asked; both are SHA-256. ``sealed`` is what was
    signed, encrypted; None where nothing keeps it. ``row`` is the number of the first row, 0 before it is written.
    """

    name: bytes
    request: bytes
    at: datetime
    sealed: bytes | None = field(default=None, repr=False)
    row: int = 0
