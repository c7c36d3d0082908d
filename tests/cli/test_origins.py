"""``cardctl origins`` on the real daemon: the sites are listed, let in and shut out by whoever sits there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cardd.system.audit_file import AuditReader
from cardd.system.store import FileStore
from tests.cli.station import User
from tests.rig.daemon import DaemonProcess
from tests.rig.page_keys import BrowserKey, consents
from tests.rig.pinentry import ScriptedPinentry

LISTED, KNOWN, NEW = "https://portail.example", "https://connu.example", "https://nouveau.example"
SETTINGS = f'\n[web]\nallowed_origins = ["{LISTED}"]\nunknown_origins = "ask"\n'
KEY = BrowserKey()


@pytest.fixture(scope="module")
def pinentry(tmp_path_factory: pytest.TempPathFactory) -> ScriptedPinentry:
    return ScriptedPinentry(tmp_path_factory.mktemp("person"), reads=0)


@pytest.fixture(scope="module")
def daemon(pinentry: ScriptedPinentry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    directory = tmp_path_factory.mktemp("daemon")
    daemon = DaemonProcess(directory, pinentry=pinentry.path, extra=SETTINGS, is_read=False)
    daemon.state.mkdir(mode=0o700, exist_ok=True)
    FileStore(daemon.state).save("clients", consents(KEY, [KNOWN], [os.getuid()]))
    daemon.start()
    yield daemon
    daemon.stop()


@pytest.fixture
def somebody(daemon: DaemonProcess, tmp_path: Path) -> User:
    return User(tmp_path, daemon)


def rows(daemon: DaemonProcess) -> list[tuple[str, str]]:
    found = AuditReader(daemon.state / "audit").tail(50)
    return [(row.entry.action, row.entry.caller) for row in found if row.entry.action.startswith("origin.")]


def test_the_list_has_each_site_with_its_rights_and_browsers(somebody: User) -> None:
    lines = {line.split()[0]: line for line in somebody.ok("origins").splitlines()}
    assert "listed" in lines[LISTED]
    assert "detect holder authenticate sign relay" in lines[LISTED]
    assert {"let", "in", KEY.id[:8], "2126-11-01"} <= set(lines[KNOWN].split())
    french = somebody.ok("origins", "list", "--lang", "fr")
    assert "accepté" in french
    told = {str(one["origin"]): one for one in somebody.run("origins", "list", "--json").rows("origins")}
    assert told[KNOWN]["keys"][0]["id"] == KEY.id  # type: ignore[index]


def test_a_site_is_let_in_after_a_dialog_and_shut_out_again(
    somebody: User, daemon: DaemonProcess, pinentry: ScriptedPinentry
) -> None:
    pinentry.answer("no")  # the middle button: remember
    assert "nouveau.example is let in" in somebody.ok("origins", "allow", NEW, "--right", "sign")
    dialog = pinentry.shown()[-1].description
    for words in (NEW, "ask for signatures", "read who you are", "cardctl origins allow", "12 h"):
        assert words in dialog
    assert NEW in somebody.ok("origins")
    assert somebody.ok("origins", "revoke", NEW) == "Shut out.\n"
    assert NEW not in somebody.ok("origins")
    assert rows(daemon)[-2:] == [("origin.allow", NEW), ("origin.revoke", NEW)]


def test_a_site_is_named_as_it_is_copied_from_a_browser(somebody: User, pinentry: ScriptedPinentry) -> None:
    for address in ("HTTPS://Café.example:443/connexion?x=1#y", "café.example"):
        assert "https://xn--caf-dma.example is let in" in somebody.ok("origins", "allow", address)
        assert "https://xn--caf-dma.example " in pinentry.shown()[-1].description
        assert somebody.ok("origins", "revoke", address) == "Shut out.\n"
    refused = somebody.run("origins", "revoke", "café.example", "--lang", "fr")
    assert (refused.status, "https://xn--caf-dma.example" in refused.err, "cardctl origins" in refused.err) == (
        1,
        True,
        True,
    )


def test_who_refuses_in_the_dialog_lets_nobody_in(somebody: User, pinentry: ScriptedPinentry) -> None:
    pinentry.answer("cancel")
    ran = somebody.run("origins", "allow", "https://refuse.example", "--json")
    assert (ran.status, ran.json["error"]["code"]) == (6, "client.pairing_refused")  # type: ignore[index]
    assert "refused" in next(line for line in somebody.ok("origins").splitlines() if "refuse.example" in line)


def test_what_is_no_site_cannot_be_let_in(somebody: User, pinentry: ScriptedPinentry) -> None:
    dialogs = len(pinentry.shown())
    ran = somebody.run("origins", "allow", "http://portail.example")
    assert ran.status == 1
    assert "no address of an https site" in ran.err
    assert len(pinentry.shown()) == dialogs


def test_one_browser_is_shut_out_by_the_beginning_of_its_key(somebody: User) -> None:
    assert somebody.run("origins", "revoke", KNOWN, "--key", "nobodys").status == 1
    somebody.ok("origins", "revoke", KNOWN, f"--key={KEY.id[:8]}")  # which may begin with a dash
    told = {str(one["origin"]): one for one in somebody.run("origins", "--json").rows("origins")}
    assert told[KNOWN]["keys"] == []
    assert somebody.run("origins", "revoke", "https://inconnu.example").status == 1
