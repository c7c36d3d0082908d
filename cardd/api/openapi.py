"""OpenAPI 3.1, made from the route table and the schemas, so that it says what the code does."""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct
from msgspec.json import encode, schema_components

from cardd.api import access
from cardd.api.answers import PROBLEM
from cardd.api.call import SUPPORT_CODE
from cardd.api.router import OCTETS, Route
from cardd.api.schemas import Problem, Refusal
from cardd.api.schemas.workstation import Hello, Told
from cardd.errors import every_error
from cardd.model import JsonValue

JSON = "application/json"
REFERENCE = "#/components/schemas/{name}"

Json = dict[str, JsonValue]
BYTES: Json = {"type": "string", "format": "binary"}
TEXT: Json = {"type": "string"}
PLAIN: dict[str, Json] = {
    OCTETS: BYTES,
    JSON: {"type": "object"},
    **dict.fromkeys(("text/event-stream", "text/html", "text/css", "text/javascript", "text/plain"), TEXT),
}

SECURITY: dict[object, list[JsonValue]] = {
    access.anyone: [],
    access.program_or_asking_page: [],
    access.page: [{"origin": []}],
    access.own_page: [],
    access.local_or_status_page: [{"local": []}, {"page": []}],
    access.program: [],
    access.local: [{"local": []}],
    access.administrator: [{"local": []}],
    access.client: [{"client": []}, {"page": []}],
    access.client_or_local: [{"client": []}, {"page": []}, {"local": []}],
    access.listener: [{"client": []}, {"page": []}, {"local": []}],
    access.local_or_program: [{"client": [], "local": []}, {"local": []}],
    access.session: [{"session": []}],
    access.session_untouched: [{"session": []}],
    access.session_or_local: [{"session": []}, {"local": []}],
}
SCHEMES: Json = {
    "client": {"type": "http", "scheme": "bearer", "description": "client_secret of a paired program"},
    "session": {"type": "http", "scheme": "bearer", "description": "token of a session"},
    "page": {"type": "http", "scheme": "bearer", "description": "pass of a page, which its key proved"},
    "origin": {"type": "apiKey", "in": "header", "name": "Origin", "description": "a page's origin; browsers set it"},
    "local": {"type": "apiKey", "in": "header", "name": "Host", "description": "the OS user on the Unix socket"},
}


def document(version: str, routes: Iterable[Route]) -> bytes:
    """Return the description, as JSON."""
    told = {Problem, Refusal, Hello, Told}
    types = sorted({kind for route in routes for kind in _types(route)} | told, key=lambda kind: kind.__name__)
    _, schemas = schema_components(types, ref_template=REFERENCE)
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return encode(
        {
            "openapi": "3.1.0",
            "info": {"title": "cardd", "version": version, "description": _codes()},
            "paths": paths,
            "components": {"schemas": _plain(schemas), "securitySchemes": SCHEMES},
        }
    )


def _plain(value: JsonValue) -> JsonValue:
    """Return a schema that generators of clients understand.

    A tuple of one type is a list of a length, and a default is told in words: openapi-python-client knows no tuples,
    and openapi-typescript demands whatever has a default.
    """
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if not isinstance(value, dict):
        return value
    plain = {name: _plain(part) for name, part in value.items()}
    match plain:
        case {"prefixItems": [first, *_], "items": False}:
            del plain["prefixItems"]
            plain["items"] = first
        case {"default": default} if not isinstance(default, dict):
            del plain["default"]
            if default is not None:
                plain["description"] = f"By default {encode(default).decode()}."
    return plain


def _operation(route: Route) -> Json:
    name = re.sub(r"\W+", "_", f"{route.method.lower()}{route.path.removeprefix('/v1')}").strip("_")
    operation: Json = {
        "operationId": name,
        "summary": route.summary,
        "security": SECURITY[route.access],
        "parameters": _parameters(route),
        "responses": _responses(route),
    }
    if route.rights:
        operation["x-page-rights"] = [right.value for right in route.rights]
    if route.body:
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": _one_of(route.body)}}}
    if route.is_open and route.method not in ("GET", "HEAD"):
        operation["requestBody"] = {"content": {OCTETS: {"schema": BYTES}}}
    if route.takes:
        operation["requestBody"] = {"required": True, "content": {route.takes: {"schema": BYTES}}}
    return operation


def _parameters(route: Route) -> list[JsonValue]:
    text: Json = {"type": "string"}
    found: list[JsonValue] = [
        {"name": name, "in": "path", "required": True, "schema": text} for name in re.findall(r"{(\w+)}", route.path)
    ]
    found += [
        {"name": name, "in": "query", "schema": {**text, "enum": list(values)} if values else text}
        for name, values in route.query.items()
    ]
    if route.idempotent:
        found.append({"name": "Idempotency-Key", "in": "header", "schema": {**text, "maxLength": 255}})
    if route.support_code:
        found.append({"name": SUPPORT_CODE, "in": "header", "schema": {**text, "pattern": "^[0-9]{6}$"}})
    found += [
        {"name": name, "in": "header", "description": meaning, "schema": text}
        for name, meaning in route.headers.items()
    ]
    return found


def _responses(route: Route) -> Json:
    answers: dict[str, Json] = {str(status): _answer(body) for status, body in route.answers.items()}
    for status, headers in route.tells.items():
        answers[str(status)]["headers"] = {
            name: {"description": meaning, "schema": {"type": "string"}} for name, meaning in headers.items()
        }
    told: Json = {PROBLEM: {"schema": {"anyOf": [_one_of((Problem,)), _one_of((Refusal,))]}}}
    if route.is_open:  # a server's refusals come through as they are; generators read the first of the two
        told = {OCTETS: {"schema": BYTES}, **told}
    return {**answers, "default": {"description": "A problem, told by its code", "content": told}}


def _answer(body: type[Struct] | tuple[type[Struct], ...] | str | None) -> Json:
    match body:
        case None:
            return {"description": "No body"}
        case "*/*":
            return {"description": "What the server answered, of whatever type", "content": {OCTETS: {"schema": BYTES}}}
        case str():
            return {"description": body, "content": {body: {"schema": PLAIN[body]}}}
        case tuple():
            return {"description": "Done", "content": {JSON: {"schema": _one_of(body)}}}
        case _:
            return {"description": "Done", "content": {JSON: {"schema": _one_of((body,))}}}


def _one_of(types: tuple[type[Struct], ...]) -> Json:
    references: list[JsonValue] = [{"$ref": REFERENCE.format(name=kind.__name__)} for kind in types]
    return {"$ref": REFERENCE.format(name=types[0].__name__)} if len(types) == 1 else {"oneOf": references}


def _types(route: Route) -> Iterable[type[Struct]]:
    yield from route.body
    for body in route.answers.values():
        if isinstance(body, tuple):
            yield from body
        elif isinstance(body, type):
            yield body


def _codes() -> str:
    """Return every code that a problem may carry, with its status."""
    rows = sorted({f"- `{error.code}` ({error.status})" for error in every_error()})
    return "Codes of problems:\n\n" + "\n".join(rows)
