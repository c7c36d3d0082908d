"""What people agreed to for the keys of web pages: for the present, in memory, or remembered, in the register."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from cardd.core.register import KnownKey, KnownOrigin, Register
from cardd.errors import StateUnavailable
from cardd.model import CallerKey, Choice, Right, Rights
from cardd.ports import Clock
from cardd.values import replace

KEYS_MAX = 8  # of one origin and user; the one that was not used for longest makes room
ONCE = timedelta(hours=12)


class _Once(KnownKey):
    """One that is let in for the present: it ends on the monotonic clock, whatever is done to the time of day."""

    ends: float


class PageConsents:
    """The keys that were let in, by owner: an origin of one OS user.

    ``remember_days`` is for how long a person has a key remembered. ``made_room`` is told of a key that was forgotten
    for another one.
    """

    def __init__(
        self,
        register: Register,
        clock: Clock,
        remember_days: int,
        made_room: Callable[[CallerKey, str], None],
    ) -> None:
        self._register = register
        self._clock = clock
        self.remember_for(remember_days)
        self._made_room = made_room
        self._once: dict[tuple[CallerKey, str], KnownKey] = {}

    def remember_for(self, days: int) -> None:
        """Remember what persons agree to from now on for so many days."""
        self._remembered_for = timedelta(days=days)

    def is_known(self, owner: CallerKey) -> bool:
        """Return whether the user let this origin in, for the present or remembered."""
        return owner in self._register.origins or bool(self._present(owner))

    def owners(self) -> set[CallerKey]:
        """Return every origin that some user let in."""
        return {*self._register.origins, *(owner for owner, _ in self._once if self._present(owner))}

    def remembered(self, uid: int) -> list[KnownOrigin]:
        """Return the origins that this user had remembered."""
        return [one for one in self._register.origins.values() if one.uid == uid]

    def keys(self, owner: CallerKey) -> tuple[KnownKey, ...]:
        """Return the keys of an origin that are let in now."""
        return (*(one for one in self._lasting(owner) if self._holds(one)), *self._present(owner))

    def of(self, owner: CallerKey, key: str) -> KnownKey | None:
        """Return what was agreed to for this key; None when it is not let in now."""
        found = [self._once.get((owner, key)), *(one for one in self._lasting(owner) if one.id == key)]
        return next((one for one in found if one and self._holds(one)), None)

    def has(self, owner: CallerKey, key: str | None) -> bool:
        """Return whether there is anything to forget of this origin, or of one key of it."""
        if key is None:
            return owner in self._register.origins or any(kept == owner for kept, _ in self._once)
        return (owner, key) in self._once or any(one.id == key for one in self._lasting(owner))

    def keep(self, owner: CallerKey, key: str, rights: Rights, choice: Choice) -> None:
        """Let a key in: always, or for the present. Raises StateUnavailable."""
        given, now = tuple(right for right in Right if right in rights), self._clock.now()
        if choice is not Choice.ALWAYS:
            ends = self._clock.monotonic() + ONCE.total_seconds()
            self._once[owner, key] = _Once(key, given, now, now + ONCE, now.date(), ends)
            for old in self._present(owner)[:-KEYS_MAX]:
                del self._once[owner, old.id]
                self._made_room(owner, old.id)
            return
        since = now.isoformat(timespec="seconds")
        known = self._register.origins.get(owner) or KnownOrigin(owner.id, owner.uid, since)
        others = [one for one in known.keys if one.id != key and now < one.until]
        others.sort(key=lambda one: (one.used, one.since))
        newest = KnownKey(key, given, now, now + self._remembered_for, now.date())
        keys = (*others[-(KEYS_MAX - 1) :], newest)
        self._register.let_in(self._register.origins, owner, replace(known, keys=keys))
        for gone in others[: -(KEYS_MAX - 1)]:
            self._made_room(owner, gone.id)
        self._once.pop((owner, key), None)

    def use(self, owner: CallerKey, key: str) -> None:
        """Note the day of a proof, so that of many keys the right one makes room; a full disk keeps nobody out."""
        known, day = self._register.origins.get(owner), self._clock.now().date()
        if known is None or not any(one.id == key and one.used != day for one in known.keys):
            return
        keys = tuple(replace(one, used=day) if one.id == key else one for one in known.keys)
        try:
            self._register.let_in(self._register.origins, owner, replace(known, keys=keys))
        except StateUnavailable:
            return

    def forget(self, owner: CallerKey, key: str | None) -> None:
        """Forget an origin, or one key of it, at once. Raises StateUnavailable where that cannot be written down."""
        for entry in [entry for entry in self._once if entry[0] == owner and key in (None, entry[1])]:
            del self._once[entry]
        known = self._register.origins.get(owner)
        if known and key:
            self._register.origins[owner] = replace(known, keys=tuple(one for one in known.keys if one.id != key))
        elif known:
            del self._register.origins[owner]
        self._register.save()

    def _lasting(self, owner: CallerKey) -> tuple[KnownKey, ...]:
        remembered = self._register.origins.get(owner)
        return remembered.keys if remembered else ()

    def _present(self, owner: CallerKey) -> tuple[KnownKey, ...]:
        return tuple(known for (kept, _), known in self._once.items() if kept == owner and self._holds(known))

    def _holds(self, known: KnownKey) -> bool:
        if isinstance(known, _Once):
            return self._clock.monotonic() < known.ends
        return self._clock.now() < known.until
