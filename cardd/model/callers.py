"""Who calls, what a person is asked in their name, and what is told and recorded of it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from cardd.model.cards import PinInfo
from cardd.values import Value, field

JsonValue = str | int | bool | None | list["JsonValue"] | dict[str, "JsonValue"]

# what moves the cursor, turns the direction, breaks the line or hides: controls, formats, lone surrogates, private use
UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
UNSEEN = (
    "\u115f\u1160\u2800\u3164\uffa0"  # what has no ink, and counts as a letter or a sign: Hangul fillers, empty Braille
)


def shown(text: str) -> str:
    """Return text that came from elsewhere as it may be printed, logged or shown: a space for each unsafe character."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(" " if _is_unsafe(character) else character for character in text)


def _is_unsafe(character: str) -> bool:
    return character in UNSEEN or unicodedata.category(character) in UNSAFE


class Plain(str):
    """A text of cardd's own that names nobody: what a log passes on, where it is masked, beside numbers and codes."""

    __slots__ = ()


class CallerKind(StrEnum):
    """How a caller is known."""

    PROGRAM = "program"
    ORIGIN = "origin"
    LOCAL = "local"


class Right(StrEnum):
    """What a web page may do, each agreed to by the person or given by the configuration."""

    DETECT = "detect"  # see that a card is there
    HOLDER = "holder"  # read who the holder is
    AUTHENTICATE = "authenticate"  # log the person in, and prove to its own site who they are
    SIGN = "sign"  # have documents signed
    RELAY = "relay"  # act at other services in the person's name


Rights = frozenset[Right]
_WHO = frozenset((Right.DETECT, Right.HOLDER))
# what each right shows to a page anyway
IMPLIED: Mapping[Right, Rights] = {
    Right.DETECT: frozenset(),
    Right.HOLDER: frozenset((Right.DETECT,)),
    **dict.fromkeys((Right.AUTHENTICATE, Right.SIGN, Right.RELAY), _WHO),  # tokens and signatures say whose they are
}


def rights_of(names: Iterable[str]) -> Rights:
    """Return the rights of these names, with those that they contain. Raises ValueError for another word."""
    named = frozenset(map(Right, names))
    return named.union(*(IMPLIED[right] for right in named))


class Peer(Value, eq=False):
    """The process at the other end of a connection; ``pid`` and ``program`` only where the system tells.

    ``is_cardctl`` says that the process calls itself so, by its command line: to name it to a person, any of whose
    programs may run cardctl, and nothing to decide on. ``socket`` is the inode of its end of the connection.
    ``process`` tells the process from all others, those that have its number later included; empty where it was not
    looked for. ``file`` is what it ran as it came, by device and inode, where that was looked for and could be seen.
    """

    HIDDEN = frozenset({"socket"})

    uid: int
    pid: int | None = None
    program: str | None = None
    is_cardctl: bool = False
    socket: int | None = None
    process: str = ""
    file: tuple[int, int] | None = None

    def __eq__(self, other: object) -> bool:
        """Return whether both are of one user, process and program."""
        return isinstance(other, Peer) and self._told == other._told

    def __hash__(self) -> int:
        """Return the hash of what is compared."""
        return hash(self._told)

    @property
    def _told(self) -> tuple[int, int | None, str | None]:
        return self.uid, self.pid, self.program


class Executable(Value):
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
    """Whose something is, in every table that is kept by caller: the OS user, and the identifier among that user's.

    A page's identifier is its origin, a space, and its key: each browser profile is a caller of its own.
    """

    uid: int
    id: str

    def is_of(self, other: CallerKey) -> bool:
        """Whether this is the other one, or a page of that origin."""
        return self.uid == other.uid and self.id in (other.id, f"{other.id} {self.page_key}")

    @property
    def page_key(self) -> str:
        """Return the name of a page's key; nothing for others."""
        return self.id.partition(" ")[2]

    @property
    def client(self) -> str:
        """Return the identifier without a page's key."""
        return self.id.partition(" ")[0]


class Caller(Value, eq=False):
    """Who calls: a paired program, an allowed web origin, or an unpaired program on the Unix socket (cardctl).

    ``id`` is the client's identifier or the origin itself; ``name`` is what a person reads in a dialog; ``origin``
    is what authentication tokens are bound to, and no request can choose it; ``peer`` has the OS user behind the
    connection, always. One origin may be several users': tables are kept by ``key``.
    ``seal`` is a key that only who knows the caller's secret can have; a page has none. ``page_key`` names the key that
    a page proved itself by (RFC 7638).
    """

    HIDDEN = frozenset({"seal"})

    kind: CallerKind
    id: str
    name: str
    origin: str
    peer: Peer
    seal: bytes | None = None
    page_key: str | None = None

    def __eq__(self, other: object) -> bool:
        """Return whether both are the same program or site, of the same process."""
        return isinstance(other, Caller) and self._told == other._told

    def __hash__(self) -> int:
        """Return the hash of what is compared."""
        return hash(self._told)

    @property
    def _told(self) -> tuple[CallerKind, str, str, str, Peer]:
        return self.kind, self.id, self.name, self.origin, self.peer

    @property
    def key(self) -> CallerKey:
        """What tells this caller from every other one."""
        return CallerKey(self.peer.uid, f"{self.id} {self.page_key}" if self.page_key else self.id)


class Choice(StrEnum):
    """A person's answer to a question."""

    YES = "yes"
    ALWAYS = "always"
    ANOTHER = "another"
    AGAIN = "again"
    SHOW = "show"
    NO = "no"


class ShownDocument(Value):
    """One document to be signed, as a person is shown it."""

    name: str
    format: str
    patient: str | None = None


class Question(Value):
    """A dialog's content as data; words and languages are the prompter's.

    ``topic`` names the words in ``cardd.agent.texts`` and ``params`` fills them. ``uid`` is the user
    whose desktop shows it; ``language`` is ``fr`` or ``en``, None for that desktop's own; ``own_time`` says that it
    lasts as long as what it waits for, ``timeout``, and no setting shortens it; ``third`` offers an answer
    beside yes and no, ALWAYS, ANOTHER or AGAIN; ``caller`` is the client whose request asks, if it is known.
    ``documents`` are all that are to be signed: who is asked can read the name of each.
    """

    topic: str
    uid: int
    params: dict[str, str | int]
    language: str | None = None
    third: Choice | None = None
    timeout: float = 120.0
    own_time: bool = False
    caller: CallerKey | None = None
    documents: tuple[ShownDocument, ...] = ()


class PinRole(StrEnum):
    """Which code a dialog asks for."""

    CURRENT = "current"
    NEW = "new"
    REPEATED = "repeated"
    PUK = "puk"


class PinQuestion(Value):
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


class Event(Value):
    """Something that happened, as it goes out on ``/v1/events``.

    ``to`` limits it to one caller, ``user`` to the callers of one OS user: it is about a reader that is theirs alone.
    """

    type: str
    data: dict[str, JsonValue] = field(default_factory=dict)
    to: CallerKey | None = None
    user: int | None = None


class Outcome(StrEnum):
    """How an audited act ended."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


class AuditEntry(Value):
    """One row of the audit log before it is chained: who, what, with which certificate, by whose consent, how it ended.

    ``action`` is a dotted verb (``session.open``, ``signature.raw``, ``auth_token.issue``, ``client.pair``); ``digest``
    is hex; ``certificate`` is the serial number in hex; ``code`` is the error's code when the outcome is not ``done``;
    ``request`` is the identifier of the request that asked for it, as it stands in answers, traces and the log.
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
    request: str | None = None


class AuditRow(Value):
    """One row as it is kept: its number, its time, the entry, and the hash that chains it to the row before."""

    number: int
    time: datetime
    entry: AuditEntry
    hash: str


class Receipt(Value):
    """What the audit log keeps beside the rows of what was signed under an Idempotency-Key, in the same commit.

    ``name`` stands for the caller and the key, ``request`` for what was asked; both are SHA-256. ``sealed`` is what was
    signed, encrypted; None where nothing keeps it. ``row`` is the number of the first row, 0 before it is written.
    """

    HIDDEN = frozenset({"sealed"})

    name: bytes
    request: bytes
    at: datetime
    sealed: bytes | None = None
    row: int = 0
