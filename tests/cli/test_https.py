"""``sudo cardctl https``: the system's store as root, the browsers' as their user, and all of it taken out again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from cardd.cli.trust_stores import NssStore
from cardd.errors import CertutilMissing, TrustStoreRefused
from tests.rig.other_user import open_to_everybody

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
 certutil -L -d "sql:$profile"; cat /etc/ssl/certs/ca-certificates.crt; }
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


def test_without_certutil_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CertutilMissing) as missing:
        NssStore("firefox", "deb", tmp_path / "profile").put(b"", date(2027, 2, 1))
    assert "libnss3-tools" in missing.value.told("en").remedy


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
