"""/v1/clients: programs that pair, pages that ask to be let in, and how both leave again."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

from cardd.api import origins
from cardd.api.answers import Reply
from cardd.api.call import Call, Shape
from cardd.api.schemas.clients import (
    ClientAnswer,
    ClientListed,
    ClientsAnswer,
    LockBody,
    OriginBody,
    PairBody,
    PairingAnswer,
)
from cardd.core.clients import Paired, Pairing, PairingRequest
from cardd.core.consents import ensure_readable
from cardd.core.owners import ROOT
from cardd.core.support import Privilege
from cardd.errors import ClientNotFound, InvalidRequest
from cardd.model import CallerKey, CallerKind

LOCK_BODY = Shape(LockBody)
CLIENT_BODY: Shape[PairBody | OriginBody] = Shape(
    PairBody, OriginBody, choose=lambda fields: PairBody if "name" in fields else OriginBody
)


async def pair(call: Call, body: PairBody | OriginBody) -> Reply:
    """Pair a program, or let a page in; the user decides in a dialog."""
    if call.page is not None:
        return await origins.enter(call, call.page, body)
    if isinstance(body, OriginBody):
        raise InvalidRequest(where="$.name", why="missing")
    ensure_readable(body.name, "$.name")
    ensure_readable(body.vendor, "$.vendor")
    request = PairingRequest(body.name, body.vendor, body.software_id, tuple(body.permissions))
    polls = "respond-async" in call.http.headers.get("Prefer", "")
    pairing = call.parts.clients.pair(request, call.peer, polls=polls)
    if polls:
        return _pending(pairing)
    return _paired(await asyncio.shield(pairing.answer), 201)


async def pairing(call: Call) -> Reply:
    """Return how a pairing stands, and, once it is approved, its secret."""
    found = call.parts.clients.pairing(call.path["id"], call.peer)
    if not found.answer.done():
        return _pending(found)
    return _paired(await found.answer, 200)


async def everyone(call: Call) -> Reply:
    """Return the programs and remembered origins of the asking user."""
    clients, uid = call.parts.clients, call.peer.uid
    programs = [
        ClientListed(
            p.id, "program", p.name, p.paired_at, vendor=p.vendor, software_id=p.software_id, locked=p.is_locked
        )
        for p in clients.programs(uid)
    ]
    known = call.parts.origins.known(uid)
    sites = [ClientListed(one.origin, "origin", one.origin, one.allowed_at) for one in known]
    return Reply(body=ClientsAnswer(programs + sites))


async def remove(call: Call) -> Reply:
    """Unpair a client, for the client itself, for its user, or for root over the Unix socket. Its sessions close.

    Root needs a code of support for another user's client, where codes are demanded.
    """
    identifier = call.path["id"]
    if call.caller.kind is not CallerKind.LOCAL and call.caller.id != identifier:
        raise ClientNotFound
    owner = _owner(call)
    if owner != call.peer.uid:
        await call.parts.support.demand(Privilege.UNPAIR_OTHERS, call.caller, call.support_code, about=identifier)
    if owner in call.parts.clients.owners(identifier):
        call.parts.clients.remove(identifier, owner)
    else:  # a page forgets its own key, and its user the site
        call.parts.origins.revoke(CallerKey(owner, identifier), call.caller.page_key)
    return Reply(204)


async def lock(call: Call, _: LockBody) -> Reply:
    """Keep a program out, for its user or for root; the program stays paired, and its sessions close."""
    call.parts.clients.lock(call.path["id"], _owner(call), locked=True)
    return Reply(204)


async def unlock(call: Call) -> Reply:
    """Let a program in again; where codes are demanded, support says with one that all is well."""
    identifier, owner = call.path["id"], _owner(call)
    call.parts.clients.paired(identifier, owner)
    await call.parts.support.demand(Privilege.UNLOCK, call.caller, call.support_code, about=identifier)
    call.parts.clients.lock(identifier, owner, locked=False)
    return Reply(204)


def _owner(call: Call) -> int:
    """Return the OS user whose client this is: the asking one; root may name anybody's. Raises ClientNotFound."""
    if call.caller.kind is not CallerKind.LOCAL or call.peer.uid != ROOT:
        return call.peer.uid
    identifier = call.path["id"]
    owners = (*call.parts.clients.owners(identifier), *call.parts.origins.owners(identifier))
    if not owners:
        raise ClientNotFound
    return owners[0]


def _pending(pairing: Pairing) -> Reply:
    body = PairingAnswer(pairing.id, pairing.code, pairing.expires_at, "pending")
    return Reply(202, body, {"Location": f"/v1/clients/pairings/{quote(pairing.id)}"})


def _paired(paired: Paired, status: int) -> Reply:
    return Reply(status, ClientAnswer(paired.client_id, paired.client_secret))
