"""GET /v1/readers."""

from __future__ import annotations

from cardd.api.call import Call, Reply
from cardd.api.schemas.workstation import ReaderAnswer, ReadersAnswer


async def everyone(call: Call) -> Reply:
    """The reader slots, and which card is in which."""
    return Reply(body=ReadersAnswer(described(call)))


def described(call: Call) -> list[ReaderAnswer]:
    """The reader slots as the API shows them. Raises PcscUnavailable."""
    states = call.services.readers.readers()
    return [ReaderAnswer(state.reader.name, state.card.id if state.card else None) for state in states]
