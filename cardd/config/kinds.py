"""What one value of the configuration may be: the types of the keys, and what is wrong with a value that is refused.

msgspec checks a value against its type, strictly: no text passes for a number, no boolean either, and neither do TOML's
``inf`` and ``nan``. A ``Kind`` beside the type says how people write it, and what to tell them when it is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from enum import EnumType
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, cast, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from cardd.i18n import N_, Domain
from cardd.values import Value

Why = Literal[
    "unknown", "type", "range", "duration", "choice", "path", "https", "http", "loopback", "origin", "insecure_origin",
    "missing", "own", "proxy", "production", "forging", "host", "same_path", "same_port", "same_origin",
    "absent", "forbidden", "folder", "no_file",
    "unreadable", "inherited", "not_passed",
    "toml", "toml_statement", "toml_value", "toml_text", "toml_bracket", "toml_more", "toml_twice",
]  # fmt: skip

_ = Domain("config")

LOCAL = ("localhost", "127.0.0.1", "::1")  # this machine
DAY = 86400
_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?) ?(ms|s|min|h)")
_LOOPBACK = re.compile(r"(?:(?:127\.0\.0\.1|\[::1\]|localhost):)?(\d{1,5})")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = rf"{_LABEL}(?:\.{_LABEL})*"
_HOST = rf"(?:{_NAME}|\[[0-9a-f:]+\])"
_PORT = r"(?:[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5])"
_ADDRESS = rf"{_HOST}(?::{_PORT})?(?:/[\w./~%-]*)?\Z"
_SEGMENT = r"[A-Za-z0-9_~!$&'()*+,=:@-][A-Za-z0-9_.~!$&'()*+,=:@-]*"


class Unfit(Exception):
    """A value that does not fit its key: a reason, which ConfigInvalid has in words, and what would have been right."""

    def __init__(self, why: Why, expected: str) -> None:
        super().__init__(why)
        self.why: Why = why
        self.expected = expected


class Kind(Value):
    """How people write a value, and what they are told of another one; ``read`` makes of it what msgspec checks."""

    name: str
    why: Why
    example: str
    read: Callable[[object], object] | None = None


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """One section of the configuration; its keys are ``Annotated`` with their type, limits and description.

    ``LIVE`` names those that may change while cardd runs, at a reload; all others want a restart.
    """

    LIVE: ClassVar[frozenset[str]] = frozenset()

    def faults(self) -> Iterable[tuple[str, Unfit]]:
        """Find what is wrong with keys that were accepted one by one, each with the key that it is told of."""
        return ()


class Declared(Value):
    """One key as its section declares it: its type, its default and its meaning, in English."""

    type: object
    default: object
    meaning: str


def declared(section: type[Section]) -> dict[str, Declared]:
    """Return the keys of one section in order."""
    types: dict[str, Any] = get_type_hints(section, include_extras=True)
    return {
        name: Declared(types[name], default, beside.description)
        for name, default in zip(section.__struct_fields__, section.__struct_defaults__, strict=True)
        for beside in getattr(types[name], "__metadata__", ())
        if isinstance(beside, Meta) and beside.description
    }


def _seconds(value: object) -> object:
    """Return the seconds of ``"30 min"``, or of a number."""
    if isinstance(value, str) and (match := _DURATION.fullmatch(value)):
        return float(match[1]) * _UNITS[match[2]]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Unfit("duration", _DURATION_EXAMPLES)
    return value


def _loopback_port(value: object) -> object:
    """Return the port, given alone or behind the name of a loopback address; another address is refused (rule 5)."""
    if not isinstance(value, str):
        return value
    if (match := _LOOPBACK.fullmatch(value)) is None:
        raise Unfit("loopback", _LOOPBACK_EXAMPLES)
    return int(match[1])


def _without_slash(value: object) -> object:
    return value.rstrip("/") if isinstance(value, str) else value


_DURATION_EXAMPLES = '30, "30 s", "30 min", "4 h", "500 ms"'
_URL_EXAMPLE = "https://host[:port][/path]"
_LOOPBACK_EXAMPLES = '"127.0.0.1:17463", "[::1]:17463", 17463'

Duration = Annotated[float, Kind(N_("duration"), "duration", _DURATION_EXAMPLES, _seconds)]
Port = Annotated[int, Meta(ge=0, le=65535)]
LoopbackPort = Annotated[Port, Kind(N_("port"), "loopback", _LOOPBACK_EXAMPLES, _loopback_port)]
Word = Annotated[str, Meta(min_length=1)]
HttpUrl = Annotated[
    str, Meta(pattern=rf"\Ahttps?://{_ADDRESS}"), Kind(N_("http or https address"), "http", _URL_EXAMPLE)
]
HttpsUrl = Annotated[str, Meta(pattern=rf"\Ahttps://{_ADDRESS}"), Kind(N_("https address"), "https", _URL_EXAMPLE)]
UrlPath = Annotated[str, Meta(pattern=rf"\A/(?:{_SEGMENT}(?:/{_SEGMENT})*/?)?\Z"), Kind(N_("URL path"), "path", "/…")]
UpstreamUrl = Annotated[
    str,
    Meta(pattern=rf"\A(?:https://{_ADDRESS}|tls://{_HOST}:{_PORT}\Z)"),
    Kind(N_("https or tls address"), "https", f"{_URL_EXAMPLE}, tls://host:port", _without_slash),
]
# As browsers send it (RFC 6454), compared byte for byte: no pattern, no path, no capital letter, no default port.
Origin = Annotated[
    str,
    Meta(pattern=rf"\A(?:https://(?!.*:443\Z)|http://(?!.*:80\Z)){_HOST}(?::{_PORT})?\Z", max_length=267),
    Kind(N_("origin"), "origin", "https://host[:port]"),
]
# The program itself, which a process runs, and not a script that starts it; a star stands for part of a name.
BrowserPath = Annotated[
    str,
    Meta(pattern=r"\A(?:known|any|/[^\0]+)\Z", max_length=4096),
    Kind(N_("browser"), "path", '"known", "/opt/browser/browser", "any"'),
]
HostName = Annotated[str, Meta(pattern=rf"\A{_NAME}\Z"), Kind(N_("host name"), "host", "psc.example")]
Sink = Annotated[
    str,
    Meta(pattern=rf"\A(?:journal\Z|/[^\0]+\Z|https://{_ADDRESS})"),
    Kind(N_("sink"), "choice", '"journal", "/…", "https://host[:port][/path]"'),
]
ForwardProxy = Annotated[
    str,
    Meta(pattern=rf"\A(?:none\Z|environment\Z|http://{_HOST}:{_PORT}/?\Z)"),
    Kind(N_("address of a proxy"), "proxy", '"none", "environment", "http://proxy.example:3128"', _without_slash),
]
HeaderName = Annotated[
    str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9-]{0,62}\Z"), Kind(N_("header name"), "type", '"X-…"')
]


_PLAIN = {int: N_("integer"), bool: N_("boolean"), str: N_("string"), Path: N_("path")}
_LISTS = {
    "URL path": N_("list of URL paths"),
    "browser": N_("list of browsers"),
    "header name": N_("list of header names"),
    "host name": N_("list of host names"),
    "origin": N_("list of origins"),
    "path": N_("list of paths"),
    "sink": N_("list of sinks"),
    "string": N_("list of strings"),
    "table": N_("list of tables"),
}


def read(declared: object, value: object) -> object:
    """Return the value as cardd uses it; ``declared`` is the key's type. Raises Unfit."""
    kind, shape, _beside = _parts(declared)
    if value == "" and type(None) in get_args(shape):
        return None
    taken = kind.read(value) if kind and kind.read else value
    try:
        return msgspec.convert(taken, declared, dec_hook=_path)
    except msgspec.ValidationError:
        raise _unfit(declared, taken) from None


def name_of(declared: object, language: str = "en") -> str:
    """Return what the reference calls this type."""
    kind, shape, _beside = _parts(declared)
    arguments = get_args(shape)
    if kind:
        return _(kind.name, language)
    if words := _words(shape):
        return " | ".join(f'"{word}"' for word in words)
    if get_origin(shape) is tuple and _words(arguments[0]):
        return _("list of {words}", language, words=name_of(arguments[0]))
    if get_origin(shape) is tuple:
        return _(_LISTS[name_of(arguments[0])], language)
    if type(None) in arguments:
        return f'{name_of(arguments[0], language)} | ""'
    return _(_PLAIN[shape], language)


def choices(declared: object) -> tuple[str, ...]:
    """Return the words among which a value of this type, or each of its entries, is chosen; none for free text."""
    _, shape, _beside = _parts(declared)
    return _words(shape) or tuple(word for inner in get_args(shape) for word in choices(inner))


def _parts(declared: object) -> tuple[Kind | None, type, Sequence[object]]:
    """Return the Kind beside a type, if there is one, the bare type, and all that stands beside it."""
    beside: Sequence[object] = getattr(declared, "__metadata__", ())
    kind = next((each for each in reversed(beside) if isinstance(each, Kind)), None)
    return kind, cast(type, getattr(declared, "__origin__", None) if beside else declared), beside


def _words(shape: type) -> tuple[str, ...]:
    """Return the words that a type of few words has; none for any other type."""
    if get_origin(shape) is Literal:
        return get_args(shape)
    return tuple(shape) if isinstance(shape, EnumType) else ()


def _path(kind: type, value: object) -> object:
    """Return the path, which is absolute: a relative one would depend on where the daemon was started."""
    if kind is not Path or not isinstance(value, str):
        raise Unfit("type", "string")
    if not value.startswith("/") or "\0" in value:
        raise Unfit("path", "/…")
    return Path(value)


def _unfit(declared: object, value: object) -> Unfit:
    """Return what is wrong with a value that msgspec refused."""
    kind, shape, beside = _parts(declared)
    arguments = get_args(shape)
    if words := _words(shape):
        return Unfit("choice", ", ".join(f'"{word}"' for word in words))
    if type(None) in arguments:
        return _unfit(arguments[0], value)
    if get_origin(shape) is tuple and isinstance(value, list):
        return _unfit_entry(arguments[0], value)
    if type(value) in {int: (int,), float: (int, float)}.get(shape, ()):
        unit = " s" if shape is float else ""
        limits = next(each for each in reversed(beside) if isinstance(each, Meta) and each.ge is not None)
        return Unfit("range", f"{limits.ge}–{limits.le}{unit}")
    return Unfit(kind.why if kind and isinstance(value, str) else "type", kind.example if kind else name_of(declared))


def _unfit_entry(declared: object, entries: list[object]) -> Unfit:
    """Return what is wrong with the first entry that was refused; without one, the list is empty and must not be."""
    for entry in entries:
        try:
            read(declared, entry)
        except Unfit as unfit:
            return Unfit(unfit.why, f"{unfit.expected} ({str(entry)[:80]!r})")
    empty = _unfit(declared, "")
    return Unfit(empty.why, f"[{empty.expected}]")


def pairs(entries: tuple[str, ...]) -> dict[str, str]:
    """Return entries of the form ``name=value`` by their names."""
    return {name: value for name, _, value in (entry.partition("=") for entry in entries)}
