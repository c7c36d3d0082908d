"""Reading values out of a provider's JSON: each with a limit, none with an exception of Python's own."""

from __future__ import annotations

import msgspec

from cardd.errors import PscGarbled
from cardd.model import JsonValue

JsonObject = dict[str, JsonValue]
TEXT_MAX = 4096
NUMBER_MAX = 1e15  # any time in seconds, and exact as a float; JSON knows no limit


def parse(raw: bytes, what: str) -> JsonObject:
    """Return a JSON object. Raises PscGarbled, naming ``what`` it should have been."""
    try:
        value: JsonValue = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise PscGarbled(what=what) from None  # the cause may quote the answer
    if not isinstance(value, dict):
        raise PscGarbled(what=what)
    return value


def text(found: JsonObject, key: str, limit: int = TEXT_MAX) -> str | None:
    """Return a string that is not empty, None where there is none. Raises PscGarbled for a longer one, another type."""
    value = found.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > limit:
        raise PscGarbled(what=key)
    return value


def required(found: JsonObject, key: str, limit: int = TEXT_MAX) -> str:
    """Return a string that must be there. Raises PscGarbled."""
    value = text(found, key, limit)
    if value is None:
        raise PscGarbled(what=key)
    return value


def number(found: JsonObject, key: str) -> float | None:
    """Return a number, None where there is none. Raises PscGarbled for one out of all proportion, another type."""
    value: object = found.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > NUMBER_MAX:
        raise PscGarbled(what=key)
    return float(value)


def texts(found: JsonObject, key: str, most: int = 64) -> tuple[str, ...]:
    """Return a list of strings, or one string as a list of one; empty where there is none. Raises PscGarbled."""
    value = found.get(key)
    if value is None:
        return ()
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or len(listed) > most:
        raise PscGarbled(what=key)
    wrapped: list[JsonObject] = [{key: entry} for entry in listed]
    return tuple(entry for one in wrapped if (entry := text(one, key)) is not None)


def objects(found: JsonObject, key: str, most: int = 64) -> list[JsonObject]:
    """Return a list of objects; empty where there is none. Raises PscGarbled."""
    value = found.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > most:
        raise PscGarbled(what=key)
    listed = [entry for entry in value if isinstance(entry, dict)]
    if len(listed) != len(value):
        raise PscGarbled(what=key)
    return listed
