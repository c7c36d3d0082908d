"""/v1/programs: other programs that the user let use the card through PKCS#11, and how they are shut out."""

from __future__ import annotations

from cardd.api.answers import Reply
from cardd.api.call import Call
from cardd.api.schemas.clients import ProgramListed, ProgramsAnswer


async def everyone(call: Call) -> Reply:
    """Return the programs that the asking user let in."""
    known = call.parts.programs.standings(call.peer.uid)
    listed = [ProgramListed(one.path, list(one.rights), one.since, one.until, one.used) for one in known]
    return Reply(body=ProgramsAnswer(listed))


async def revoke(call: Call) -> Reply:
    """Shut out a program: its logins end at once."""
    call.parts.programs.revoke(call.path["id"], call.peer.uid)
    return Reply(204)
