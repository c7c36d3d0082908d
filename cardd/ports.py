"""What the core needs from the outside world; the outer layers implement it, the daemon joins them.

``core`` imports this file and none of the implementations: a test, another system or another reader technology takes
their place by implementing the same few methods.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

from cardd.driver import Card, Channel
from cardd.model import (
    AuditEntry,
    AuditRow,
    CardKind,
    Choice,
    Confinement,
    KeyPurpose,
    Peer,
    PinQuestion,
    Question,
    Receipt,
)
from cardd.secret import Secret
from cardd.values import Value, field

T = TypeVar("T")


class Clock(Protocol):
    """Time, so that tests can move it."""

    def now(self) -> datetime:
        """The time of day, aware, UTC: for records and for people."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump: for ages and back-offs."""
        ...


class Connection(Protocol):
    """The way to one card or token as its owner sees it: transactions around the work."""

    @property
    def resets(self) -> int:
        """How often another program has reset this card: cached data is void when it grew."""
        ...

    @property
    def has_pinpad(self) -> bool:
        """Whether the PIN is typed on the reader or the token itself, and nowhere else."""
        ...

    def open(self) -> Card:
        """Read what is there to read, inside a transaction. Raises what ``CardDriver.open`` raises."""
        ...

    def begin(self) -> None:
        """Begin a transaction, connecting first when needed; waits while another program holds the card.

        Raises CardRemoved, CardMute, ReaderBusy, ReaderGone or PcscUnavailable.
        """
        ...

    def end(self, *, reset: bool) -> None:
        """End the transaction; ``reset`` leaves the card de-authenticated. Never raises: a lost card has no login."""
        ...

    def disconnect(self) -> None:
        """Give up the card. Never raises."""
        ...


class CardConnection(Connection, Channel, Protocol):
    """The connection to a card that speaks APDUs."""


class Reader(Protocol):
    """One reader slot, with the thread that does its blocking work."""

    @property
    def name(self) -> str:
        """The reader's PC/SC name."""
        ...

    async def run(self, job: Callable[[Connection], T], *, timeout: float) -> T:
        """Run one blocking job on the reader's thread; jobs run one after the other, in the order they came.

        Raises CardTimeout when the job takes longer than ``timeout`` seconds; until it ends, so do further jobs.
        """
        ...


class Token(Value):
    """Keys that are reached by other means than APDUs.

    ``slot`` is the PC/SC name of the reader that the token sits in, where it sits in one: the same card may be known
    to a native driver too.
    """

    kind: CardKind
    slot: str = ""


class ReaderListener(Protocol):
    """Who is told of readers and cards; called on the event loop, in the order things happened."""

    def readers_available(self, available: bool) -> None:
        """The reader service (pcscd) came, or went; when it went, its readers are reported removed next."""
        ...

    def reader_added(self, reader: Reader, user: int | None = None) -> None:
        """A reader slot appeared; ``user`` is the OS user whose alone it is, None for one of this machine's."""
        ...

    def reader_removed(self, name: str) -> None:
        """A reader slot went; a card in it was reported removed before."""
        ...

    def card_inserted(self, name: str, atr: bytes) -> None:
        """A card is in the reader and has answered its reset; an empty ATR stands for a mute card."""
        ...

    def token_inserted(self, name: str, token: Token) -> None:
        """A token is in this reader, which was reported added; its removal is told by ``card_removed``."""
        ...

    def card_removed(self, name: str) -> None:
        """The card or token left this reader."""
        ...

    def source_failed(self, source: str, why: str) -> None:
        """A part of a source failed and is started anew: a PKCS#11 module's process. ``why`` is a few words."""
        ...

    def open_card(self, name: str, channel: Channel) -> Card:
        """Open the card in this reader, behind the channel, with the driver that it belongs to; on the reader's thread.

        Raises CardUnrecognised, or what the driver raises.
        """
        ...


class People(Protocol):
    """The machine's accounts."""

    def uid(self, name: str) -> int | None:
        """The OS user of this name; None where there is none."""
        ...

    def only_one(self) -> int | None:
        """The only person who has an account here; None where there are several, or none."""
        ...


class ReaderSource(Protocol):
    """A technology that brings readers: PC/SC, PKCS#11 modules, key files, or the simulator in process."""

    async def start(self, listener: ReaderListener) -> None:
        """Begin to watch; what is there already is reported as added and inserted. Does not wait for pcscd."""
        ...

    async def stop(self) -> None:
        """Stop watching and release the readers."""
        ...


@runtime_checkable
class LeftReaders(Protocol):
    """A source whose tokens may sit in PC/SC readers: it touches no card but those left to it."""

    def readers_left(self, readers: frozenset[str]) -> None:
        """Take the names of the readers whose cards no native driver serves; told again with each change, on the loop.

        A token in a reader that is no longer among them is reported removed before this returns.
        """
        ...


@runtime_checkable
class LookingSource(Protocol):
    """A source whose service may come without a word."""

    async def look(self) -> None:
        """Look at once whether an absent service has come; return when what it has was told, or after two seconds."""
        ...


class SourceSettings(Value):
    """What the configuration says of tokens: PKCS#11 ``modules``, the ``organisation``'s PKCS#12 files by purpose.

    ``files`` are what modules may read and write, ``unconfined`` those of them that get no sandbox; ``sandbox`` is for
    the others.

    An entry point ``cardd.sources`` takes it and returns a ``ReaderSource``, None where there is nothing to do.
    """

    modules: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    unconfined: tuple[str, ...] = ()
    sandbox: Confinement = Confinement.POSSIBLE
    organisation: Mapping[KeyPurpose, Path] = field(default_factory=dict)


class Prompter(Protocol):
    """Asks the person at the workstation, on the desktop of the user that the question names."""

    def ensure_reachable(self, uid: int) -> None:
        """Ask nobody, but raise PromptUnavailable where no dialog could open for this user."""
        ...

    async def ask_pin(self, question: PinQuestion, into: Secret) -> None:
        """Read the PIN into ``into``. Raises PinCancelled, PinTimeout, PinFormat, PromptUnavailable."""
        ...

    async def confirm(self, question: Question) -> Choice:
        """Yes, always or no. Raises ConsentTimeout, PromptUnavailable."""
        ...

    async def notify(self, question: Question) -> None:
        """Show what is asked and that a reader's keypad (param ``reader``) waits for the PIN; stays until cancelled."""
        ...


class Browsers(Protocol):
    """Tells browsers from other programs: an ``Origin`` is a page's only when a browser sends it."""

    async def stranger(self, peer: Peer) -> str | None:
        """The path of a program behind the connection that is no browser, empty if unknown; None: all are browsers.

        Raises BrowserUnseen when nobody can tell.
        """
        ...


class ProgramFile(Value):
    """The file that a program runs; the path is empty where nobody can tell.

    ``is_lasting`` says that only root can change it, and that it does what it does: it runs no scripts of others.
    """

    path: str
    is_lasting: bool


class ProgramFiles(Protocol):
    """Tells which file the program at the other end of a Unix connection runs."""

    async def of(self, peer: Peer) -> ProgramFile:
        """Return the file, with an empty path where nobody can tell."""
        ...


class AuditLog(Protocol):
    """The append-only record. A row is on disk when ``append`` returns."""

    async def ensure_writable(self) -> None:
        """Look whether a row could be written now. Raises AuditUnavailable, StateUnavailable."""
        ...

    async def append(self, entry: AuditEntry) -> AuditRow:
        """Chain, write and sync one row. Raises AuditUnavailable; then the caller must not let the result out."""
        ...

    def write(self, entries: Sequence[AuditEntry], receipt: Receipt | None = None) -> None:
        """Chain and write several rows with one sync, all or none; blocks, from any thread but the loop's.

        A card's thread records what the card did before anybody else hears of it. ``receipt`` is kept beside the rows.
        """
        ...

    def find(self, name: bytes) -> Receipt | None:
        """Return the receipt of this name; None where there is none. Blocks as ``write``. Raises AuditUnavailable."""
        ...

    async def tail(self, uid: int, count: int) -> Sequence[AuditRow]:
        """Return this OS user's last rows, oldest first, among the newest. Raises AuditUnavailable, AuditBroken."""
        ...

    async def receipt(self, name: bytes) -> Receipt | None:
        """Return the receipt of this name; waits for what is being written. Raises AuditUnavailable."""
        ...


class Store(Protocol):
    """Small named documents that outlive the daemon (paired clients, remembered origins); JSON text, mode 0600."""

    def place(self, name: str) -> str:
        """Return where it is, as a person is told."""
        ...

    def load(self, name: str) -> str | None:
        """The document; None when there is none yet. Raises StateUnavailable."""
        ...

    def save(self, name: str, text: str) -> None:
        """Replace the document atomically. Raises StateUnavailable."""
        ...


class SecretStore(Protocol):
    """Secrets at rest: the OS keyring or systemd credentials, never a plain file."""

    async def get(self, name: str) -> Secret | None:
        """The secret; None when there is none. Raises SecretStoreUnavailable."""
        ...

    async def set(self, name: str, secret: Secret) -> None:
        """Keep or replace it. Raises SecretStoreUnavailable."""
        ...

    async def delete(self, name: str) -> None:
        """Forget it; nothing happens when there is none. Raises SecretStoreUnavailable."""
        ...


class Handover(Value):
    """Connections from one daemon to the next, each with the name of its process: p11-kit's client survives no other.

    ``taken`` returns the file descriptors that came, ``keep`` has one kept and returns whether it is.
    """

    taken: Callable[[], Sequence[tuple[int, str]]] = tuple
    keep: Callable[[int, str], bool] = lambda _descriptor, _process: False
