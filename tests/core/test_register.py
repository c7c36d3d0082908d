"""Who was let in, as one file keeps it: what the next daemon knows, and what a full disk leaves as it was."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest

from cardd.core.register import KnownKey, KnownOrigin, Program, Register
from cardd.errors import StateUnavailable
from cardd.model import CallerKey, Right
from cardd.values import replace
from tests.rig.memory import MemoryStore

DAY = datetime(2026, 11, 1, tzinfo=UTC)
LPS = Program("lps", "LPS SIMULATION", "Éditeur SIMULATION", "lps-1", 1000, "hash", "2026-11-01", ("sessions",), True)
KEY = KnownKey("thumbprint", (Right.SIGN,), DAY, DAY, date(2026, 11, 2))
SITE = KnownOrigin("https://site.example", 1000, "2026-11-01", (KEY,))


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def test_what_was_written_down_is_known_by_secret_and_by_user_and_origin(store: MemoryStore) -> None:
    register = Register(store)
    assert (register.programs, register.origins) == ({}, {})
    other = replace(SITE, uid=1001)
    register.let_in(register.programs, LPS.secret, LPS)
    for site in (SITE, other):
        register.let_in(register.origins, site.key, site)
    known = Register(store)
    assert known.programs == {"hash": LPS}
    assert known.origins == {
        CallerKey(1000, "https://site.example"): SITE,
        CallerKey(1001, "https://site.example"): other,
    }


def test_on_a_full_disk_nobody_new_is_let_in_and_who_was_in_is_as_before(store: MemoryStore) -> None:
    register = Register(store)
    register.let_in(register.programs, LPS.secret, LPS)
    store.is_full = True
    for program in (replace(LPS, secret="another"), replace(LPS, is_locked=False)):
        with pytest.raises(StateUnavailable):
            register.let_in(register.programs, program.secret, program)
    assert register.programs == {"hash": LPS}


def test_pages_of_a_file_from_before_they_had_keys_have_none_whatever_it_says(store: MemoryStore) -> None:
    said = {"origin": SITE.origin, "uid": 1000, "allowed_at": SITE.allowed_at, "keys": ["of nobody"]}
    store.documents["clients"] = json.dumps({"format": 1, "programs": [], "origins": [said]})
    assert list(Register(store).origins.values()) == [replace(SITE, keys=())]
    store.documents["clients"] = json.dumps({"format": 1, "programs": []})
    assert Register(store).origins == {}
