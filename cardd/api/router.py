"""Routes: what one is, how a body reaches its handler, and how a path finds its route."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar
from urllib.parse import unquote

from aiohttp import web
from msgspec import Struct

from cardd.api.call import Call, Reply, Shape
from cardd.errors import MethodNotAllowed, NotFound
from cardd.model import Right

OCTETS = "application/octet-stream"

B = TypeVar("B", bound=Struct)

RELAYED = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

Checker = Callable[[Call], None]
AnyReply = Reply | web.StreamResponse
AnswerTypes = Mapping[int, type[Struct] | tuple[type[Struct], ...] | str | None]


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table.

    ``answers`` gives for each status the schema or schemas, a media type, or None for no body. ``takes`` is the media
    type of a body that the handler reads by itself. ``query`` gives for each parameter the values that it may have;
    none stand for any. ``rights`` are those of which a page needs one, its key's proof in any case; None leaves pages
    to ``access`` alone.
    ``headers`` says what the request's own headers mean, ``tells`` what the answers' do, by status. An ``idempotent``
    one may carry an Idempotency-Key; under it, one that ``signs`` signs once, whichever session of the holder's it
    comes in. ``support_code`` says that the handler may demand one. With ``is_open`` the path's last parameter is all
    the rest of it, still encoded; query and body are the handler's own.
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


_Entry = tuple[tuple[str, ...], dict[str, Route]]


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


class Router:
    """The routes by path; a path's parameters are its ``{name}`` segments, percent-decoded."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._by_length: dict[int, list[_Entry]] = {}
        self._open: list[_Entry] = []
        for route in routes:
            pattern = tuple(route.path.split("/"))
            _add(self._open if route.is_open else self._by_length.setdefault(len(pattern), []), pattern, route)

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """Return the route and the path's parameters. Raises NotFound, MethodNotAllowed."""
        segments = path.split("/")
        for pattern, methods in self._by_length.get(len(segments), ()):
            parameters = _match(pattern, segments)
            if parameters is not None:
                return _of_method(methods, method), parameters
        for pattern, methods in self._open:
            *segments, rest = path.split("/", len(pattern) - 1)
            parameters = _match(pattern[:-1], segments) if len(segments) == len(pattern) - 1 else None
            if parameters is not None:
                return _of_method(methods, method), {**parameters, pattern[-1][1:-1]: rest}
        raise NotFound


def _add(known: list[_Entry], pattern: tuple[str, ...], route: Route) -> None:
    methods = next((methods for seen, methods in known if seen == pattern), None)
    if methods is None:
        methods = {}
        known.append((pattern, methods))
        known.sort(key=lambda entry: sum(part.startswith("{") for part in entry[0]))  # exact paths first
    methods[route.method] = route


def _of_method(methods: dict[str, Route], method: str) -> Route:
    if method not in methods:
        raise MethodNotAllowed(allowed=", ".join(sorted(methods)))
    return methods[method]


def _match(pattern: tuple[str, ...], segments: list[str]) -> dict[str, str] | None:
    parameters: dict[str, str] = {}
    for part, segment in zip(pattern, segments, strict=True):
        if part.startswith("{") and segment:
            parameters[part[1:-1]] = unquote(segment)
        elif part != segment:
            return None
    return parameters
