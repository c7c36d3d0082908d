"""What is kept in the state directory, and what becomes of a file that somebody or something changed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cardd.api.parts import Parts
from cardd.assembly import assemble
from cardd.config import Config, Support
from cardd.core.events import EventBus
from cardd.core.recording import Pseudonyms
from cardd.errors import StateDamaged
from cardd.identity.ecps.state import ResumableSessions
from cardd.identity.expiry import ExpiryWatch
from tests.core.conftest import CALLER
from tests.rig.memory import ManualClock, MemorySecrets, MemoryStore
from tests.rig.outside import Around


def assembled(store: MemoryStore) -> Parts:
    return assemble(Config(support=Support(totp=True)), Around(store=store).made())


READERS: dict[str, Callable[[MemoryStore], object]] = {
    "clients": lambda store: assembled(store).clients.programs(1000),
    "pseudonyms": lambda store: Pseudonyms(store).of("185059999900181"),
    "login-hints": lambda store: assembled(store).logins.ecps.hints.of(1000),
    "ecps-sessions": lambda store: ResumableSessions(store, MemorySecrets()).all(),
    "certificates": lambda store: ExpiryWatch(store, ManualClock(), EventBus()).expiring(),
}
DAMAGES = ["", "{", "null", "[]", '{"programs": [{}], "key": "zz", "1000": 1, "one": "yesterday"}']


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", READERS)
async def test_a_file_that_is_not_as_cardd_wrote_it_is_told_and_left_as_it_is(name: str, damage: str) -> None:
    store = MemoryStore()
    store.documents[name] = damage
    with pytest.raises(StateDamaged) as told:
        READERS[name](store)
    assert told.value.params["file"] == name
    assert str(told.value.params["why"]) in StateDamaged.words["why"]  # a word that every language has
    assert store.documents == {name: damage}


async def test_what_is_wrong_with_a_file_is_told_in_the_readers_language() -> None:
    store = MemoryStore()
    store.documents["login-hints"] = '{"1000": 1}'
    with pytest.raises(StateDamaged) as told:
        READERS["login-hints"](store)
    assert told.value.told("en").detail.endswith("(what stands at $[...] is missing or of another kind).")
    assert told.value.told("fr").detail.endswith("(ce qui se trouve à $[...] manque ou est d'une autre nature).")


async def test_codes_of_support_are_not_given_out_anew_because_their_file_is_damaged() -> None:
    store = MemoryStore()
    store.documents["support"] = '{"step": "last"}'
    with pytest.raises(StateDamaged):
        await assembled(store).support.standing(CALLER)
