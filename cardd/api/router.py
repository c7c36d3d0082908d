"""Routes: what one is, how a body reaches its handler, and how a path finds its route."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar
from urllib.parse import unquote

from aiohttp import web
from msgspec import Struct
from msgspec.structs import force_setattr

from cardd.api.answers import Reply
from cardd.api.call import Call, Shape
from cardd.errors import MethodNotAllowed, NotFound
from cardd.model import Right
from cardd.values import Value, field

OCTETS = "application/octet-stream"

B = TypeVar("B", bound=Struct)

RELAYED = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

Checker = Callable[[Call], None]
AnyReply = Reply | web.StreamResponse
AnswerTypes = Mapping[int, type[Struct] | tuple[type[Struct], ...] | str | None]


class Route(Value):
    """One line of the table.

    ``answers`` gives for each status the schema or schemas, a media type, or None for no body. ``takes`` is the media
    type of a body that the handler reads by itself. ``query`` gives for each parameter the values that it may have;
    none stand for any. ``rights`` are those of which a page needs one, its key's proof in any case; None leaves pages
    to ``access`` alone.
    ``headers`` says what the request's own headers mean, ``tells`` what the answers' do, by status. An ``idempotent``
    one may carry an Idempotency-Key; under it, one that ``signs`` signs once, whichever session of the holder's it
    comes in. ``support_code`` says that the handler may demand one. With ``is_open`` the path's last parameter is all
    the rest of it, still encoded; query and body are the handler's own. ``at_once`` is the handler where it waits for
    nothing.
    """

    method: str
    path: str
    access: Checker
    run: Callable[[Call, bytes], Awaitable[AnyReply]]
    summary: str
    answers: AnswerTypes
    body: tuple[type[Struct], ...] = ()
    takes: str | None = None
    query: Mapping[str, Sequence[str]] = field(default_factory=dict)
    rights: Sequence[Right] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    tells: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    idempotent: bool = False
    signs: bool = False
    support_code: bool = False
    is_open: bool = False
    at_once: Callable[[Call], Reply] | None = None
    parameters: tuple[tuple[str, int], ...] = ()  # each name, and its segment's place
    name: str = ""

    def __post_init__(self) -> None:
        """Find the parameters of the path, and make the name: the method and the path, without what is in it."""
        parts = enumerate(self.path.split("/"))
        found = tuple((part[1:-1], place) for place, part in parts if _is_parameter(part))
        force_setattr(self, "parameters", found)
        force_setattr(self, "name", f"{self.method} {self.path}")


def get(
    path: str,
    access: Checker,
    handler: Callable[[Call], Awaitable[AnyReply]],
    summary: str,
    *,
    answers: AnswerTypes,
    rights: Sequence[Right] | None = None,
    query: Mapping[str, Sequence[str]] = MappingProxyType({}),
    headers: Mapping[str, str] = MappingProxyType({}),
    tells: Mapping[int, Mapping[str, str]] = MappingProxyType({}),
) -> Route:
    """Return the route of a GET, which has no body and changes nothing."""
    return Route(
        "GET",
        path,
        access,
        lambda call, _: handler(call),
        summary,
        answers,
        query=query,
        rights=rights,
        headers=headers,
        tells=tells,
    )


def shown(
    path: str,
    access: Checker,
    handler: Callable[[Call], Reply],
    summary: str,
    *,
    answers: AnswerTypes,
    headers: Mapping[str, str] = MappingProxyType({}),
    tells: Mapping[int, Mapping[str, str]] = MappingProxyType({}),
) -> Route:
    """Return the route of a GET that waits for nothing: neither a person, nor a card, nor the disk."""

    async def run(call: Call, _: bytes) -> Reply:
        return handler(call)

    return Route("GET", path, access, run, summary, answers, headers=headers, tells=tells, at_once=handler)


def delete(
    path: str,
    access: Checker,
    handler: Callable[[Call], Awaitable[AnyReply]],
    summary: str,
    *,
    rights: Sequence[Right] | None = None,
    query: Mapping[str, Sequence[str]] = MappingProxyType({}),
    support_code: bool = False,
) -> Route:
    """Return the route of a DELETE, answered 204 when it is done."""
    return Route(
        "DELETE",
        path,
        access,
        lambda call, _: handler(call),
        summary,
        {204: None},
        rights=rights,
        query=query,
        support_code=support_code,
    )


def post(
    path: str,
    access: Checker,
    shape: Shape[B],
    handler: Callable[[Call, B], Awaitable[AnyReply]],
    summary: str,
    *,
    answers: AnswerTypes,
    rights: Sequence[Right] | None = None,
    headers: Mapping[str, str] = MappingProxyType({}),
    tells: Mapping[int, Mapping[str, str]] = MappingProxyType({}),
    idempotent: bool = False,
    signs: bool = False,
    support_code: bool = False,
) -> Route:
    """Return the route of a POST with a JSON body of this shape.

    One that is ``idempotent``, or ``signs``, may carry an Idempotency-Key.
    """

    async def run(call: Call, raw: bytes) -> AnyReply:
        return await handler(call, await call.bodies.decoded(shape, raw))

    return Route(
        "POST",
        path,
        access,
        run,
        summary,
        answers,
        body=shape.types,
        rights=rights,
        headers=headers,
        tells=tells,
        idempotent=idempotent or signs,
        signs=signs,
        support_code=support_code,
    )


def relayed(
    path: str,
    access: Checker,
    handler: Callable[[Call], Awaitable[AnyReply]],
    summary: str,
    *,
    rights: Sequence[Right] | None = None,
) -> tuple[Route, ...]:
    """Return a route for every method that a server behind the relay may be asked with."""
    return tuple(
        Route(method, path, access, lambda call, _: handler(call), summary, {200: "*/*"}, rights=rights, is_open=True)
        for method in RELAYED
    )


def upload(
    path: str,
    access: Checker,
    handler: Callable[[Call], Awaitable[AnyReply]],
    summary: str,
    *,
    answers: AnswerTypes,
    rights: Sequence[Right] | None = None,
) -> Route:
    """Return the route of a POST of bytes, which the handler reads as they come."""
    return Route("POST", path, access, lambda call, _: handler(call), summary, answers, rights=rights, takes=OCTETS)


class _Place:
    """Where a path has come to: the places behind it, by the next segment or whatever that is, and the routes here."""

    def __init__(self) -> None:
        self.exact: dict[str, _Place] = {}
        self.any: _Place | None = None
        self.routes: dict[str, Route] = {}  # by method

    def behind(self, part: str) -> _Place:
        """Return the place behind this part of a route's path, made where it lacks."""
        if not _is_parameter(part):
            return self.exact.setdefault(part, _Place())
        self.any = self.any or _Place()
        return self.any

    def walk(self, segments: Sequence[str], depth: int = 0) -> Mapping[str, Route]:
        """Return the routes at the segments' end, none where it leads nowhere; an exact segment goes first."""
        if depth == len(segments):
            return self.routes
        segment = segments[depth]
        exact = self.exact.get(segment)
        if exact is not None and (found := exact.walk(segments, depth + 1)):
            return found
        return self.any.walk(segments, depth + 1) if self.any is not None and segment else {}


class Router:
    """The routes by path; a path's parameters are its ``{name}`` segments, percent-decoded."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._exact: dict[str, dict[str, Route]] = {}  # those without parameters, by the whole path
        self._root = _Place()
        self._open: dict[int, _Place] = {}  # by how many segments stand before the rest
        for route in routes:
            if not route.parameters:
                self._exact.setdefault(route.path, {})[route.method] = route
                continue
            pattern = route.path.split("/")
            place = self._root
            if route.is_open:
                pattern.pop()
                place = self._open.setdefault(len(pattern), _Place())
            for part in pattern:
                place = place.behind(part)
            place.routes[route.method] = route

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """Return the route and the path's parameters. Raises NotFound, MethodNotAllowed."""
        if exact := self._exact.get(path):
            return _of_method(exact, method), {}
        segments = path.split("/")
        if found := self._root.walk(segments):
            route = _of_method(found, method)
            return route, {name: unquote(segments[place]) for name, place in route.parameters}
        for count, root in self._open.items():
            *segments, rest = path.split("/", count)
            if len(segments) == count and (found := root.walk(segments)):
                route = _of_method(found, method)
                *own, (last, _) = route.parameters
                return route, {**{name: unquote(segments[place]) for name, place in own}, last: rest}
        raise NotFound

    def at_once(self, method: str, target: str) -> Callable[[Call], Reply] | None:
        """Return the handler that waits for nothing of this path, which has neither parameters nor a query."""
        route = self._exact.get(target, {}).get(method)
        return route.at_once if route else None


def _is_parameter(part: str) -> bool:
    return part.startswith("{")


def _of_method(methods: Mapping[str, Route], method: str) -> Route:
    if method not in methods:
        raise MethodNotAllowed(allowed=", ".join(sorted(methods)))
    return methods[method]
