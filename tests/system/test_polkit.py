"""The rule that lets the service, and nothing else, reach Debian 13's pcscd: in a JavaScript engine and by polkit."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.rig.other_user import needs_root, open_to_everybody

RULE = Path(__file__).parents[2] / "systemd" / "polkit" / "50-cardd.rules"
POLKITD = Path("/usr/lib/polkit-1/polkitd")
PCSC, CARD = "org.debian.pcsc-lite.access_pcsc", "org.debian.pcsc-lite.access_card"
SERVICE = {"user": "cardd", "groups": ["cardd"], "session": None, "seat": None, "local": False, "active": False}

HARNESS = """
const fs = require("fs");
const rules = [];
const polkit = { Result: { YES: "yes", NO: "no", NOT_HANDLED: null }, addRule: (rule) => rules.push(rule) };
new Function("polkit", fs.readFileSync(process.argv[1], "utf8"))(polkit);
const asked = JSON.parse(process.argv[2]);
console.log(JSON.stringify(asked.map(([action, subject]) => {
    const told = rules.map((rule) => rule({ id: action, lookup: () => undefined }, subject)).filter(Boolean);
    return told.length ? told[0] : null;
})));
"""


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
def test_only_the_service_is_let_in_and_only_for_the_two_acts() -> None:
    let_in = [
        (PCSC, SERVICE),
        (CARD, SERVICE),
        (CARD, SERVICE | {"session": ""}),
        (CARD, SERVICE | {"system_unit": "cardd.service"}),
    ]
    left_to_the_system = [
        (CARD, SERVICE | {"user": "martin"}),
        (PCSC, SERVICE | {"user": "martin", "groups": ["cardd"]}),
        (CARD, SERVICE | {"user": "root"}),
        (CARD, SERVICE | {"session": "3", "seat": "seat0", "local": True, "active": True}),
        (CARD, SERVICE | {"system_unit": "cron.service"}),
        ("org.freedesktop.systemd1.manage-units", SERVICE),
        ("org.debian.pcsc-lite.access_card.more", SERVICE),
        ("org.debian.pcsc-lite", SERVICE),
    ]
    asked = json.dumps([*let_in, *left_to_the_system])
    told = subprocess.run(["node", "-e", HARNESS, RULE, asked], capture_output=True, text=True, check=True)
    assert json.loads(told.stdout) == ["yes"] * len(let_in) + [None] * len(left_to_the_system)


BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type><listen>unix:path={directory}/bus</listen><auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
  </policy>
</busconfig>
"""
ACTION = """<action id="org.debian.pcsc-lite.{name}"><description>test</description><message>test</message>
<defaults><allow_any>no</allow_any><allow_inactive>no</allow_inactive><allow_active>yes</allow_active></defaults></action>
"""
# in a mount namespace of its own: nothing of the machine changes
INSIDE = """
set -e
mount --bind $1/rules /etc/polkit-1/rules.d
mount --bind $1/actions /usr/share/polkit-1/actions
mount --bind $1/passwd /etc/passwd
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=$1/bus
dbus-daemon --config-file=$1/bus.conf --nofork --nopidfile --print-address > $1/address 2>/dev/null &
bus=$!
until [ -s $1/address ]; do sleep 0.05; done
/usr/lib/polkit-1/polkitd --no-debug >/dev/null 2>&1 &
polkitd=$!
trap 'kill $polkitd $bus' EXIT
until pkaction >/dev/null 2>&1; do sleep 0.05; done
for uid in 977 65534; do
    setpriv --reuid=$uid --clear-groups sleep 30 & subject=$!
    until grep -q "^Uid:[[:space:]]*$uid" /proc/$subject/status; do sleep 0.01; done
    for action in access_pcsc access_card other; do
        if pkcheck --action-id org.debian.pcsc-lite.$action --process $subject >/dev/null 2>&1
        then echo "$uid $action yes"; else echo "$uid $action no"; fi
    done
    kill $subject
done
"""


@needs_root
@pytest.mark.skipif(not (POLKITD.exists() and shutil.which("pkcheck")), reason="polkit is not installed")
def test_polkit_itself_lets_the_service_in_and_no_other_user(tmp_path: Path) -> None:
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine allows no mount namespace")
    open_to_everybody(tmp_path)
    for name in ("rules", "actions"):
        (tmp_path / name).mkdir()
    shutil.copy(RULE, tmp_path / "rules")
    actions = "".join(ACTION.format(name=name) for name in ("access_pcsc", "access_card", "other"))
    (tmp_path / "actions" / "pcsc.policy").write_text(f"<policyconfig>{actions}</policyconfig>")
    (tmp_path / "bus.conf").write_text(BUS.format(directory=tmp_path))
    accounts = Path("/etc/passwd").read_text() + "cardd:x:977:977::/var/lib/cardd:/usr/sbin/nologin\n"
    (tmp_path / "passwd").write_text(accounts)
    told = subprocess.run(
        ["unshare", "-m", "sh", "-c", INSIDE, "sh", tmp_path], capture_output=True, text=True, timeout=60, check=False
    )
    assert told.stdout.splitlines() == [
        "977 access_pcsc yes",
        "977 access_card yes",
        "977 other no",
        "65534 access_pcsc no",
        "65534 access_card no",
        "65534 other no",
    ], told.stderr
