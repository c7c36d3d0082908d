"""One request from the gate to its answer: gate, route, checker, body, handler; every failure becomes a problem."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from hashlib import sha256
from urllib.parse import parse_qsl

from aiohttp import web

from cardd.api.access import admit, anyone, preflight
from cardd.api.answers import REQUEST, Reply, WholeAnswer, telling_of, terse
from cardd.api.call import Bodies, Call, ConnectionInfo, OnHangUp, Page
from cardd.api.idempotency import Ledger
from cardd.api.parts import ApiLimits, Parts
from cardd.api.problems import problem, unforeseen
from cardd.api.router import AnyReply, Route, Router
from cardd.core.dialog_lines import spoken_to_in
from cardd.core.presence import Presence, waited_for_by
from cardd.errors import (
    CallerLeft,
    CarddError,
    Forbidden,
    InternalError,
    InvalidRequest,
    ReaderNotYours,
    TooManyRequests,
)
from cardd.i18n import stated_language
from cardd.model import CallerKey, CallerKind
from cardd.request import Request, named_by, working_on
from cardd.secret import overwrite

PARAMETERS_MAX = 16
RETRY_AFTER = 1
NOBODY = ""  # the identifier of programs that no route asked who they are; a page has its origin


class Dispatcher:
    """The path of every request through gate, route, checker and handler."""

    def __init__(self, parts: Parts, limits: ApiLimits, routes: Iterable[Route]) -> None:
        self._parts = parts
        self._limits = limits
        self._router = Router(routes)
        self._ledger = Ledger()
        self._bodies = Bodies(limits)
        self._in_flight: Counter[CallerKey] = Counter()
        self._together: dict[tuple[CallerKey, str], Presence] = {}  # who waits for the answer under a key
        self._waiting: dict[Presence, Call] = {}

    async def answer(
        self, http: web.BaseRequest, connection: ConnectionInfo | None, on_hang_up: OnHangUp
    ) -> WholeAnswer | web.StreamResponse:
        """Return the answer, whatever happens; the terse refusal where nobody is known at the other end."""
        call = self._admitted(http, connection, on_hang_up)
        try:
            if call is None:
                return terse()
            with working_on(call.request):
                try:
                    answer = await self._answer(call)
                except Exception as error:  # noqa: BLE001 - the journal gets the traceback, the caller a problem
                    return self._failed(call, error)
                if isinstance(answer, Reply):
                    return self._ended(call, answer)
                self._parts.observer.ended(call.request, answer.status)
                return answer
        finally:
            _forget_credentials(http, call)

    def is_at_once(self, method: str, target: str) -> bool:
        """Return whether this may be answered by ``answer_at_once``."""
        return self._router.at_once(method, target) is not None

    def answer_at_once(
        self, http: web.BaseRequest, connection: ConnectionInfo | None, on_hang_up: OnHangUp
    ) -> WholeAnswer | None:
        """Return the answer to what waits for nothing; None where ``answer`` has to refuse it, or to wait.

        Nothing of it is under way while others are answered, so that there is nothing to count, and nobody to ask.
        """
        handler, call = self._router.at_once(http.method, http.raw_path), self._admitted(http, connection, on_hang_up)
        if handler is None or call is None:
            return None
        if call.page is not None and not call.connection.is_browsers:
            call.forget_bearer()
            return None
        try:
            with working_on(call.request):
                try:
                    _let_in(call, self._routed(call))
                    return self._ended(call, handler(call))
                except Exception as error:  # noqa: BLE001 - as above
                    return self._failed(call, error)
        finally:
            _forget_credentials(http, call)

    def _admitted(self, http: web.BaseRequest, connection: ConnectionInfo | None, on_hang_up: OnHangUp) -> Call | None:
        """Return the call that a request is; None for one that does not pass the gate."""
        if connection is None or not http.raw_path.startswith("/"):
            return None
        try:
            page = admit(http.headers, connection, http.method, http.raw_path, self._parts)
        except Forbidden:
            return None
        request = Request(self._parts.observer, named_by(http.headers.get(REQUEST, "")), uid=connection.peer.uid)
        return Call(
            parts=self._parts,
            limits=self._limits,
            bodies=self._bodies,
            http=http,
            connection=connection,
            page=page,
            request=request,
            told=telling_of(request.id, page.origin if page else None),
            on_hang_up=on_hang_up,
        )

    def _ended(self, call: Call, reply: Reply, code: str | None = None) -> WholeAnswer:
        self._parts.observer.ended(call.request, reply.status, code)
        return WholeAnswer(reply, call.told)

    def _failed(self, call: Call, error: Exception) -> WholeAnswer:
        """Return the problem of what failed."""
        fault = error if isinstance(error, CarddError) else unforeseen(error)
        if isinstance(fault, InternalError):
            fault = InternalError(request=call.request.id)
        return self._ended(call, problem(fault, call.http.headers.get("Accept-Language", "")), fault.code)

    async def close(self) -> None:
        """Give up the work that outlives its request."""
        await self._ledger.close()

    def end_where(self, condition: Callable[[Call], bool], why: CarddError, *, is_by_caller: bool = False) -> None:
        """Ask nobody any more for these calls; ``is_by_caller`` says that the callers took their questions back."""
        for presence, call in tuple(self._waiting.items()):
            if condition(call):
                presence.revoke(why, is_by_caller=is_by_caller)

    async def _answer(self, call: Call) -> AnyReply:
        if call.page is not None:
            if call.http.method == "OPTIONS":
                return Reply(204, headers=preflight())
            await self._check_browser(call.page, call.connection)
        route = self._routed(call)
        if route.access is not anyone:
            await self._parts.readers.owners.told.wait()
        _let_in(call, route)
        language = stated_language(call.http.headers.get("Accept-Language"))
        caller, presence = self._count(call), Presence()
        take_back = call.on_hang_up(presence.leave)
        self._waiting[presence] = call
        try:
            with waited_for_by(presence), spoken_to_in(language):
                if not route.body:
                    return await self._run(route, call, b"", presence)
                with self._bodies.room(call.http, call.who, call.peer.uid) as limit:
                    return await self._run(route, call, await self._bodies.read(call.http, limit), presence)
        except ReaderNotYours:
            await self._parts.readers.owners.record_refusal(call.caller)
            raise
        finally:
            del self._waiting[presence]
            take_back()
            self._uncount(caller)

    def _routed(self, call: Call) -> Route:
        """Return the call's route, and give the call what its path says."""
        path, _, query = call.http.raw_path.partition("?")
        route, call.path = self._router.find(call.http.method, path)
        call.query = {} if route.is_open else _query(query, route)
        call.request.name = route.name
        return route

    async def _check_browser(self, page: Page, connection: ConnectionInfo) -> None:
        """Look once at who holds a page's connection. Raises NotABrowser, BrowserUnseen."""
        if not connection.is_browsers:
            await self._parts.pages.check(page.origin if page.is_allowed else None, connection.peer)
            connection.is_browsers = True

    async def _run(self, route: Route, call: Call, raw: bytes, presence: Presence) -> AnyReply:
        keys = call.http.headers.getall("Idempotency-Key", ()) if route.idempotent else ()
        if not keys:
            return await route.run(call, raw)

        key, content = ", ".join(keys), sha256(raw).hexdigest()

        async def work() -> Reply:
            if route.signs:
                session = call.session
                # the same holder's request in another session, of a later daemon too, is the same one
                named = self._parts.held.by_content(session, raw)
                asked = f"{route.path} {session.holder} {content if named is raw else sha256(named).hexdigest()}"
                call.known_attempt = await self._parts.attempts.begin(call.caller, key, asked.encode())
            return _written(await route.run(call, raw))

        request = f"{call.http.method} {call.http.raw_path} {content}".encode()
        session = call.path.get("id", "")
        return await self._while_present(
            call.caller.key,
            key,
            lambda: self._ledger.once(call.caller.key, key, request, work, session=session),
            presence,
        )

    async def _while_present(
        self, owner: CallerKey, key: str, ask: Callable[[], Awaitable[Reply]], presence: Presence
    ) -> Reply:
        """Return the ledger's answer. A dialog stays while anybody waits who has sent the request under this key."""
        together = self._together.setdefault((owner, key), Presence(0))
        try:
            with together.joined(presence), waited_for_by(together):
                while True:
                    try:
                        return await ask()
                    except CallerLeft:
                        if presence.is_left:
                            raise  # else it was those before who left, and this request begins anew
        finally:
            if together.is_left and self._together.get((owner, key)) is together:
                del self._together[owner, key]

    def _count(self, call: Call) -> CallerKey:
        """Count one more unanswered request of a caller (rule 10); return whose. Raises TooManyRequests."""
        unknown = call.page.origin if call.page else NOBODY
        caller = call.who.key if call.who else CallerKey(call.peer.uid, unknown)
        if self._in_flight[caller] >= self._limits.in_flight:
            raise TooManyRequests(retry_after=RETRY_AFTER)
        self._in_flight[caller] += 1
        return caller

    def _uncount(self, caller: CallerKey) -> None:
        self._in_flight[caller] -= 1
        if not self._in_flight[caller]:
            del self._in_flight[caller]


def _let_in(call: Call, route: Route) -> None:
    """Have the route's checker say who calls. Raises what that raises, PageProofNeeded, PageRightMissing."""
    route.access(call)
    if call.who is not None:
        if call.who.kind is CallerKind.ORIGIN and route.rights is not None:
            call.parts.origins.check(call.who, route.rights)
        if call.who.kind is not CallerKind.LOCAL:
            call.connection.has_client = True
    if call.open_session is not None:
        call.request.session = call.open_session.id


def _query(query: str, route: Route) -> dict[str, str]:
    if not query:
        return {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=PARAMETERS_MAX)
    except ValueError:
        raise InvalidRequest(where="?", why="parameters") from None
    found = dict(pairs)
    if not found.keys() <= route.query.keys():
        raise InvalidRequest(where="?", why="unknown")
    if len(found) < len(pairs):
        raise InvalidRequest(where="?", why="duplicate")
    for name, value in found.items():
        if route.query[name] and value not in route.query[name]:
            raise InvalidRequest(where=f"?{name}", why="expected", expected=", ".join(route.query[name]))
    return found


def _written(answer: AnyReply) -> Reply:
    """Return the reply with its body as bytes, ready to be kept."""
    if not isinstance(answer, Reply):
        raise TypeError("a stream cannot be answered twice")
    answer.content()
    return answer


def _forget_credentials(http: web.BaseRequest, call: Call | None) -> None:
    """Overwrite the tokens and secrets of a request that was answered: aiohttp keeps its head until the next one."""
    if "Authorization" not in http.headers:
        return
    if call is not None:
        call.forget_bearer()
    for value in http.headers.getall("Authorization", ()):
        overwrite(value)
    for name, raw in http.raw_headers:
        if name.lower() == b"authorization":
            overwrite(raw)
