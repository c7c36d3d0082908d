"""Rule 8, nothing is signed twice: a request sent again under its Idempotency-Key gets the answer of the first.

The first request's work goes on when its connection is lost, and its answer is kept for whoever asks again. A failure
that is worth a second try is not kept, nor is one that is no fault of the request: it may have passed.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from cardd.api.answers import Reply
from cardd.api.problems import unforeseen
from cardd.errors import CarddError, IdempotencyKeyReused, InvalidRequest
from cardd.model import CallerKey
from cardd.values import Record

LIFETIME = 600.0
ANSWERS_MAX = 2048
BYTES_MAX = 4 * 1024 * 1024
INTERNAL = 500  # nobody knows whether the card has signed: such an answer is kept

Outcome = Reply | CarddError

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class _Entry(Record, eq=False):
    request: bytes
    session: str
    outcome: asyncio.Task[Outcome]
    size: int = 0
    timer: asyncio.TimerHandle | None = None


class Ledger:
    """The answers given under keys: for ten minutes, of each caller only so many, and in all only so many bytes.

    Whose answers take most room lose the oldest first; the newest of all is kept, whatever its size.
    """

    def __init__(self, *, answers_max: int = ANSWERS_MAX, bytes_max: int = BYTES_MAX) -> None:
        self._answers_max = answers_max
        self._bytes_max = bytes_max
        self._entries: dict[CallerKey, OrderedDict[str, _Entry]] = {}
        self._size = 0  # bytes of the answers that are kept

    async def once(
        self, owner: CallerKey, key: str, request: bytes, work: Callable[[], Awaitable[Reply]], *, session: str = ""
    ) -> Reply:
        """Return the answer to this request, made by ``work`` unless it was, or is being, made already.

        ``request`` is all that two requests must have in common to be one. One of another ``session`` is answered anew,
        once the first is: what was signed under the key is known by its receipt. Raises IdempotencyKeyReused,
        InvalidRequest for a key of another form, and what ``work`` raises.
        """
        if not _KEY.fullmatch(key):
            raise InvalidRequest(where="Idempotency-Key", why="expected", expected="1-255 × U+0021-U+007E")
        digest = hashlib.sha256(request).digest()
        while (entry := self._find(owner, key)) and session and entry.session not in ("", session):
            await asyncio.wait([entry.outcome])
            if self._find(owner, key) is entry:
                self._drop(owner, key)
        if entry is None:
            entry = self._begin(owner, key, digest, session, work)
        elif entry.request != digest:
            raise IdempotencyKeyReused
        outcome = await asyncio.shield(entry.outcome)
        if isinstance(outcome, Reply):
            return outcome
        raise outcome.with_traceback(None)

    async def close(self) -> None:
        """Give up what is under way and forget the rest."""
        every = [entry for answers in self._entries.values() for entry in answers.values()]
        self._entries.clear()
        for entry in every:
            entry.outcome.cancel()
            if entry.timer:
                entry.timer.cancel()
        await asyncio.gather(*(entry.outcome for entry in every), return_exceptions=True)

    def _find(self, owner: CallerKey, key: str) -> _Entry | None:
        answers = self._entries.get(owner)
        return answers.get(key) if answers else None

    def _begin(
        self, owner: CallerKey, key: str, digest: bytes, session: str, work: Callable[[], Awaitable[Reply]]
    ) -> _Entry:
        entry = _Entry(digest, session, asyncio.ensure_future(_outcome(work)))
        self._entries.setdefault(owner, OrderedDict())[key] = entry
        entry.outcome.add_done_callback(lambda _: self._ended(owner, key, entry))
        return entry

    def _ended(self, owner: CallerKey, key: str, entry: _Entry) -> None:
        if entry.outcome.cancelled() or self._find(owner, key) is not entry:
            return
        outcome = entry.outcome.result()
        if isinstance(outcome, CarddError) and (outcome.retryable or outcome.may_pass or outcome.status > INTERNAL):
            self._drop(owner, key)
            return
        entry.size = len(outcome.body) if isinstance(outcome, Reply) and isinstance(outcome.body, bytes) else 0
        entry.timer = asyncio.get_running_loop().call_later(LIFETIME, self._drop, owner, key)
        self._size += entry.size
        self._make_room(owner, entry)

    def _make_room(self, owner: CallerKey, newest: _Entry) -> None:
        ended = [key for key, entry in self._entries[owner].items() if entry.timer]
        for key in ended[: -self._answers_max]:
            self._drop(owner, key)
        while self._size > max(self._bytes_max, newest.size):
            self._drop(*self._oldest_of_the_largest(newest))

    def _oldest_of_the_largest(self, newest: _Entry) -> tuple[CallerKey, str]:
        kept = {
            owner: {key: entry.size for key, entry in answers.items() if entry.size and entry is not newest}
            for owner, answers in self._entries.items()
        }
        owner = max(kept, key=lambda each: sum(kept[each].values()))
        return owner, next(iter(kept[owner]))

    def _drop(self, owner: CallerKey, key: str) -> None:
        answers = self._entries[owner]
        entry = answers.pop(key)
        self._size -= entry.size
        if entry.timer:
            entry.timer.cancel()
        if not answers:
            del self._entries[owner]


async def _outcome(work: Callable[[], Awaitable[Reply]]) -> Outcome:
    try:
        return await work()
    except CarddError as error:
        return error
    except Exception as error:  # noqa: BLE001 - logged here, where the traceback is; the caller gets its problem
        return unforeseen(error)
