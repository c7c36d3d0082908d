"""``cardctl pkcs11``: what it registers is found by the distribution's own tools, and is taken out to the byte."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cardd.cli.flatpak_overrides import with_filesystem, without_filesystem
from cardd.cli.program_places import client, personal
from cardd.cli.registering import Place, Registration
from cardd.errors import RegistrationUnreadable
from tests.cli.station import User
from tests.rig.other_user import UID, closed, open_to_everybody
from tests.rig.other_user import run as run_as_other

pytestmark = pytest.mark.skipif(client() is None, reason="no p11-kit-client.so here")
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can have an /etc of its own")
NEEDS_NSS = pytest.mark.skipif(shutil.which("modutil") is None, reason="no modutil here")

# on an /etc of its own
MACHINE = """
set -e
place=$1; shift
mount -t tmpfs none "$place"; mkdir "$place"/{e,ew}
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$place/e,workdir=$place/ew" /etc
printf '[state]\\ndirectory = "%s"\\n[p11]\\nsocket = "%s/p11"\\n' "$place" "$place" > "$place/c.toml"
look() { find /etc -printf '%p %m %l\\n' | sort; find /etc -type f -exec cksum {} + | sort; }
look > "$place/before"
"$@" register --config "$place/c.toml"; "$@" register --config "$place/c.toml" > "$place/twice"
grep -q "registered.*/etc/pkcs11/modules/cardd.module" "$place/twice"
p11-kit list-modules | grep "^cardd"
ssh -G host.example | grep -i "^pkcs11provider .*p11-kit-client.so"
for generator in /usr/lib/systemd/user-environment-generators/*environment-d*; do
  [ ! -x "$generator" ] || "$generator" | grep -F "P11_KIT_SERVER_ADDRESS=unix:path=$place/p11"
done
OPENSSL_CONF=/etc/cardd/openssl.cnf openssl engine -t pkcs11 | grep available
! openssl engine | grep pkcs11
"$@" unregister --config "$place/c.toml"
look > "$place/after"; diff "$place/before" "$place/after"
echo undone
"""
# one user who has registered, and who has a snap; one whose record is none; one who has none
USERS = """
set -e
place=$1; shift
mount -t tmpfs none "$place"; chmod 755 "$place"; mkdir "$place"/{e,ew,one,two,none}
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$place/e,workdir=$place/ew" /etc
for n in one:4321 two:4322 none:4323; do
  echo "${n%:*}:x:${n#*:}:${n#*:}::$place/${n%:*}:/bin/sh" >> /etc/passwd; chown "${n#*:}" "$place/${n%:*}"
done
mkdir -p "$place/two/.local/state/cardd"; echo x > "$place/two/.local/state/cardd/pkcs11.json"
closed=$1 python=$2; shift 2
if [ "$closed" ]; then  # this Python lies in a folder of root's
  mkdir "$place/python"; mount --bind "$python" "$place/python"
  mount -t tmpfs -o mode=755 none "$closed"; mkdir -p "$python"; mount --bind "$place/python" "$python"
fi
look() { find "$place/one" -printf '%P %m %U\n' | sort; }
cd /; as_one="setpriv --reuid 4321 --regid 4321 --clear-groups env -i HOME=$place/one"
snap="$place/one/snap/firefox/common/.mozilla/firefox/z"
$as_one mkdir -p "$snap"; $as_one touch "$snap/cert9.db"
look > "$place/before"
setpriv --reuid 4323 --regid 4323 --clear-groups flock --no-fork / sleep 60 > /dev/null 2>&1 &  # to keep root waiting
holder=$!
trap 'kill $holder' EXIT
"$@" register > /dev/null
$as_one "$@" register | grep "snap.*has no way to cardd.*firefox/z"
$as_one "$@" unregister --all-users 2>&1 | grep sudo
test -f "$place/one/.config/pkcs11/modules/cardd.module"
set +e; "$@" --json unregister --all-users > "$place/told"; echo "status $?" >> "$place/told"; set -e
look > "$place/after"; diff "$place/before" "$place/after"; test ! -e /etc/pkcs11/modules/cardd.module
cat "$place/told"
"""


def _in_an_etc_of_its_own(script: str, place: Path, *more: str | Path) -> str:
    """Run a script that registers; return what it said."""
    command = [sys.executable, "-m", "cardd.cli.cardctl", "pkcs11"]
    ran = subprocess.run(
        ["unshare", "--mount", "bash", "-c", script, "bash", str(place), *map(str, more), *command],
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@AS_ROOT
def test_what_root_registers_for_the_machine_is_found_and_taken_out_exactly(tmp_path: Path) -> None:
    assert _in_an_etc_of_its_own(MACHINE, tmp_path).endswith("undone\n")


@AS_ROOT
def test_root_takes_out_what_each_user_registered_as_that_user(tmp_path: Path) -> None:
    python = Path(sys.base_prefix).resolve()
    if closed(Path(__file__)) or (closed(python) == python):
        pytest.skip("other users may not read these sources")
    open_to_everybody(tmp_path)
    said = _in_an_etc_of_its_own(USERS, tmp_path, closed(python) or "", python)

    told, _, status = said[said.index("{") :].rpartition("status ")
    assert status == "1\n"
    assert json.loads(told)["users"] == [{"user": "one", "done": True}, {"user": "two", "done": False}]


@AS_ROOT
def test_nothing_is_registered_where_the_module_is_not_installed() -> None:
    module = client()
    assert module is not None
    without = 'set -e; mount -t tmpfs none "$1"; shift; exec "$@"'
    command = [sys.executable, "-m", "cardd.cli.cardctl", "--json", "pkcs11", "register"]
    ran = subprocess.run(
        ["unshare", "--mount", "bash", "-c", without, "bash", str(module.parent), *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ran.returncode, json.loads(ran.stdout or ran.stderr)["error"]["code"]) == (1, "pkcs11.client_missing")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A user's home with a Firefox profile, and a Chromium that never ran."""
    home = tmp_path / "home"
    (home / ".config").mkdir(parents=True)
    _database(home / ".mozilla/firefox/x")
    return home


def _database(place: Path) -> None:
    place.mkdir(parents=True)
    if shutil.which("certutil"):
        subprocess.run(["certutil", "-N", "--empty-password", "-d", f"sql:{place}"], check=True)


def _tree(home: Path) -> dict[str, object]:
    return {str(path.relative_to(home)): _seen(path) for path in home.rglob("*")}


def _seen(path: Path) -> object:
    found = path.lstat()
    is_file = not path.is_symlink() and path.is_file()
    return (found.st_mode, path.read_bytes(), found.st_mtime_ns) if is_file else found.st_mode


def _register(home: Path) -> Registration:
    registration = Registration(home / ".local/state/cardd/pkcs11.json", home)
    assert registration.put(_places(home)) == []
    return registration


def _places(home: Path) -> list[Place]:
    return list(personal(Path("/run/cardd/p11"), client() or Path(), home))


def _modules(database: Path) -> str:
    return subprocess.run(
        ["modutil", "-list", "-dbdir", f"sql:{database}"], capture_output=True, text=True, check=True
    ).stdout


@NEEDS_NSS
def test_browsers_of_a_user_have_the_module_and_then_no_longer(home: Path) -> None:
    before = _tree(home.parent)
    registration = _register(home)
    assert "2. cardd" in _modules(home / ".mozilla/firefox/x")
    registration.take_out()
    assert _tree(home.parent) == before


@NEEDS_NSS
def test_a_database_that_was_not_there_yet_is_made_by_the_browser_and_keeps_what_it_has(home: Path) -> None:
    registration = _register(home)
    database = home / ".pki/nssdb"
    subprocess.run(["certutil", "-N", "--empty-password", "-d", f"sql:{database}"], check=True)
    assert "2. cardd" in _modules(database)
    registration.take_out()
    assert "cardd" not in _modules(database)


@NEEDS_NSS
def test_a_database_changed_since_loses_our_module_alone(home: Path) -> None:
    registration = _register(home)
    database = home / ".mozilla/firefox/x"
    add = ["modutil", "-force", "-add", "other", "-libfile", str(client()), "-dbdir", f"sql:{database}"]
    subprocess.run(add, check=True, capture_output=True)
    registration.take_out()
    modules = _modules(database)
    assert "other" in modules
    assert "cardd" not in modules


@AS_ROOT
def test_p11_kit_finds_what_a_user_registered(home: Path, tmp_path: Path) -> None:
    open_to_everybody(tmp_path)
    _register(home)
    subprocess.run(["chmod", "-R", "a+rX", str(home)], check=True)
    listed = subprocess.run(
        ["setpriv", "--reuid", "4321", "--clear-groups", "p11-kit", "list-modules"],
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert "cardd:" in listed.stdout + listed.stderr


def test_commands_at_once_lose_no_record(home: Path) -> None:
    before, places = _tree(home), _places(home)
    registrations = [Registration(home / ".local/state/cardd/pkcs11.json", home) for _ in places]
    with ThreadPoolExecutor(len(places)) as pool:
        assert list(pool.map(lambda one, place: one.put([place]), registrations, places)) == [[] for _ in places]
    assert {place.state() for place in places} == {"registered"}
    registrations[0].take_out()
    assert _tree(home) == before


@NEEDS_NSS
def test_a_place_that_cannot_be_written_keeps_no_other_back(home: Path) -> None:
    (home / ".config/pkcs11").write_text("no folder")
    before = _tree(home)
    registration = Registration(home / ".local/state/cardd/pkcs11.json", home)
    (fault,) = registration.put(_places(home))
    assert fault.filename == str(home / ".config/pkcs11/modules/cardd.module")
    assert "2. cardd" in _modules(home / ".mozilla/firefox/x")
    assert registration.take_out() == []
    assert _tree(home) == before


NOBODYS = 54777  # a user of no name
AS_USER = """
home, module = Path(sys.argv[1]), Path(sys.argv[2])
places = list(personal(Path("/run/cardd/p11"), module, home))
faults = Registration(home / ".local/state/cardd/pkcs11.json", home).put(places)
print(sorted({(place.file.parent.name, place.state()) for place in places if place.program == "firefox"}))
print([fault.filename for fault in faults])
"""


@AS_ROOT
def test_a_profile_that_root_has_taken_keeps_no_other_back(home: Path, tmp_path: Path) -> None:
    open_to_everybody(tmp_path)
    other = home / ".mozilla/firefox/y"
    other.mkdir()
    (other / "cert9.db").touch()
    for path in (home, *home.rglob("*")):
        os.chown(path, UID, UID)
    taken = home / ".mozilla/firefox/x"
    taken.chmod(0o700)
    os.chown(taken, 0, 0)
    imports = (
        "from pathlib import Path; from cardd.cli.program_places import personal; "
        "from cardd.cli.registering import Registration"
    )
    told = run_as_other(AS_USER, home, client() or Path(), imports=imports).splitlines()
    assert told == ["[('x', 'unreadable'), ('y', 'registered')]", str([str(taken / "pkcs11.txt")])]


@NEEDS_NSS
def test_a_folder_that_leads_in_a_circle_keeps_no_other_back(home: Path) -> None:
    (home / ".config/pkcs11").symlink_to("other")
    (home / ".config/other").symlink_to("pkcs11")
    before = _tree(home)
    registration = Registration(home / ".local/state/cardd/pkcs11.json", home)
    (fault,) = registration.put(_places(home))
    assert fault.filename == str(home / ".config/pkcs11/modules/cardd.module")
    assert "2. cardd" in _modules(home / ".mozilla/firefox/x")
    assert registration.take_out() == []
    assert _tree(home) == before


def test_a_folder_that_a_link_leads_to_and_that_is_not_there_is_made_and_goes(home: Path) -> None:
    (home / ".config/pkcs11").symlink_to(home / "gone")
    before = _tree(home)
    registration = _register(home)
    assert (home / "gone/modules/cardd.module").exists()
    registration.take_out()
    assert _tree(home) == before


@NEEDS_NSS
def test_what_a_killed_command_left_goes_and_a_link_in_its_place_leads_nowhere(home: Path) -> None:
    (home / "precious").write_text("precious")
    before = _tree(home)
    part = home / ".mozilla/firefox/x/.pkcs11.txt.cardd"
    part.symlink_to(home / "precious")
    registration = _register(home)
    assert (home / "precious").read_text() == "precious"
    part.write_text("half")
    registration.take_out()
    assert _tree(home) == before


@AS_ROOT
def test_who_keeps_settings_elsewhere_is_registered_there(home: Path, tmp_path: Path) -> None:
    if shutil.which("p11-kit") is None:
        pytest.skip("no p11-kit here")
    open_to_everybody(tmp_path)
    around = {"HOME": str(home), "XDG_CONFIG_HOME": str(home / "settings")}
    registration = Registration(home / "record.json", home)
    registration.put(personal(Path("/run/cardd/p11"), client() or Path(), home, around=around))

    for path in (home, *home.rglob("*")):
        os.chown(path, NOBODYS, NOBODYS)
    command = ("setpriv", "--clear-groups", f"--reuid={NOBODYS}", f"--regid={NOBODYS}", "p11-kit", "list-modules")
    around["PATH"] = os.environ["PATH"]  # p11-kit reads no user's file for root
    assert "cardd: " in subprocess.run(command, env=around, capture_output=True, text=True, check=True).stdout


def test_p11_kit_is_told_a_socket_of_any_name(home: Path) -> None:
    places = personal(Path("/srv/a b%41/p11"), Path("m.so"), home)
    told = {place.part for place in places if place.program in ("p11-kit", "session")}
    assert told == {f"{key}unix:path=/srv/a%20b%2541/p11\n" for key in ("remote: ", "P11_KIT_SERVER_ADDRESS=")}


@AS_ROOT
def test_a_user_whom_the_system_does_not_list_may_register(home: Path, tmp_path: Path) -> None:
    """In a container, or while a directory service is away."""
    open_to_everybody(tmp_path)
    for path in (home, *home.rglob("*")):
        os.chown(path, NOBODYS, NOBODYS)
    code = "os.setuid(int(sys.argv[3]))\n" + AS_USER
    imports = (
        "from pathlib import Path; from cardd.cli.program_places import personal; "
        "from cardd.cli.registering import Registration"
    )
    whole = f"import os, sys\n{imports}\nos.setgroups([])\n{code}"
    command = [sys.executable, "-c", whole, str(home), str(client()), str(NOBODYS)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.splitlines()
    assert told == ["[('x', 'registered')]", "[]"]


def test_a_file_of_our_name_that_is_somebody_elses_stays(home: Path) -> None:
    module = home / ".config/pkcs11/modules/cardd.module"
    module.parent.mkdir(parents=True)
    module.write_text("module: other.so\n")
    registration = _register(home)
    assert {place.file: place.state() for place in _places(home)}[module] == "other"
    registration.take_out()
    assert module.read_text() == "module: other.so\n"


def test_another_socket_takes_the_place_of_the_one_before(home: Path) -> None:
    before = _tree(home)
    registration = _register(home)
    registration.put(personal(Path("/run/other/p11"), client() or Path(), home))
    assert (home / ".config/pkcs11/modules/cardd.module").read_text() == "remote: unix:path=/run/other/p11\n"
    registration.take_out()
    assert _tree(home) == before


@pytest.mark.parametrize(
    "content",
    [
        "x",
        "[]",
        '{"folders": [], "files": {"/x": {"before": "?", "after": "", "part": "", "form": "file"}}}',
        '{"folders": [], "files": {"/x": {"before": null, "after": "", "part": "", "form": "?"}}}',
        '{"folders": [1], "files": {}}',
        '{"folders": ["\\u0000"], "files": {}}',
        '{"folders": [], "files": {"/\\ud800": {"before": null, "after": "", "part": "", "form": "file"}}}',
        "[" * 5000,
    ],
    ids=["text", "list", "before", "form", "folders", "a zero byte", "half a character", "deep"],
)
def test_a_record_that_was_never_written_so_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "pkcs11.json").write_text(content)
    with pytest.raises(RegistrationUnreadable):
        Registration(tmp_path / "pkcs11.json", tmp_path).take_out()


FLATPAK = ".var/app/org.mozilla.firefox"
OVERRIDE = ".local/share/flatpak/overrides/org.mozilla.firefox"
GIVEN = "[Context]\nfilesystems=/srv/a\\;b;!home;\n\n[Environment]\nMOZ=1\n"  # what the user has given already


def _in_flatpak(home: Path, given: str) -> Path:
    """Give the home a Firefox in Flatpak, with this override, and a Chromium there that never ran."""
    _database(home / FLATPAK / ".mozilla/firefox/y")
    (home / ".var/app/org.chromium.Chromium").mkdir()
    override = home / OVERRIDE
    override.parent.mkdir(parents=True)
    override.write_text(given)
    return override


def _override(home: Path, *options: str) -> str:
    """Run Flatpak's own command."""
    if shutil.which("flatpak") is None:
        pytest.skip("no flatpak here")
    command = ["flatpak", "override", "--user", *options, "org.mozilla.firefox"]
    around = {"HOME": str(home), "PATH": os.environ["PATH"]}
    return subprocess.run(command, env=around, capture_output=True, text=True, check=True, timeout=20).stdout


@pytest.mark.parametrize("given", ["", GIVEN, "[Context]", "[Context]\nsockets=pcsc", "[Environment]\nfilesystems=x\n"])
def test_programs_in_flatpak_have_the_socket_and_then_no_longer(home: Path, given: str) -> None:
    override = _in_flatpak(home, given)
    before = _tree(home)
    registration = _register(home)

    assert [line for line in override.read_text().splitlines() if "/run/cardd/p11;" in line]
    assert (home / ".local/share/flatpak/overrides/org.chromium.Chromium").exists()
    assert (home / FLATPAK / "config/pkcs11/modules/cardd.module").read_text() == "remote: unix:path=/run/cardd/p11\n"
    assert "library=p11-kit-proxy.so\nname=cardd\n" in (home / FLATPAK / ".mozilla/firefox/y/pkcs11.txt").read_text()
    assert {place.state() for place in _places(home)} == {"registered"}
    registration.take_out()
    assert _tree(home) == before


def test_flatpak_reads_the_override_and_what_it_changes_since_stays(home: Path) -> None:
    override = _in_flatpak(home, GIVEN)
    registration = _register(home)
    assert "/run/cardd/p11" in _override(home, "--show")

    _override(home, "--filesystem=/srv/later")
    registration.take_out()
    told = override.read_text()
    assert "/srv/later" in told
    assert "MOZ=1" in told
    assert "cardd" not in told


@pytest.mark.parametrize("path", ["/run/cardd/p11", "/srv/c;d", "/srv/back\\slash"])
@pytest.mark.parametrize("held", [b"", GIVEN.encode(), b"[Context]\nfilesystems=\xff;\x0b;\n"])
def test_a_path_put_into_an_override_comes_out_alone(held: bytes, path: str) -> None:
    put = with_filesystem(held, path)
    assert put != held
    assert without_filesystem(put, path).strip() == held.strip()
    assert without_filesystem(held, path) == held


@pytest.mark.parametrize("between", [b"", b"[Environment]\nX=1\n[Context]\n"])
def test_a_path_is_put_into_the_line_that_counts(between: bytes) -> None:
    """GLib reads the last one of a name, in groups of one name."""
    held = b"[Context]\nfilesystems=/a;\n" + between + b"filesystems=/b;\n"
    put = with_filesystem(held, "/run/cardd/p11")
    assert put.endswith(b"\nfilesystems=/b;/run/cardd/p11;\n")
    assert without_filesystem(put, "/run/cardd/p11") == held


def test_status_tells_places_and_what_no_file_can_have(stranger: User) -> None:
    told = stranger.ok("pkcs11", "status")
    assert "PKCS11Provider /" in told
    assert "P11_KIT_SERVER_ADDRESS=" in told
    assert "OPENSSL_CONF=" in told
