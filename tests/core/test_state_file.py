"""What is kept in the state directory, and what becomes of a file that somebody or something changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from cardd.api.parts import Parts
from cardd.assembly import assemble
from cardd.config import Config, Support
from cardd.core.events import EventBus
from cardd.core.recording import Pseudonyms
from cardd.core.state_file import StateFile
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


# --- how it is written, and which word tells what is wrong

Rooms = dict[str, dict[str, int]]


def told_of(text: str, shape: type[Any] = Rooms) -> Mapping[str, object]:
    """Return what a person is told of a file with this text."""
    store = MemoryStore()
    store.documents["rooms"] = text
    with pytest.raises(StateDamaged) as told:
        StateFile(store, "rooms", shape).load()
    return told.value.params


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", {"why": "json"}),
        ("[]", {"why": "shape"}),
        ("[" * 100_000, {"why": "shape"}),
        ('{"format": 1}', {"why": "shape"}),
        ('{"format": 1, "entries": []}', {"why": "shape"}),
        ('{"format": null, "entries": {}}', {"why": "shape"}),
        ('{"format": -1, "entries": {}}', {"why": "shape"}),
        ('{"format": 1, "entries": {"ground": 1}}', {"why": "entry", "place": "$[...]"}),
    ],
    ids=lambda one: str(one)[:20],
)
def test_what_is_wrong_with_a_file_is_a_word_or_a_place(text: str, told: dict[str, str]) -> None:
    assert told_of(text) == {"file": "rooms", **told}


def test_no_key_of_a_persons_is_taken_for_the_format() -> None:
    store = MemoryStore()
    file = StateFile(store, "rooms", Rooms)
    assert file.load() is None
    file.save({"format": {"é": 7}})
    assert file.load() == {"format": {"é": 7}}
    assert json.loads(store.documents["rooms"]) == {"format": 1, "entries": {"format": {"é": 7}}}
    assert store.documents["rooms"].startswith('{\n "format": 1,\n "entries": {\n')  # for people's eyes


def test_entries_of_a_cardd_that_wrote_no_format_are_the_whole_document() -> None:
    store = MemoryStore()
    store.documents["rooms"] = '{"ground": {"chairs": 4}}'
    assert StateFile(store, "rooms", Rooms).load() == {"ground": {"chairs": 4}}
    store.documents["rooms"] = '{"format": 0, "ground": {"chairs": 4}}'
    assert StateFile(store, "rooms", Rooms).load() == {"ground": {"chairs": 4}}
