"""``sudo cardctl https``: the system's store as root, the browsers' as their user, and all of it taken out again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from cardd.cli.trust_stores import NssStore, SystemStore
from cardd.errors import CertutilMissing, TrustStoreRefused
from cardd.system import loopback_tls
from tests.rig.other_user import closed, open_to_everybody

# on an /etc and a /usr/local/share of its own; the user may read neither the configuration nor this Python
SCRIPT = """
set -e
place=$1; shift
mount -t tmpfs none "$place"; chmod 755 "$place"; mkdir "$place"/{e,ew,u,uw,home,state}
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$place/e,workdir=$place/ew" /etc
mount -t overlay overlay -o "lowerdir=/usr/local/share,upperdir=$place/u,workdir=$place/uw" /usr/local/share
echo "cardd-test:x:4321:4321::$place/home:/bin/sh" >> /etc/passwd
profile=$place/home/.mozilla/firefox/x; mkdir -p "$place/home/.config" "$profile"
certutil -N --empty-password -d "sql:$profile"; chown -R 4321:4321 "$place/home"; chmod 700 "$place/state"
printf '[state]\\ndirectory = "%s/state"\\n' "$place" > "$place/c.toml"; chmod 600 "$place/c.toml"
look() { find "$place/home" "$place/state" /usr/local/share/ca-certificates -printf '%p %U %m\\n' | sort; \
 certutil -L -d "sql:$profile"; cat /etc/ssl/certs/ca-certificates.crt; ls /etc/ssl/certs; }
look > "$place/before"
"$@" install --config "$place/c.toml"
[ -n "$(find "$place/home/.pki/nssdb" -user 4321 -name cert9.db)" ]
[ -z "$(find "$place/home" ! -user 4321)" ]
certutil -L -d "sql:$profile" | grep -c "^cardd localhost .* C,,"
"$@" install --config "$place/c.toml"
certutil -L -d "sql:$profile" | grep -c "^cardd localhost .* C,,"
[ -f /usr/local/share/ca-certificates/cardd-localhost.crt ]
chmod 500 "$profile"; chown -R 0 "$profile"; chmod 755 "$profile"
! "$@" remove --config "$place/c.toml"
[ ! -f /usr/local/share/ca-certificates/cardd-localhost.crt ]
chown -R 4321:4321 "$profile"
"$@" remove --config "$place/c.toml"
look > "$place/after"; sed -i "s#firefox/x 4321 .*##" "$place/before" "$place/after"
cmp "$place/before" "$place/after"
echo undone
"""

# a user with a browser; nobody called sudo, and root's own path has no certutil
USERS = """
set -e
place=$1 closed=$2 python=$3; shift 3
mount -t tmpfs none "$place"; chmod 755 "$place"; mkdir "$place"/{e,ew,one,state}
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$place/e,workdir=$place/ew" /etc
echo "one:x:4321:4321::$place/one:/bin/sh" >> /etc/passwd; database=$place/one/.pki/nssdb
mkdir -p "$database"; certutil -N --empty-password -d "sql:$database"; chown -R 4321:4321 "$place/one"
if [ "$closed" ]; then  # this Python lies in a folder of root's
  mkdir "$place/python"; mount --bind "$python" "$place/python"
  mount -t tmpfs -o mode=755 none "$closed"; mkdir -p "$python"; mount --bind "$place/python" "$python"
fi
cd /; export HOME=$place/state; printf '[state]\\ndirectory = "%s/state"\\n' "$place" > "$place/c.toml"
"$@" install --no-system --user one --config "$place/c.toml" > "$place/said"
certutil -L -d "sql:$database" | grep "^cardd"
PATH=/nowhere "$@" remove --no-system --all-users --config "$place/c.toml" > "$place/said"
! certutil -L -d "sql:$database" | grep "^cardd"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can have an /etc of its own")
def test_what_root_installs_for_a_user_is_the_users_and_is_taken_out_exactly(tmp_path: Path) -> None:
    open_to_everybody(tmp_path)
    command = [sys.executable, "-m", "cardd.cli.cardctl", "https"]
    ran = subprocess.run(
        ["unshare", "--mount", "bash", "-c", SCRIPT, "bash", str(tmp_path), *command],
        env={**os.environ, "SUDO_USER": "cardd-test"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout.endswith("undone\n"), ran.stdout + ran.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can have an /etc of its own")
def test_root_takes_it_out_of_each_users_browsers_as_that_user(tmp_path: Path) -> None:
    python = Path(sys.base_prefix).resolve()
    if closed(Path(__file__)) or (closed(python) == python):
        pytest.skip("other users may not read these sources")
    open_to_everybody(tmp_path)
    given = [str(tmp_path), str(closed(python) or ""), str(python), sys.executable, "-m", "cardd.cli.cardctl", "https"]
    ran = subprocess.run(
        ["unshare", "--mount", "bash", "-c", USERS, "bash", *given],
        env={**os.environ, "SUDO_USER": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.startswith("cardd localhost")


def test_without_certutil_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CertutilMissing) as missing:
        NssStore("firefox", "deb", tmp_path / "profile").put(b"", date(2027, 2, 1))
    assert "libnss3-tools" in missing.value.told("en").remedy
    (tmp_path / "cert9.db").write_bytes(b"of somebody else")
    assert NssStore("firefox", "deb", tmp_path).kept() == []
    (tmp_path / "cert9.db").write_bytes(b"cardd localhost 2027-02-01")
    with pytest.raises(CertutilMissing):
        NssStore("firefox", "deb", tmp_path).kept()


@pytest.mark.skipif(shutil.which("certutil") is None, reason="no certutil here")
def test_a_store_that_is_none_is_refused_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "cert9.db").write_bytes(b"SIMULATION")
    with pytest.raises(TrustStoreRefused) as refused:
        NssStore("firefox", "deb", tmp_path).kept()
    assert str(tmp_path) in refused.value.told("en").detail


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_who_may_make_no_certificate_is_told_to_have_an_administrator_do_it(tmp_path: Path) -> None:
    code = """
import os, cardd.cli.commands.https  # loaded before: the other user may not read this Python
from cardd.cli.cardctl import main
os.setuid(4321)
main(["--json", "https", "install"])
"""
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "https.not_made" in ran.stdout + ran.stderr


@pytest.mark.skipif(shutil.which("certutil") is None, reason="no certutil here")
def test_a_profile_with_a_primary_password_is_refused_whole_and_taken_in_without_it(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("SIMULATION\n")
    database, store = f"sql:{tmp_path}", NssStore("firefox", "deb", tmp_path)
    subprocess.run(["certutil", "-N", "-d", database, "-f", tmp_path / "password"], check=True)
    authority = loopback_tls.make().authority
    program = f"""
from datetime import date
from pathlib import Path
from cardd.cli.trust_stores import NssStore, SystemStore
NssStore("firefox", "deb", Path({str(tmp_path)!r})).put(bytes.fromhex({authority.hex()!r}), date(2027, 2, 1))
"""
    # of a session without a terminal, which certutil would ask
    ran = subprocess.run([sys.executable, "-c", program], start_new_session=True, capture_output=True, check=False)
    assert b"TrustStoreRefused" in ran.stderr
    assert store.kept() == []
    (tmp_path / "none").write_text("\n")
    change = ["certutil", "-W", "-d", database, "-f", f"{tmp_path}/password", "-@", f"{tmp_path}/none"]
    subprocess.run(change, check=True, capture_output=True)
    store.put(authority, date(2027, 2, 1))
    assert [one.is_trusted for one in store.kept()] == [True]


def test_what_is_no_certificate_in_the_systems_store_is_none_of_ours(tmp_path: Path) -> None:
    folder = tmp_path / "usr/local/share/ca-certificates"
    folder.mkdir(parents=True)
    (folder / "cardd-localhost.crt").write_text("SIMULATION")
    assert SystemStore(tmp_path).kept() is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is asked for the system's store")
def test_a_store_that_cannot_be_written_keeps_no_browser_out(tmp_path: Path) -> None:
    (tmp_path / ".config").mkdir()
    (tmp_path / "state").mkdir(mode=0o700)
    configuration = tmp_path / "cardd.toml"
    configuration.write_text(f'[state]\ndirectory = "{tmp_path}/state"\n')
    folder = "/usr/local/share/ca-certificates"
    mount = f'mount --bind {folder} {folder} && mount -o remount,ro,bind {folder} && exec "$@"'
    command = [sys.executable, "-m", "cardd.cli.cardctl", "--json", "https", "install", "--config", str(configuration)]
    ran = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mount, "sh", *command],
        env={**os.environ, "HOME": str(tmp_path), "SUDO_USER": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    stores = {one["browser"]: one["state"] for one in json.loads(ran.stdout)["stores"]}
    assert stores == {"system": "refused", "chromium": "unanswered"}
    configuration.write_text(f'[state]\ndirectory = "{tmp_path}/none"\n')
    ran = subprocess.run(
        command, env={**os.environ, "HOME": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert "state.unavailable" in ran.stdout + ran.stderr
