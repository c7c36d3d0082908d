"""/v1/cards/{id}/pin-changes and …/pin-unblocks: the user changes or unblocks a PIN, in dialogs."""

from __future__ import annotations

from cardd.api.body import Shape
from cardd.api.call import Call, Reply
from cardd.api.schemas.workstation import PinBody

SHAPE = Shape(PinBody)


async def change(call: Call, _: PinBody) -> Reply:
    """Done when the card has the new PIN; sessions opened with the old one are closed."""
    await call.services.pin_life.change(call.caller, call.services.readers.choose(call.path["id"]))
    return Reply(204)


async def unblock(call: Call, _: PinBody) -> Reply:
    """Done when the card has a new PIN and all its tries."""
    await call.services.pin_life.unblock(call.caller, call.services.readers.choose(call.path["id"]))
    return Reply(204)
