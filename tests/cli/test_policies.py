"""``cardctl browser-policy`` below a root of its own: what it writes for each browser, and that it takes it back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cardd.cli.policies import Policies
from cardd.cli.policy_documents import PLACES
from tests.cli.station import Ran, User

SITE, OTHER = "https://portail.example", "https://autre.example:8443"
CHROMIUM = "etc/chromium/policies/managed"
CHROME = "etc/opt/chrome/policies/managed"
FIREFOX = "etc/firefox/policies/policies.json"
LIST = "LoopbackNetworkAllowedForUrls"
INSTALLED = ("usr/lib/chromium/chromium", "usr/lib/firefox-esr/firefox-esr", "opt/google/chrome/chrome")
PRACTICE = (
    b'{\n\t"policies": { "DisableTelemetry": true,\n'
    b'\t"LocalNetworkAccess": {"SkipDomains": ["pacs.example"], "Locked": true}}}'
)
FLEET = (
    b'{"LoopbackNetworkAllowedForUrls": ["https://pacs.example:443"],'
    b' "HomepageLocation": "https://\xc3\xa9tablissement.example"}'
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A system with Chromium, Chrome and Firefox."""
    root = tmp_path / "root"
    for name in INSTALLED:
        (root / name).parent.mkdir(parents=True)
        (root / name).touch()
    (root / "etc/cardd").mkdir(parents=True)
    (root / "etc/cardd/cardd.toml").touch()
    return root


@pytest.fixture
def policy(stranger: User, root: Path) -> Policy:
    return Policy(stranger, root)


class Policy:
    """Somebody who may write there."""

    def __init__(self, user: User, root: Path) -> None:
        self._user = user
        self.root = root

    def run(self, *arguments: str) -> Ran:
        return self._user.run("browser-policy", *arguments, "--root", self.root)

    def ok(self, *arguments: str) -> str:
        ran = self.run(*arguments)
        assert ran.status == 0, ran.err
        return ran.out

    def put(self, name: str, content: bytes) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_bytes(content)

    def json(self, name: str) -> dict[str, object]:
        found: dict[str, object] = json.loads((self.root / name).read_bytes())
        return found

    def tree(self) -> dict[str, object]:
        """Every file and folder with its mode, a file's content and time."""
        return {str(path.relative_to(self.root)): self._seen(path) for path in self.root.rglob("*")}

    @staticmethod
    def _seen(path: Path) -> object:
        found = path.stat()
        return (found.st_mode, path.read_bytes(), found.st_mtime_ns) if path.is_file() else found.st_mode


def test_a_site_is_let_through_to_loopback_alone_and_taken_out_again(policy: Policy) -> None:
    before = policy.tree()
    told = policy.ok("apply", SITE, OTHER)
    assert "/etc/firefox/policies/policies.json" in told
    for folder in (CHROMIUM, CHROME):
        assert policy.json(f"{folder}/cardd.json") == {LIST: [f"{SITE}:443", OTHER]}
    assert policy.json(FIREFOX) == {
        "policies": {"LocalNetworkAccess": {"SkipDomains": ["portail.example", "autre.example"]}}
    }
    assert (policy.root / FIREFOX).stat().st_mode & 0o777 == 0o644  # every user's browser reads it
    policy.ok("remove")
    assert policy.tree() == before


def test_what_is_there_stays_and_comes_back_to_the_byte(policy: Policy) -> None:
    policy.put(FIREFOX, PRACTICE)
    policy.put(f"{CHROMIUM}/50-parc.json", FLEET)
    policy.put(f"{CHROMIUM}/90-autre.json", b'{"BookmarkBarEnabled": true}')
    (policy.root / FIREFOX).chmod(0o640)
    before = policy.tree()
    policy.ok("apply", SITE)
    policy.ok("apply", OTHER)
    local = policy.json(FIREFOX)["policies"]
    assert local == {
        "DisableTelemetry": True,
        "LocalNetworkAccess": {"SkipDomains": ["pacs.example", "portail.example", "autre.example"], "Locked": True},
    }
    fleet = policy.json(f"{CHROMIUM}/50-parc.json")
    assert fleet[LIST] == ["https://pacs.example:443", f"{SITE}:443", OTHER]
    assert fleet["HomepageLocation"] == "https://établissement.example"
    assert not (policy.root / f"{CHROMIUM}/cardd.json").exists()  # the file that counts is the fleet's
    policy.ok("remove", SITE)
    assert policy.json(f"{CHROMIUM}/50-parc.json")[LIST] == ["https://pacs.example:443", OTHER]
    policy.ok("remove", OTHER)
    assert policy.tree() == before


def test_a_site_that_the_administrator_let_through_stays_theirs(policy: Policy) -> None:
    policy.put(FIREFOX, b'{"policies": {"LocalNetworkAccess": {"SkipDomains": ["portail.example"]}}}')
    before = policy.tree()
    policy.ok("apply", SITE)
    assert policy.json(FIREFOX) == {"policies": {"LocalNetworkAccess": {"SkipDomains": ["portail.example"]}}}
    policy.ok("remove", SITE)
    assert policy.tree() == before


def test_a_file_that_somebody_changed_since_loses_our_sites_alone(policy: Policy) -> None:
    policy.ok("apply", SITE)
    changed = policy.json(FIREFOX)
    changed["policies"]["DisablePocket"] = True  # type: ignore[index]
    changed["policies"]["LocalNetworkAccess"]["SkipDomains"].append("pacs.example")  # type: ignore[index]
    policy.put(FIREFOX, json.dumps(changed).encode())
    (policy.root / f"{CHROMIUM}/cardd.json").unlink()
    policy.ok("remove")
    assert policy.json(FIREFOX) == {
        "policies": {"LocalNetworkAccess": {"SkipDomains": ["pacs.example"]}, "DisablePocket": True}
    }
    assert not (policy.root / CHROMIUM).exists()


def test_a_policy_that_came_later_in_another_file_is_the_one_that_counts(policy: Policy) -> None:
    policy.ok("apply", SITE)
    policy.put(f"{CHROMIUM}/z-parc.json", FLEET)
    policy.ok("apply", OTHER)
    assert policy.json(f"{CHROMIUM}/z-parc.json")[LIST] == ["https://pacs.example:443", f"{SITE}:443", OTHER]
    assert not (policy.root / f"{CHROMIUM}/cardd.json").exists()
    policy.ok("remove")
    assert (policy.root / f"{CHROMIUM}/z-parc.json").read_bytes() == FLEET


@pytest.mark.parametrize(
    "site",
    [
        "http://portail.example",
        "portail.example",
        "https://*.example",
        "https://portail.example/",
        "https://Portail.example",
        "https://localhost",  # Firefox would let every site through to it
        "https://dev.localhost",
        "https://127.0.0.1",
        "https://2130706433",
        "https://[::1]",
        "https://portail..example",
        "https://portail.example:0443",
    ],
)
def test_what_is_no_site_of_another_machine_is_refused_and_nothing_written(policy: Policy, site: str) -> None:
    before = policy.tree()
    ran = policy.run("apply", SITE, site)
    assert (ran.status, site in ran.err) == (2, True)
    assert policy.tree() == before


@pytest.mark.parametrize("content", [b"{", b"[]", b"// Chromium takes comments\n{}", b"\xff"])
def test_a_file_that_is_not_understood_leaves_all_as_they_are(policy: Policy, content: bytes) -> None:
    policy.put(FIREFOX, content)
    before = policy.tree()
    ran = policy.run("apply", SITE, "--json")
    assert (ran.status, ran.json["error"]["code"]) == (1, "browser_policy.unreadable")  # type: ignore[index]
    assert policy.tree() == before


def test_a_link_of_an_image_leads_to_no_file_of_this_machine(policy: Policy, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (policy.root / "etc/chromium").symlink_to(outside)
    before = policy.tree()
    assert policy.run("apply", SITE).status == 1
    assert (policy.tree(), list(outside.iterdir())) == (before, [])


def test_a_file_that_is_a_link_stays_one_and_comes_back_to_the_byte(policy: Policy) -> None:
    policy.put("usr/share/parc/policies.json", PRACTICE)
    link = policy.root / FIREFOX
    link.parent.mkdir(parents=True)
    link.symlink_to("../../../usr/share/parc/policies.json")
    policy.ok("apply", SITE)
    assert link.is_symlink()
    policy.ok("remove")
    assert link.is_symlink()
    assert (policy.root / "usr/share/parc/policies.json").read_bytes() == PRACTICE


@pytest.mark.parametrize("name", ["etc/cardd", f"{CHROMIUM}/50-parc.json"])
def test_nor_does_a_link_of_the_record_or_of_one_file(policy: Policy, tmp_path: Path, name: str) -> None:
    host, link = tmp_path / "host", policy.root / name
    if name == "etc/cardd":
        host.mkdir()
        (link / "cardd.toml").unlink()
        link.rmdir()
    else:
        host.write_bytes(FLEET)
        link.parent.mkdir(parents=True)
    link.symlink_to(host)
    assert policy.run("apply", SITE).status != 0
    assert list(host.iterdir()) == [] if host.is_dir() else host.read_bytes() == FLEET
    assert not (policy.root / FIREFOX).exists()


@pytest.mark.parametrize("content", [b"", b" \n"])
def test_an_empty_file_says_nothing_and_is_empty_again(policy: Policy, content: bytes) -> None:
    policy.put(FIREFOX, content)
    policy.put(f"{CHROMIUM}/50-parc.json", FLEET)
    before = policy.tree()
    assert "pacs.example" in policy.ok("show")
    policy.ok("apply", SITE)
    assert "portail.example" in policy.ok("show")
    policy.ok("remove")
    assert policy.tree() == before


def test_one_file_that_is_not_understood_hides_no_other(policy: Policy) -> None:
    policy.put(FIREFOX, b"{")
    policy.put(f"{CHROMIUM}/50-parc.json", FLEET)
    shown = policy.run("show", "--lang", "fr")
    assert shown.status == 1
    assert "pacs.example" in shown.out
    assert "non compris" in shown.out


def test_half_a_character_in_a_file_stays_what_it_is(policy: Policy) -> None:
    content = b'{"HomepageLocation": "\\ud800", "LoopbackNetworkAllowedForUrls": ["\\udfff"]}'
    policy.put(f"{CHROMIUM}/50-parc.json", content)
    policy.ok("apply", SITE)
    assert policy.json(f"{CHROMIUM}/50-parc.json")["HomepageLocation"] == "\ud800"
    policy.ok("show")
    policy.ok("show", "--json")
    policy.ok("remove")
    assert (policy.root / f"{CHROMIUM}/50-parc.json").read_bytes() == content


@pytest.mark.parametrize("kept", [{"before": "%%%"}, {"before": 1}, {"sites": "x", "entries": [1]}, {"more": 1}])
def test_a_record_that_we_did_not_write_so_empties_no_file(policy: Policy, kept: dict[str, object]) -> None:
    policy.put(FIREFOX, PRACTICE)
    policy.ok("apply", SITE)
    record = policy.json("etc/cardd/browser-policies.json")
    record["files"][FIREFOX].update(kept)  # type: ignore[index]
    policy.put("etc/cardd/browser-policies.json", json.dumps(record).encode())
    before = policy.tree()
    ran = policy.run("remove", "--json")
    assert ran.json["error"]["code"] == "browser_policy.unreadable"  # type: ignore[index]
    assert policy.tree() == before


def test_a_record_that_spells_a_file_s_name_in_another_way_is_told_as_unreadable(policy: Policy) -> None:
    policy.put(FIREFOX, PRACTICE)
    policy.ok("apply", SITE)
    record = policy.json("etc/cardd/browser-policies.json")
    record["files"] = {FIREFOX.replace("/", "//", 1): record["files"][FIREFOX]}  # type: ignore[index]
    policy.put("etc/cardd/browser-policies.json", json.dumps(record).encode())
    before = policy.tree()
    ran = policy.run("remove", "--json")
    assert ran.json["error"]["code"] == "browser_policy.unreadable"  # type: ignore[index]
    assert policy.tree() == before


def test_what_firefox_was_given_with_its_package_still_holds(policy: Policy) -> None:
    policy.put("usr/lib/firefox-esr/distribution/policies.json", b'{"policies": {"DisableTelemetry": true}}')
    before = policy.tree()
    policy.ok("apply", SITE, OTHER)
    policy.ok("remove", OTHER)
    assert policy.json(FIREFOX)["policies"] == {
        "DisableTelemetry": True,
        "LocalNetworkAccess": {"SkipDomains": ["portail.example"]},
    }
    policy.ok("remove")
    assert policy.tree() == before


def test_a_file_that_was_taken_away_or_put_back_by_somebody_stays_so(policy: Policy) -> None:
    policy.put(FIREFOX, PRACTICE)
    policy.put(f"{CHROMIUM}/50-parc.json", FLEET)
    policy.ok("apply", SITE)
    (policy.root / FIREFOX).unlink()
    policy.put(f"{CHROMIUM}/50-parc.json", FLEET + b"\n\n")
    policy.ok("remove")
    assert not (policy.root / FIREFOX).exists()
    assert (policy.root / f"{CHROMIUM}/50-parc.json").read_bytes() == FLEET + b"\n\n"


def test_no_folder_is_made_that_keeps_snap_from_installing_a_browser(policy: Policy) -> None:
    policy.ok("apply", SITE, "--all")
    assert not (policy.root / "var/snap").exists()
    current = policy.root / "var/snap/chromium/current"
    (current.parent / "2345").mkdir(parents=True)
    current.symlink_to("2345")
    policy.ok("apply", SITE, "--all")
    assert (current.parent / "2345/policies/managed/cardd.json").exists()
    policy.ok("remove")
    assert list((current.parent / "2345").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file system read-only")
def test_where_nothing_can_be_written_nothing_is_and_the_file_is_named(policy: Policy) -> None:
    before = policy.tree()
    mount = f'mount --bind {policy.root} {policy.root} && mount -o remount,ro,bind {policy.root} && exec "$@"'
    command = [sys.executable, "-m", "cardd.cli.cardctl", "browser-policy", "apply", SITE, "--root", str(policy.root)]
    unshared = ["unshare", "--mount", "sh", "-c", mount, "sh", *command]
    ran = subprocess.run(unshared, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "browser-policies.json" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert policy.tree() == before


def test_only_installed_browsers_are_written_for_or_all_of_an_image(policy: Policy) -> None:
    policy.ok("apply", SITE, "--browser", "chrome")
    assert not (policy.root / FIREFOX).exists()
    policy.ok("apply", SITE, "--all")
    shown = policy.run("show", "--json").rows("browsers")
    assert len(shown) == len(PLACES) - 1  # all but the folder that is Snap's own
    assert [one["sites"] for one in shown if one["browser"] == "firefox"] == [["portail.example"]] * 2
    assert sum(one["is_installed"] is True for one in shown) == 3
    policy.ok("remove")
    assert {one["browser"] for one in policy.run("show", "--json").rows("browsers")} == {
        "chromium",
        "chrome",
        "firefox",
    }


def test_who_may_not_write_there_is_told_which_file(policy: Policy) -> None:
    (policy.root / "etc/chromium").touch()
    ran = policy.run("apply", SITE)
    assert ran.status == 1
    assert "etc/chromium" in ran.err


def test_the_command_speaks_french(policy: Policy) -> None:
    policy.ok("apply", SITE)
    told = policy.run("show", "--lang", "fr").out
    assert "NAVIGATEUR" in told
    assert "oui" in told


@pytest.mark.parametrize("sites_go_first", [True, False])
def test_sites_and_modules_share_a_file_and_are_taken_out_in_any_order(policy: Policy, *, sites_go_first: bool) -> None:
    policy.put(FIREFOX, PRACTICE)
    before = policy.tree()
    policy.ok("apply", SITE)
    policies = Policies(policy.root)
    policies.put_devices({"cardd": "/usr/lib/p11-kit-client.so"})
    found = policy.json(FIREFOX)["policies"]
    assert isinstance(found, dict)
    assert found["SecurityDevices"] == {"cardd": "/usr/lib/p11-kit-client.so"}
    if sites_go_first:
        policy.ok("remove")
        assert "SecurityDevices" in str(policy.json(FIREFOX))
        policies.put_devices({})
    else:
        policies.put_devices({})
        assert "portail.example" in str(policy.json(FIREFOX))
        policy.ok("remove")
    assert policy.tree() == before


def test_modules_of_the_administrator_stay(policy: Policy) -> None:
    policy.put(FIREFOX, b'{"policies": {"SecurityDevices": {"Add": {"other": "/other.so"}, "Delete": ["old"]}}}')
    before = policy.tree()
    policies = Policies(policy.root)
    policies.put_devices({"cardd": "/client.so"})
    assert policy.json(FIREFOX) == {
        "policies": {"SecurityDevices": {"Delete": ["old"], "Add": {"other": "/other.so", "cardd": "/client.so"}}}
    }
    policies.put_devices({})
    assert policy.tree() == before
