"""Where the audit log's head is kept: beside the log, in the state directory, and sealed where there is a key.

A head is a line: number and hash of the last row, and the seal, an HMAC-SHA256 of both; dashes where there is no key.
Whoever takes rows from the end must bring every place back to the row before, and has no key to seal it with. What
neither shows is an older head with its own seal, put back with the older log: only what was sent on before tells that.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from cardd.core.audit import EMPTY, Head
from cardd.errors import AuditHeadBroken
from cardd.files import read_file
from cardd.secret import Secret
from cardd.system.private import audit_fault, open_private
from cardd.values import Value

BESIDE = "head"  # in the log's own directory
SECOND = "audit-head"  # in the state directory
KEY = "audit-key"  # the seal's, among the secrets
KEY_MIN = 16  # bytes
UNSEALED = "-" * 64
DOMAIN = b"cardd audit head 1\0"
LINE = re.compile(rb"(\d{20}) ([0-9a-f]{64})(?: ([0-9a-f]{64}|-{64}))?\n")  # cardd 0.2 wrote no seal
# what was sent on, as a file's sink writes it, and as the journal has it with or without what it puts before a message
BY_CARDD = r"(?:[^\[\]]+ cardd\[\d+\]: )?"
BY_SINK = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z "
SENT = re.compile(
    rf"(?:{BY_SINK}|{BY_CARDD}(?:INFO cardd\.system\.audit_sinks: )?audit head )(\d{{1,20}}) ([0-9a-f]{{64}})"
)
OTHER = re.compile(rf"{BY_CARDD}[A-Z]+ (?!cardd\.system\.audit_sinks: )[\w.]+: ")  # another message of the daemon's
ALIKE = re.compile(r"audit head\b|^\S+Z \d|\d [0-9a-f]{16,}$")  # what anybody would take for a head


class Noted(Value):
    """What one place says: its head, or why there is none (``missing``, ``garbled``, ``unsealed``, ``forged``)."""

    path: Path
    head: Head | None
    fault: str | None = None
    is_sealed: bool = False

    def error(self) -> AuditHeadBroken:
        """Return the error that tells the fault."""
        return AuditHeadBroken(file=str(self.path), why=self.fault or "")


class Heads:
    """The places of one log's head; ``seal_key`` None leaves seals out, and unlooked at."""

    def __init__(self, places: Sequence[Path], seal_key: Secret | None = None) -> None:
        self.places = tuple(places)
        self.has_key = seal_key is not None
        self._key = seal_key

    def read(self, *, must_be_sealed: bool = False) -> list[Noted]:
        """Return what each place says. Raises AuditUnavailable for one that cannot be read, StateNotAFile."""
        return [self._noted(path, must_be_sealed=must_be_sealed) for path in self.places]

    def line(self, head: Head) -> bytes:
        """Return the head as it is kept; always of the same length, so that it is overwritten in place."""
        return f"{head.number:020d} {head.hash} {self._seal(head) if self._key else UNSEALED}\n".encode()

    def _noted(self, path: Path, *, must_be_sealed: bool) -> Noted:
        try:
            line = _settled(path)
        except FileNotFoundError:
            line = b""
        except OSError as error:
            raise audit_fault(error) from error
        if not line:  # an empty file is one that was made and not yet written
            return Noted(path, None, "missing")
        found = LINE.fullmatch(line)
        if found is None:
            return Noted(path, None, "garbled")
        number, digest, seal = (part.decode() if part else UNSEALED for part in found.groups())
        head = Head(int(number), digest)
        if self._key is not None and seal == UNSEALED and must_be_sealed:
            return Noted(path, None, "unsealed")
        if self._key is not None and seal != UNSEALED and not hmac.compare_digest(seal, self._seal(head)):
            return Noted(path, None, "forged")
        return Noted(path, head, is_sealed=seal != UNSEALED)

    def _seal(self, head: Head) -> str:
        if self._key is None:
            return UNSEALED
        with self._key.lent() as key:
            return hmac.new(key, DOMAIN + f"{head.number} {head.hash}".encode(), hashlib.sha256).hexdigest()


class HeadWriter:
    """The files behind ``Heads``, held open so that a head costs one small write for each place."""

    def __init__(self, heads: Heads) -> None:
        """Make the files that are not there. Raises OSError."""
        self._heads = heads
        self._files: list[int] = []
        with contextlib.ExitStack() as undo:
            for path in heads.places:
                self._files.append(open_private(path))
                undo.callback(os.close, self._files[-1])
            undo.pop_all()

    @property
    def lock(self) -> int:
        """The descriptor that stands for the whole log: whoever writes it holds its lock."""
        return self._files[0]

    def begin(self, head: Head) -> None:
        """Put the head where none was written yet, on disk when this returns: from now on one that lacks was lost."""
        for file in self._files:
            if os.fstat(file).st_size == 0:
                os.pwrite(file, self._heads.line(head), 0)
                os.fsync(file)

    def write(self, head: Head) -> None:
        """Put the head into every place, without a sync. Raises OSError."""
        line = self._heads.line(head)
        for file in self._files:
            os.pwrite(file, line, 0)
            if os.fstat(file).st_size != len(line):
                os.ftruncate(file, len(line))

    def close(self) -> None:
        """Give the files back, and the lock."""
        for file in self._files:
            os.close(file)


class Sent(Value):
    """What was found among lines that were kept elsewhere; ``unlike`` are those that look like a head and are none."""

    heads: list[Head]
    unlike: dict[int, str]


def sent(lines: Iterable[str]) -> Sent:
    """Return the heads among lines of the journal or of a sink's file; what is about something else is passed over."""
    found = Sent([], {})
    for number, line in enumerate(map(str.strip, lines), 1):
        if head := SENT.fullmatch(line):
            found.heads.append(Head(int(head[1]), head[2]))
        elif ALIKE.search(line) and not OTHER.match(line):
            found.unlike[number] = line
    return found


def furthest(noted: Sequence[Noted]) -> Head:
    """Return the head that goes furthest."""
    return max((one.head for one in noted if one.head), key=lambda head: head.number, default=EMPTY)


def _settled(path: Path) -> bytes:
    """A file's content, read until two reads agree: the writer overwrites it in place."""
    seen = read_file(path)
    while (again := read_file(path)) != seen:  # pragma: no cover - while it was read
        seen = again
    return seen
