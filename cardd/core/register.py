"""Who was let in: paired programs, and web origins with the keys of their pages, as one state file keeps them."""

from __future__ import annotations

from datetime import date, datetime
from typing import TypeVar

from cardd.core.state_file import Content, StateFile
from cardd.errors import StateUnavailable
from cardd.model import CallerKey, Right
from cardd.ports import Store
from cardd.values import Value, field

STORE = "clients"
Key = TypeVar("Key")
Entry = TypeVar("Entry")


class Program(Value):
    """One paired program, as it is kept: no secret, only its hash."""

    id: str
    name: str
    vendor: str
    software_id: str
    uid: int
    secret: str
    paired_at: str
    permissions: tuple[str, ...] = ()
    is_locked: bool = False


class KnownKey(Value):
    """One key of an origin's pages: a browser profile that the person let in, for what, since and until when.

    ``id`` is the key's thumbprint, ``used`` the day of its last proof.
    """

    id: str
    rights: tuple[Right, ...]
    since: datetime
    until: datetime
    used: date


class KnownOrigin(Value):
    """One web origin that a user let in; without a key it may ask, and nothing more."""

    origin: str
    uid: int
    allowed_at: str
    keys: tuple[KnownKey, ...] = ()

    @property
    def key(self) -> CallerKey:
        """Return what tells it from the same origin of another user."""
        return CallerKey(self.uid, self.origin)


class _Kept(Value):
    """What outlives the daemon."""

    programs: list[Program] = field(default_factory=list)
    origins: list[KnownOrigin] = field(default_factory=list)


def _with_keys(content: Content) -> Content:
    """Bring format 1, in which an origin's name was all that its pages needed, to 2: no page has shown a key yet."""
    return {**content, "origins": [{**one, "keys": []} for one in content.get("origins", [])]}


class Register:
    """``programs`` by the hash of their secret, ``origins`` by user and name; raises what ``StateFile.load`` raises."""

    def __init__(self, store: Store) -> None:
        self._file = StateFile(store, STORE, _Kept, (_with_keys,))
        kept = self._file.load() or _Kept()
        self.programs = {program.secret: program for program in kept.programs}
        self.origins = {known.key: known for known in kept.origins}

    def let_in(self, among: dict[Key, Entry], key: Key, entry: Entry) -> None:
        """Write down whom the person let in, and let nobody in where that fails. Raises StateUnavailable."""
        before = among.get(key)
        among[key] = entry
        try:
            self.save()
        except StateUnavailable:
            if before is None:
                del among[key]
            else:
                among[key] = before
            raise

    def save(self) -> None:
        """Write everything down. Raises StateUnavailable."""
        self._file.save(_Kept(list(self.programs.values()), list(self.origins.values())))
