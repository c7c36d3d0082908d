"""Named checkers of the route table: each tells the call who calls, or raises."""

from __future__ import annotations

from cardd.api.call import Call
from cardd.core.sessions import Session
from cardd.core.support import is_administrator
from cardd.errors import ClientUnknown, Forbidden, SessionUnknown, SupportAdministratorOnly
from cardd.model import Caller, CallerKind, Peer


def anyone(call: Call) -> None:
    """Let in whoever may connect at all."""


def program_or_asking_page(call: Call) -> None:
    """Let in whoever may ask to become a client."""


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
    """Let in a paired program by its secret, or an allowed page by its origin."""
    if call.page is not None:
        call.who = call.page.caller
    elif call.bearer is not None:
        call.who = call.parts.clients.program(call.bearer, call.peer)
    if call.who is None:
        raise ClientUnknown


def client_or_local(call: Call) -> None:
    """Let in a client, or a program on the Unix socket that names no secret."""
    if call.connection.is_local and call.bearer is None:
        local(call)
    else:
        client(call)


def local_or_program(call: Call) -> None:
    """Let in a program on the Unix socket, a paired one by its secret."""
    if not call.connection.is_local:
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
    """Let in the holder of the token, or the session's own OS user on the Unix socket."""
    if call.bearer is not None or not call.connection.is_local:
        call.open_session = _session(call, touch=True, pending=True)
        call.who = call.open_session.caller
        return
    local(call)
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
