"""The rows of who was let in, shut out or locked, and of settings: each in full, and none that holds anybody up."""

from __future__ import annotations

import hashlib
import json
import os
from base64 import urlsafe_b64encode

import pytest

from cardd.config import Config, SessionRules, Web
from cardd.core.recording import Pseudonyms
from cardd.core.trail import AuditTrail, ChangedSettings
from cardd.errors import ConsentRefused, StateUnavailable
from cardd.model import AuditEntry, CallerKey, Outcome
from cardd.values import replace
from tests.core.alone import Alone, program
from tests.rig.memory import MemoryAudit, MemoryStore

KEY = hashlib.sha256(b"key of a page SIMULATION")
NAME = urlsafe_b64encode(KEY.digest()).decode().rstrip("=")
PAGE = CallerKey(1000, f"https://site.example {NAME}")


class Trail(Alone):
    """The trail, which hears from the other parts."""

    def __init__(self) -> None:
        super().__init__()
        self.trail = AuditTrail(self.audit)
        self.lifecycle.join(self.trail)

    async def rows(self) -> list[AuditEntry]:
        """Return the rows since the last time, once they are written."""
        await self.trail.stop()
        rows, self.audit.entries = self.audit.entries, []
        return rows


@pytest.fixture
def there() -> Trail:
    return Trail()


def row(action: str, **more: object) -> AuditEntry:
    told: dict[str, object] = {"outcome": Outcome.DONE, "uid": 1000, "caller": "lps", "caller_name": "lps SIMULATION"}
    return AuditEntry(action, **{**told, **more})  # type: ignore[arg-type]


async def test_who_was_let_in_is_a_row_with_the_consent_and_the_key_of_a_page(there: Trail) -> None:
    there.lifecycle.client_let_in(program(), "client.pair", "dialog")
    there.lifecycle.client_let_in(replace(program("https://site.example"), page_key=NAME), "origin.allow", "always")
    about = {"caller": "https://site.example", "caller_name": "https://site.example SIMULATION"}
    assert await there.rows() == [
        row("client.pair", consent="dialog"),
        row("origin.allow", consent="always", digest=KEY.hexdigest(), **about),
    ]


async def test_who_was_not_let_in_is_a_row_that_says_why(there: Trail) -> None:
    there.lifecycle.client_refused(program(), "client.pair", ConsentRefused())
    assert await there.rows() == [row("client.pair", outcome=Outcome.REFUSED, code="consent.refused")]


@pytest.mark.parametrize(
    ("reason", "act"),
    [
        ("client_removed", "client.remove"),
        ("client_locked", "client.lock"),
        ("origin_revoked", "origin.revoke"),
        ("program_revoked", "program.revoke"),
        ("another", "another"),
    ],
)
async def test_who_was_shut_out_is_a_row_by_what_was_done(there: Trail, reason: str, act: str) -> None:
    there.lifecycle.client_shut_out(CallerKey(1000, "lps"), reason, "lps SIMULATION")
    assert await there.rows() == [row(act)]


async def test_the_browser_that_was_shut_out_of_a_site_is_told_by_its_key(there: Trail) -> None:
    there.lifecycle.client_shut_out(PAGE, "origin_revoked", "site.example")
    [told] = await there.rows()
    assert (told.caller, told.caller_name, told.digest) == ("https://site.example", "site.example", KEY.hexdigest())


async def test_a_session_that_was_locked_or_taken_over_is_a_row_and_one_that_ended_otherwise_none(there: Trail) -> None:
    there.lifecycle.session_locked(there.session("one"))
    there.lifecycle.session_closed(there.session("two"), "taken_over")
    there.lifecycle.session_closed(there.session("three"), "logout")
    assert await there.rows() == [row("session.lock", session="one"), row("session.take_over", session="two")]


async def test_the_look_at_the_list_of_sites_is_a_row(there: Trail) -> None:
    there.trail.origins_listed(program())
    assert await there.rows() == [row("origin.list")]


async def test_a_desktops_agent_that_comes_or_is_refused_is_a_row(there: Trail) -> None:
    there.trail.agent("agent.register", 1000, "cardd-agent")
    there.trail.agent("agent.register", 1000, "/tmp/other", "agent.refused")
    about = {"caller": "local:1000", "caller_name": "cardd-agent"}
    assert await there.rows() == [
        row("agent.register", **about),
        row("agent.register", **{**about, "caller_name": "/tmp/other"}, outcome=Outcome.REFUSED, code="agent.refused"),
    ]


async def test_a_row_that_cannot_be_written_is_told_in_the_journal_and_holds_nobody_up(
    there: Trail, caplog: pytest.LogCaptureFixture
) -> None:
    there.audit.is_full = True
    there.lifecycle.client_let_in(program(), "client.pair", "dialog")
    assert await there.rows() == []
    [line] = caplog.messages
    assert line.startswith("no row for client.pair of user 1000: ")
    assert "the disk is full" in line


# --- settings


class Settings:
    """What the daemons with these settings record, one after the other."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store, self.audit = store or MemoryStore(), MemoryAudit()

    async def begun(self, config: Config) -> list[str | None]:
        """Start a daemon; return what all rows tell until now."""
        await ChangedSettings(config, self.store, Pseudonyms(self.store)).record(self.audit)
        return [row.document for row in self.audit.entries]

    def kept(self) -> dict[str, str]:
        kept: dict[str, str] = json.loads(self.store.documents["settings"])["settings"]
        return kept

    def keep(self, **settings: str) -> None:
        self.store.documents["settings"] = json.dumps({"format": 1, "settings": settings})


class Unreadable(MemoryStore):
    """Documents that cannot be read."""

    def load(self, name: str) -> str | None:
        raise StateUnavailable(file=name, why="EROFS")


HOLD, ASK = Config(), Config(session=SessionRules(pin="ask"), web=Web(allowed_origins=("https://site.example",)))


async def test_settings_that_changed_are_named_in_a_row_and_their_values_are_kept_nowhere() -> None:
    there = Settings()
    assert await there.begun(HOLD) == ["first"]
    assert await there.begun(HOLD) == ["first"]
    assert await there.begun(ASK) == ["first", "session.pin, web.allowed_origins"]
    assert "https://site.example" not in str(there.store.documents)
    assert there.audit.entries[0] == AuditEntry(
        "config.change", Outcome.DONE, os.geteuid(), "cardd", "cardd", document="first"
    )


async def test_a_change_is_told_when_the_log_can_be_written_again(caplog: pytest.LogCaptureFixture) -> None:
    there = Settings()
    await there.begun(HOLD)
    there.audit.is_full = True
    assert await there.begun(ASK) == ["first"]
    [line] = caplog.messages
    assert line.startswith("no row for changed settings (session.pin, web.allowed_origins): ")
    assert "the disk is full" in line
    there.audit.is_full = False
    assert await there.begun(ASK) == ["first", "session.pin, web.allowed_origins"]


async def test_settings_that_are_new_or_that_no_daemon_knows_any_more_have_changed() -> None:
    there = Settings()
    await there.begun(HOLD)
    kept = there.kept()
    del kept["prompt.timeout"]
    there.keep(**kept, **{"a.former": "0"})
    assert await there.begun(HOLD) == ["first", "a.former, prompt.timeout"]
    assert there.kept().keys() == kept.keys() | {"prompt.timeout"}


async def test_of_many_names_the_row_has_512_characters() -> None:
    there = Settings()
    await there.begun(HOLD)
    kept = there.kept()
    for name, told in (("a" * 512, "a" * 512), ("b" * 513, "b" * 512 + "…")):
        there.keep(**kept, **{name: "0"})
        assert (await there.begun(HOLD))[-1] == told


async def test_where_the_settings_before_cannot_be_read_nothing_is_told_but_that(
    caplog: pytest.LogCaptureFixture,
) -> None:
    there = Settings(Unreadable())
    assert await there.begun(HOLD) == []
    [line] = caplog.messages
    assert line.startswith("whether settings have changed is not known: ")
    assert "EROFS" in line


async def test_settings_that_cannot_be_kept_are_told_once_more_by_the_next_daemon(
    caplog: pytest.LogCaptureFixture,
) -> None:
    there = Settings()
    await there.begun(HOLD)
    there.store.is_full = True
    assert await there.begun(ASK) == ["first", "session.pin, web.allowed_origins"]
    assert "ENOSPC" in caplog.messages[0]
    there.store.is_full = False
    assert len(await there.begun(ASK)) == 3
    assert len(await there.begun(ASK)) == 3
