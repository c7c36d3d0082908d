"""One configured server: its address, the paths and methods that may be asked, and the headers that pass.

A request's headers are chosen from a list, so that none of them can forge an identity. What a server behind a proxy
takes for the client's identity (``X-SSL-Client-…``, ``X-Forwarded-…``, ``Client-Cert`` of RFC 9440 and the like) is on
no list, and the configuration refuses to add it. Hop-by-hop headers: RFC 9110, section 7.6.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal
from urllib.parse import unquote

from multidict import CIMultiDict, CIMultiDictProxy

from cardd.config import Upstream
from cardd.errors import MethodNotAllowed, UpstreamOfAnotherKind, UpstreamPathRefused, UpstreamUnknown

UpstreamKind = Literal["https", "tls"]

PATH_MAX = 8192
# what a server may take for another path than we do: encoded slashes, dots and NULs, backslashes, empty segments
_AMBIGUOUS = re.compile(r"%(?:2f|5c|2e|00|25)|\\|//|;", re.IGNORECASE)
_PLAIN = re.compile(r"/(?:[\w.~!$&'()*+,=:@/-]|%[0-9A-Fa-f]{2})*", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # what a header's name is (RFC 9110, 5.6.2)
_QUERY = re.compile(r"(?:[\w.~!$&'()*+,;=:@/?\[\]|{}^`-]|%[0-9A-Fa-f]{2})*", re.ASCII)

PASSED = frozenset(
    (
        "accept", "accept-charset", "accept-language", "accept-encoding", "cache-control", "content-disposition",
        "content-encoding", "content-language", "content-location", "content-md5", "content-type", "if-match",
        "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "mime-version", "pragma", "prefer",
        "range", "soapaction", "user-agent",
    )
)  # fmt: skip
HOP_BY_HOP = frozenset(
    (
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
        "trailers", "transfer-encoding", "upgrade", "content-length",
    )
)  # fmt: skip
# what would speak for cardd's own address, to a browser
OURS = frozenset(
    (
        "access-control-allow-origin", "access-control-allow-credentials", "access-control-allow-headers",
        "access-control-allow-methods", "access-control-allow-private-network", "access-control-expose-headers",
        "access-control-max-age", "alt-svc", "clear-site-data", "nel", "public-key-pins", "report-to",
        "reporting-endpoints", "server", "strict-transport-security", "service-worker-allowed",
    )
)  # fmt: skip

OURS_BEGIN = "cardd-"


def target(upstream: Upstream, method: str, path: str, query: str) -> str:
    """Return the address of a request; ``path`` (from its slash on) and ``query`` are still encoded, as they were sent.

    Raises MethodNotAllowed, UpstreamPathRefused.
    """
    if method not in upstream.methods:
        raise MethodNotAllowed(allowed=", ".join(upstream.methods))
    path = _once_decoded(path)
    if len(path) + len(query) > PATH_MAX or not _PLAIN.fullmatch(path) or not _QUERY.fullmatch(query):
        raise UpstreamPathRefused(name=upstream.name)
    if _AMBIGUOUS.search(path) or {".", ".."} & set(path.split("/")) or not _allows(upstream, path):
        raise UpstreamPathRefused(name=upstream.name)
    return upstream.url + path + (f"?{query}" if query else "")


def _once_decoded(path: str) -> str:
    """Return the path as its caller had it, where a generated client encoded it whole, as one parameter of ours.

    Only such a path has no slash but encoded ones. What is judged and sent is what comes out, and that once only.
    """
    segment = path.removeprefix("/")
    if "/" in segment or "%2f" not in segment.lower():
        return path
    try:
        return "/" + unquote(segment, errors="strict")
    except UnicodeDecodeError:
        return path  # and so it is refused


def _allows(upstream: Upstream, encoded: str) -> bool:
    try:
        path = unquote(encoded, errors="strict")
    except UnicodeDecodeError:  # overlong UTF-8, which some servers read as dots and slashes
        return False
    return any(path == allowed or path.startswith(allowed.rstrip("/") + "/") for allowed in upstream.paths)


class Upstreams:
    """The configured servers."""

    def __init__(self, known: Mapping[str, Upstream]) -> None:
        self._known = known

    def names(self, kind: UpstreamKind) -> list[str]:
        """Return what those of a kind are called."""
        return sorted(name for name, upstream in self._known.items() if upstream.kind == kind)

    def named(self, name: str, kind: UpstreamKind) -> Upstream:
        """Return the server of this name. Raises UpstreamUnknown, UpstreamOfAnotherKind."""
        found = self._known.get(name)
        if found is None:
            raise UpstreamUnknown(name=name[:64])
        if found.kind != kind:
            raise UpstreamOfAnotherKind(name=name, kind=found.kind)
        return found


def to_upstream(sent: CIMultiDictProxy[str], more: Iterable[str]) -> CIMultiDict[str]:
    """Return a request's headers for the server; ``more`` are those that the configuration adds."""
    allowed = PASSED | {name.lower() for name in more}
    return CIMultiDict((name, value) for name, value in sent.items() if name.lower() in allowed)


def to_caller(given: CIMultiDictProxy[str], own: Mapping[str, str], *, is_page: bool) -> CIMultiDict[str]:
    """Return an answer's headers for the caller, with cardd's ``own``; a page gets no cookies of another site.

    What has no header's name is left out: aiohttp lets ``Connection X`` pass as one.
    """
    named = {name.strip().lower() for value in given.getall("Connection", ()) for name in value.split(",")}
    dropped = HOP_BY_HOP | OURS | named | {name.lower() for name in own} | ({"set-cookie"} if is_page else set())
    passed = CIMultiDict(
        (name, readable(value))
        for name, value in given.items()
        if _TOKEN.fullmatch(name) and name.lower() not in dropped and not name.lower().startswith(OURS_BEGIN)
    )
    passed.update(own)
    return passed


def readable(text: str) -> str:
    """Return a text that can be sent: octets that are no UTF-8 are read as ISO 8859-1, as some servers mean them.

    A control character, which no header may have, becomes a space (RFC 9110, 5.5): the request was served.
    """
    try:
        text.encode()
    except UnicodeEncodeError:  # aiohttp keeps such octets as surrogates, which cannot be sent
        text = text.encode(errors="surrogateescape").decode("iso-8859-1")
    return _CONTROL.sub(" ", text)
