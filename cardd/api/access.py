"""Who may call: the gate that every request passes first (rule 5), and the named checkers of the route table.

Host, Origin and Sec-Fetch-* are compared exactly; there are no patterns. A request that does not pass the gate gets one
terse 403, whatever it asked for, so that a page learns nothing of this workstation. What browsers send: Fetch (Origin),
Fetch Metadata Request Headers (Sec-Fetch-*). Each checker tells the call who calls, or raises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardd.api.call import Call, ConnectionInfo, Page
from cardd.api.parts import Parts
from cardd.core.owners import is_administrator
from cardd.core.session import Session
from cardd.errors import ClientUnknown, Forbidden, SessionUnknown, SupportAdministratorOnly
from cardd.model import Caller, CallerKind, Peer

if TYPE_CHECKING:
    from multidict import CIMultiDictProxy


LOOPBACK_NAMES = ("127.0.0.1", "[::1]", "localhost")
UNIX_HOSTS = frozenset(("localhost", "cardd"))
ASKING = ("/v1/clients", "/v1/clients/challenges")
STATUS = "/v1/status"
TICKET = "ticket"
OWN_PAGE, OWN_ENTRY = "/", "/v1/status-page/sessions"
OWN_PARTS = {"/status.css": "style", "/status.js": "script"}  # what our own page loads: for the browser, what it is

# How a script's own fetch, EventSource or WebSocket looks; all else (an image, a form, a frame, a navigation) is none.
SCRIPT_MODES = ("cors", "same-origin", "websocket")
SCRIPT_DESTINATIONS = ("empty", "websocket")
PAGE_SITES = ("cross-site", "same-site", "same-origin")

ALLOWED_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"  # those of the relay too
ALLOWED_HEADERS = "Authorization, Content-Type, Idempotency-Key, Prefer, SOAPAction, X-Request-ID"
PREFLIGHT_AGE = "600"


def tcp_hosts(port: int) -> frozenset[str]:
    """Return every Host that names us on this port."""
    return frozenset(f"{name}:{port}" for name in LOOPBACK_NAMES)


def admit(
    headers: CIMultiDictProxy[str], connection: ConnectionInfo, method: str, path: str, parts: Parts
) -> Page | None:
    """Return the page that the request comes from, None for a program's. Raises Forbidden for what may not pass."""
    hosts = headers.getall("Host", ())
    if len(hosts) != 1:
        raise Forbidden
    is_own = hosts[0] not in connection.hosts
    if is_own and (connection.is_local or hosts[0] != parts.status_pages.host):
        raise Forbidden
    origins = headers.getall("Origin", ())
    if _is_own_load(headers, path):
        return None
    if is_own:
        return _own_page(headers, connection, method, path, parts)
    if "Sec-Fetch-Site" in headers or "Sec-Fetch-Mode" in headers or "Sec-Fetch-Dest" in headers:
        _check_fetch(headers, has_origin=bool(origins))
    if not origins:
        return None
    if len(origins) > 1 or connection.is_local:
        raise Forbidden
    is_allowed = parts.origins.is_allowed(origins[0], connection.peer)
    if not is_allowed and not (_is_asking(headers, method, path) and parts.origins.may_ask(origins[0])):
        raise Forbidden
    return Page(origins[0], is_allowed)


def preflight() -> dict[str, str]:
    """Return the headers of the answer to a browser that asks before it sends."""
    return {
        "Access-Control-Allow-Methods": ALLOWED_METHODS,
        "Access-Control-Allow-Headers": ALLOWED_HEADERS,
        "Access-Control-Max-Age": PREFLIGHT_AGE,
    }


def _check_fetch(headers: CIMultiDictProxy[str], *, has_origin: bool) -> None:
    """Refuse what no script asked for. A browser always tells the site; Node's fetch tells the mode only.

    Who tells the site and no origin is an extension that may call any host.
    """
    if headers.get("Sec-Fetch-Mode") not in SCRIPT_MODES:
        raise Forbidden
    if headers.get("Sec-Fetch-Dest", "empty") not in SCRIPT_DESTINATIONS:
        raise Forbidden
    site = headers.get("Sec-Fetch-Site")
    if site is None and not has_origin:
        return
    if site not in PAGE_SITES or not has_origin:
        raise Forbidden


def _is_own_load(headers: CIMultiDictProxy[str], path: str) -> bool:
    """Return whether a browser loads the status page, as its person has it: in no frame, from no other site's link."""
    if path != OWN_PAGE and path not in OWN_PARTS:
        return False
    told = tuple(headers.get(f"Sec-Fetch-{name}") for name in ("Site", "Mode", "Dest"))
    if path == OWN_PAGE:
        return told[0] in ("none", "same-origin") and told[1:] == ("navigate", "document")
    return told[0] == "same-origin" and told[2] == OWN_PARTS[path]


def _own_page(headers: CIMultiDictProxy[str], connection: ConnectionInfo, method: str, path: str, parts: Parts) -> Page:
    """Return the status page, by the pass that its link was changed for. Raises Forbidden for who has none.

    On a GET a browser tells no origin.
    """
    own = f"http://{parts.status_pages.host}"
    if headers.get("Sec-Fetch-Site") != "same-origin" or headers.getall("Origin", [own]) != [own]:
        raise Forbidden
    if headers.get("Sec-Fetch-Mode") not in SCRIPT_MODES:
        raise Forbidden
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    is_entering = (method, path) == ("POST", OWN_ENTRY)
    if not is_entering and not (scheme == "Bearer" and parts.status_pages.knows(token, connection.peer)):
        raise Forbidden
    return Page(own, not is_entering, is_own=True)


def _is_asking(headers: CIMultiDictProxy[str], method: str, path: str) -> bool:
    """Return whether this is a call, or its preflight, with which a page asks to be let in, or whether it may ask."""
    asked = headers.get("Access-Control-Request-Method") if method == "OPTIONS" else method
    return (path in ASKING and asked == "POST") or (path == STATUS and asked == "GET")


def anyone(call: Call) -> None:
    """Let in whoever may connect at all."""


def program_or_asking_page(call: Call) -> None:
    """Let in whoever may ask to become a client; our own page never is one."""
    if call.page is not None and call.page.is_own:
        raise Forbidden


def page(call: Call) -> None:
    """Let in a page that may be let in, or is."""
    if call.page is None or call.page.is_own:
        raise Forbidden


def own_page(call: Call) -> None:
    """Let in the status page, which has its link to show."""
    if call.page is None or not call.page.is_own:
        raise Forbidden


def program(call: Call) -> None:
    """Let in any program of this machine's users, and no page."""
    if call.page is not None:
        raise Forbidden


def local(call: Call) -> None:
    """Let in a program on the Unix socket, unpaired, by its OS user: cardctl."""
    if not call.connection.is_local:
        raise Forbidden
    call.who = _local_caller(call.peer)


def administrator(call: Call) -> None:
    """Let in root, or the service's own user, on the Unix socket."""
    local(call)
    if not is_administrator(call.peer.uid):
        raise SupportAdministratorOnly


def client(call: Call) -> None:
    """Let in a paired program by its secret, or a page by its pass."""
    if call.page is not None:
        call.who = call.parts.origins.passes.page(call.bearer, call.page.origin, call.peer)
    elif call.bearer is not None:
        call.who = call.parts.clients.program(call.bearer, call.peer)
    if call.who is None:
        raise ClientUnknown


def local_or_status_page(call: Call) -> None:
    """Let in a program on the Unix socket, or the status page, for the person."""
    if _is_status_page(call):
        call.who = _status_page(call)
    else:
        local(call)


def client_or_local(call: Call) -> None:
    """Let in a client, a program on the Unix socket that names no secret, or the status page."""
    if _is_status_page(call) or (call.connection.is_local and call.bearer is None):
        local_or_status_page(call)
    else:
        client(call)


def listener(call: Call) -> None:
    """Let in who may listen: a page by a ticket too, as EventSource and WebSocket send no header of its own."""
    if call.page is not None and call.bearer is None and TICKET in call.query:
        call.who = call.parts.origins.passes.take_ticket(call.query[TICKET], call.page.origin, call.peer)
    else:
        client_or_local(call)


def local_or_program(call: Call) -> None:
    """Let in a program on the Unix socket, a paired one by its secret; or the status page."""
    if not call.connection.is_local and not _is_status_page(call):
        raise Forbidden
    client_or_local(call)


def session(call: Call) -> None:
    """Let in the holder of the session's token: same OS user, and same origin when a page opened the session."""
    call.open_session = _session(call, touch=True)
    call.who = call.open_session.caller


def session_untouched(call: Call) -> None:
    """Let in the token's holder, also of a session that waits for the mobile; the session grows older all the same."""
    call.open_session = _session(call, touch=False, pending=True)
    call.who = call.open_session.caller


def session_or_local(call: Call) -> None:
    """Let in the holder of the token, or the session's own OS user on the Unix socket or the status page."""
    if not _is_status_page(call) and (call.bearer is not None or not call.connection.is_local):
        call.open_session = _session(call, touch=True, pending=True)
        call.who = call.open_session.caller
        return
    local_or_status_page(call)
    wanted = call.path["id"]
    call.open_session = next((s for s in call.parts.sessions.of(call.peer.uid) if s.id == wanted), None)
    if call.open_session is None:
        raise SessionUnknown


def _session(call: Call, *, touch: bool, pending: bool = False) -> Session:
    token, page = call.bearer, call.page
    if token is None:
        raise SessionUnknown
    caller_id = page.origin if page else None
    found = call.parts.sessions.authenticate(token, caller_id, call.peer.uid, touch=touch, pending=pending)
    if page is None and found.caller.kind is CallerKind.ORIGIN:
        raise SessionUnknown
    if found.id != call.path["id"]:
        raise SessionUnknown
    return found


def _local_caller(peer: Peer) -> Caller:
    name = f"local:{peer.uid}"
    shown = "cardctl" if peer.is_cardctl else peer.program or name
    return Caller(CallerKind.LOCAL, name, shown, f"urn:cardd:{name}", peer)


def _is_status_page(call: Call) -> bool:
    """Return whether the status page calls: the gate has looked at its pass."""
    return call.page is not None and call.page.is_own and call.page.is_allowed


def _status_page(call: Call) -> Caller:
    """Return the status page as who it is: its person's own, as cardctl is."""
    name = f"local:{call.peer.uid}"
    return Caller(CallerKind.LOCAL, name, call.parts.status_pages.shown, f"urn:cardd:{name}", call.peer)
