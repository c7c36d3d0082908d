"""What is kept in the state directory, and what becomes of a file that somebody or something changed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cardd.config import Prompt, Support
from cardd.core.clients import Clients
from cardd.core.dialog_lines import DialogLines
from cardd.core.lifecycle import Lifecycle
from cardd.core.recording import Pseudonyms
from cardd.core.support import SupportCodes
from cardd.errors import StateDamaged
from cardd.identity.ecps.state import LoginHints, ResumableSessions
from cardd.identity.expiry import ExpiryWatch
from tests.core.conftest import CALLER, Core
from tests.rig.memory import ManualClock, MemoryAudit, MemorySecrets, MemoryStore


def clients(core: Core, store: MemoryStore) -> Clients:
    dialogs = DialogLines(core.person, core.events, ManualClock(), Prompt(), MemoryAudit())
    return Clients(store, dialogs, ManualClock(), Lifecycle(), allowed_origins=frozenset())


READERS: dict[str, Callable[[Core, MemoryStore], object]] = {
    "clients": clients,
    "pseudonyms": lambda core, store: Pseudonyms(store).of("185059999900181"),
    "login-hints": lambda core, store: LoginHints(store).of(1000),
    "ecps-sessions": lambda core, store: ResumableSessions(store, MemorySecrets()).all(),
    "certificates": lambda core, store: ExpiryWatch(store, ManualClock(), core.events).expiring(),
}
DAMAGES = ["", "{", "null", "[]", '{"programs": [{}], "key": "zz", "1000": 1, "one": "yesterday"}']


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", READERS)
async def test_a_file_that_is_not_as_cardd_wrote_it_is_told_and_left_as_it_is(
    core: Core, name: str, damage: str
) -> None:
    store = MemoryStore()
    store.documents[name] = damage
    with pytest.raises(StateDamaged) as told:
        READERS[name](core, store)
    assert told.value.params["file"] == name
    assert str(told.value.params["why"]) in StateDamaged.words["why"]  # a word that every language has
    assert store.documents == {name: damage}


async def test_what_is_wrong_with_a_file_is_told_in_the_readers_language(core: Core) -> None:
    store = MemoryStore()
    store.documents["login-hints"] = '{"1000": 1}'
    with pytest.raises(StateDamaged) as told:
        READERS["login-hints"](core, store)
    assert told.value.told("en").detail.endswith("(what stands at $[...] is missing or of another kind).")
    assert told.value.told("fr").detail.endswith("(ce qui se trouve à $[...] manque ou est d'une autre nature).")


async def test_codes_of_support_are_not_given_out_anew_because_their_file_is_damaged(core: Core) -> None:
    store = MemoryStore()
    store.documents["support"] = '{"step": "last"}'
    desk = SupportCodes(store, MemorySecrets(), MemoryAudit(), ManualClock(), Support(totp=True), host="SIMULATION")
    with pytest.raises(StateDamaged):
        await desk.standing(CALLER)
