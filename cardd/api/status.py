"""GET /v1/status."""

from __future__ import annotations

from cardd.api.call import Call, Reply
from cardd.api.schemas.workstation import StatusAnswer
from cardd.errors import InvalidRequest, PcscUnavailable

CHALLENGE, PROOF = "Cardd-Challenge", "Cardd-Proof"
CHALLENGE_MIN, CHALLENGE_MAX = 32, 128


async def show(call: Call) -> Reply:
    """That we are here, and whether there are readers; nothing of this workstation."""
    try:
        ready = bool(call.services.readers.readers())
    except PcscUnavailable:
        ready = False
    body = StatusAnswer("cardd", call.services.version, "ready" if ready else "no_readers")
    return Reply(body=body, headers=_proof(call))


def _proof(call: Call) -> dict[str, str]:
    """For a paired program that asks, before it sends its secret, whether we are who it was paired with."""
    client, _, challenge = call.http.headers.get(CHALLENGE, "").partition(" ")
    transport = call.http.transport
    if call.page is not None or call.line.is_local or transport is None or not client:
        return {}
    if not CHALLENGE_MIN <= len(challenge) <= CHALLENGE_MAX:
        raise InvalidRequest(where=CHALLENGE, why=f"{CHALLENGE_MIN}-{CHALLENGE_MAX}")
    host, port = transport.get_extra_info("sockname")[:2]
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return {PROOF: call.services.clients.prove(client, challenge, address, call.peer)}
