"""``cardctl simulate``, and the daemon that simulates by itself."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest

from cardd.formats.cades import prepare_cades
from cardd.formats.prepared import Signer
from cardd.model import Algorithm, PinStatus
from cardd.simulator import CardOptions
from cardd_simulators.cards.profiles import PROFILES
from cardd_simulators.cards.simulators import ContactlessSimulator, Cps3Simulator, Cps4Simulator
from cardd_simulators.cards.store import Store
from tests.cli.station import User
from tests.rig.daemon import DaemonProcess
from tests.rig.lps import UnixConnection
from tests.rig.pcscd import Pcscd
from tests.rig.pens import Pen, der
from tests.rig.simulator import STATE, wait_for_card
from tests.simulator.test_replay import recorded


@pytest.fixture
def pcscd(tmp_path: Path) -> Iterator[Pcscd]:
    """A reader service."""
    pcscd = Pcscd(tmp_path)
    pcscd.start()
    yield pcscd
    pcscd.stop()


def test_a_simulated_card_sits_in_the_reader_until_it_is_interrupted(stranger: User, pcscd: Pcscd) -> None:
    where = f"127.0.0.1:{pcscd.ports[0]}"
    command = stranger.command("simulate", "cps3", "--profile", "infirmier", "--reader", where)
    environment = {**stranger.environment, **pcscd.environment}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_for_card(pcscd)
            opensc = ["opensc-tool", "-r", pcscd.reader_names[0], "-n"]
            seen = subprocess.run(opensc, env=environment, capture_output=True, text=True, check=True)
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0
    assert any(name in seen.stdout for name in ("CPS", "IAS-ECC"))
    assert "infirmier" in told
    assert "production" in told
    wait_for_card(pcscd, present=False)


def test_what_can_be_simulated_is_listed(stranger: User) -> None:
    listed = stranger.run("simulate", "--json").json
    profiles = {name: entry["profiles"] for name, entry in listed.items() if isinstance(entry, dict)}
    assert {"cps3", "cps3-contactless", "cps4", "vitale-atr"} <= profiles.keys()
    assert ["medecin" in profiles[name] for name in ("cps3", "cps4", "vitale-atr")] == [True, True, False]
    assert "()" not in stranger.ok("simulate")


@pytest.mark.parametrize(
    "arguments",
    [
        ("cps9",),
        ("cps3", "--profile", "plombier"),
        ("cps3", "--pin", "12"),
        ("cps3", "--reader", "nowhere"),
        ("cps3", "--delay-ms", "-1"),
        ("cps3", "--puk", "1234"),
        ("cps3", "--variant", "detour"),
        ("vitale-atr", "--variant", "no-ef-sn"),
    ],
)
def test_what_cannot_be_simulated_is_a_wrong_command(stranger: User, arguments: tuple[str, ...]) -> None:
    assert stranger.run("simulate", *arguments).status == 2


@pytest.mark.parametrize("language", ["fr", "en"])
def test_the_help_lists_every_variant_of_every_card_with_a_sentence(stranger: User, language: str) -> None:
    told = " ".join(stranger.ok("simulate", "--help", "--lang", language).split())
    for simulator in (Cps3Simulator(), Cps4Simulator(), ContactlessSimulator()):
        for variant in simulator.variants:
            sentence = " ".join(simulator.describe(variant, language).split())
            assert f"{variant} {sentence} (" in told


def test_a_card_of_several_variants_sits_in_the_reader(tmp_path: Path) -> None:
    nowhere = {"PCSCLITE_CSOCK_NAME": str(tmp_path / "none"), "XDG_CACHE_HOME": str(tmp_path)}
    wanted = ("--simulate", "cps3", "--variant", "no-ef-dir", "--variant", "no-empty-verify")
    daemon = DaemonProcess(tmp_path, arguments=wanted, environment=nowhere)
    daemon.start()
    try:
        [card] = User(tmp_path, daemon).run("pin", "status", "--json").rows("cards")
        assert card["pin"] == {"state": "ready", "tries_left": 3, "minimum": 4, "maximum": 4}
    finally:
        assert daemon.stop() == 0


def test_the_daemon_simulates_a_card_without_any_reader(tmp_path: Path) -> None:
    nowhere = {"PCSCLITE_CSOCK_NAME": str(tmp_path / "none"), "XDG_CACHE_HOME": str(tmp_path)}
    daemon = DaemonProcess(tmp_path, arguments=("--simulate", "cps3:pharmacien"), environment=nowhere)
    daemon.start()
    try:
        [card] = User(tmp_path, daemon).run("cards", "--json").rows("cards")
        assert card["kind"] == "cps3"
        credential = Store(tmp_path / "cardd" / "simulation").issue(PROFILES["pharmacien"], 4).signature
        signer = Signer(der(credential.certificate), (), Algorithm.RS256)
        signed = Pen(signer, credential.key, b"").write(
            prepare_cades(BytesIO(b"SIMULATION"), signer, datetime.now(UTC))
        )
        with closing(UnixConnection(daemon.socket)) as connection:
            body = json.dumps({"document": b64encode(signed).decode()})
            connection.request("POST", "/v1/verifications", body, {"Content-Type": "application/json"})
            (found,) = json.loads(connection.getresponse().read())["signatures"]
        assert (found["chain"]["trusted"], found["signer"]["is_test"]) == (True, True)
    finally:
        assert daemon.stop() == 0


def test_the_daemon_plays_a_recorded_card_without_any_reader(tmp_path: Path) -> None:
    """An authorised person's (CPA), whose card nobody here has: it tells what the card did, and not whose it is."""
    card = Cps3Simulator().card(CardOptions(profile="agent", state=STATE))
    file = tmp_path / "carte.jsonl"
    before, text = asyncio.run(recorded(card, file))
    nowhere = {"PCSCLITE_CSOCK_NAME": str(tmp_path / "none"), "XDG_CACHE_HOME": str(tmp_path)}
    wanted = ("--simulate", f"replay:{file}")
    daemon = DaemonProcess(tmp_path, arguments=wanted, environment=nowhere, is_read=False)
    daemon.start()
    try:
        [played] = User(tmp_path, daemon).run("pin", "status", "--json").rows("cards")
        assert (played["kind"], played["pin"]) == (
            "cps3",
            {"state": "ready", "tries_left": 3, "minimum": 4, "maximum": 4},
        )
    finally:
        assert daemon.stop() == 0
    assert PinStatus(3) in before.told
    assert "CPAT0001" not in text


def test_the_daemon_names_what_it_cannot_simulate(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cardd.cli.cardd", "run", "--simulate", "cps9"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "cps9" in ran.stderr
