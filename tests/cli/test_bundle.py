"""``cardctl bundle``: what support gets, with secrets and names planted everywhere, and none of them inside."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cardd.cli.bundle import FOLDER
from tests.cli.station import Station, User, stationed
from tests.rig import other_user
from tests.rig.simulator import PIN
from tests.rig.terminal import Terminal

NAMES = ["versions.json", "doctor.json", "configuration.json", "log.json", "audit.json", "metrics.txt"]
# in the configuration, in the environment, in what programs ask: each may stand nowhere
PLANTED = (
    "DUPONTEL", "PATIENTELLE", "Ordonnancette", "899700218896", "185027512345678", "proxysesame", "clientsesame",
    "pscsesame", "cabinet-dupontel", "hotesecret", "f1c0de00-5ab7-4e57-9a9a-0123456789ab", "codesesame", "portesesame",
)  # fmt: skip
SUB = PLANTED[-3]  # PSC's name for a person, with which a program names its request
DAY = timedelta(days=1)
EXTRA = """
[support]
label = "Cabinet DUPONTEL"
{key}
[network]
proxy = "environment"
proxy_user = "proxysesame"
[psc]
proxy = "https://hotesecret.example/PATIENTELLE"
client_id = "pscsesame"
[access]
owners = ["dupontel", "*"]
[session]
pin = "ask"
idle = 777
[upstreams.cabinet-dupontel]
url = "https://hotesecret.example"
paths = ["/PATIENTELLE"]
[portals.cabinet-dupontel]
origin = "https://cabinet-dupontel.example"
"""


def used(station: Station, user: User) -> None:
    """Somebody logs in and signs; programs ask for what names people."""
    user.ok("login")
    document = user.home / "Ordonnancette de PATIENTELLE.txt"
    document.write_text("185027512345678")
    user.ok("sign", document)
    user.run("login", "--method", "ecps", "--login-hint", "899700218896")
    for path, more in (
        ("/v1/DUPONTEL/185027512345678?ins=185027512345678", []),
        ("/v1/sessions", ["-H", "Authorization: Bearer clientsesame", "-H", "X-Request-ID: 185027512345678"]),
        (
            "/v1/sessions",
            ["-d", '{"method": "cpx"}', "-H", "Content-Type: application/json", "-H", f"X-Request-ID: {SUB}"],
        ),
        ("/v1/sessions", ["-d", '{"method": "PATIENTELLE"}', "-H", "Content-Type: application/json"]),
    ):
        subprocess.run(
            ["curl", "-s", "--max-time", "10", f"{station.daemon.url}{path}", *more], capture_output=True, check=False
        )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Station, User]]:
    """A workstation whose every place has something that names somebody."""
    directory = tmp_path_factory.mktemp("bundle")
    key, certificate = directory / "key.pem", directory / "support.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=SIMULATION"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], capture_output=True, check=True)
    audit = directory / "state" / "audit"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HTTPS_PROXY", "http://DUPONTEL:proxysesame@127.0.0.1:9")
        patch.setenv("HTTP_PROXY", "http://dupontel:portesesame@hotesecret.example:3128")
        patch.setenv("CREDENTIALS_DIRECTORY", str(directory))
        for name in ("psc-client-secret", "network-proxy-password"):
            (directory / f"cardd.{name}").write_text("codesesame")
        yield from _made(directory, audit, certificate)


def _made(directory: Path, audit: Path, certificate: Path) -> Iterator[tuple[Station, User]]:
    with stationed(directory, EXTRA.format(key=f'bundle_key = "{certificate}"')) as station:
        home = directory / "DUPONTEL"
        home.mkdir()
        user = User(home, station.daemon)
        used(station, user)
        there = station.daemon.configuration.read_text() + user.ok("audit", "tail", "--directory", str(audit))
        there += user.ok("logs")
        assert {word for word in PLANTED if word in there} >= {"Ordonnancette", "DUPONTEL", "pscsesame", SUB}
        yield station, user


def ended() -> bytes:
    """A certificate of yesterday."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - 2 * DAY, now - DAY)
    return made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def opened(content: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_nothing_that_was_planted_is_in_the_bundle(made: tuple[Station, User]) -> None:
    station, user = made
    config = ("--config", str(station.daemon.configuration))
    text = user.ok("bundle", "--show", "--json", "--lang", "fr", *config)
    shown = json.loads(text)
    assert list(shown) == NAMES
    assert [word for word in PLANTED if word.lower() in text.lower()] == []
    assert not re.search(rf"\b{PIN.decode()}\b", text)
    assert '"pin": "ask"' in shown["configuration.json"]
    assert '"idle": 777' in shown["configuration.json"]
    assert json.loads(shown["configuration.json"])["upstreams.1"] == {"url": "(set)", "paths": {"count": 1}}
    acts = [row["action"] for row in json.loads(shown["audit.json"])]
    assert {"session.open", "signature.cades"} & set(acts)
    assert "POST /v1/sessions/{id}/signatures: 200 (person " in shown["log.json"]
    assert {one["check"] for one in json.loads(shown["doctor.json"])} >= {"pcscd", "reader", "card"}
    assert "cardd_build_info" in shown["metrics.txt"]


def test_the_bundle_is_encrypted_to_the_key_of_support(made: tuple[Station, User]) -> None:
    station, user = made
    file, directory = user.home / "one.zip.p7m", station.daemon.directory
    told = user.run("bundle", "--yes", str(file), "--config", str(station.daemon.configuration))
    assert told.status == 0, told.err
    assert "support.pem" in told.err
    assert "doctor.json" in told.out
    assert file.stat().st_mode & 0o777 == 0o600
    command = ["openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in", str(file)]
    keys = ["-recip", str(directory / "support.pem"), "-inkey", str(directory / "key.pem")]
    content = subprocess.run([*command, *keys], capture_output=True, check=True).stdout
    assert list(opened(content)) == [f"{FOLDER}/{name}" for name in NAMES]
    assert not any(word.lower().encode() in content.lower() for word in PLANTED)
    again = user.run("bundle", "--yes", str(file), "--config", str(station.daemon.configuration))
    assert again.status == 1  # nothing is written over


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "ne peut pas être lu"),
        ("pipe", "ne peut pas être lu"),
        ("huge", "ne peut pas être lu"),
        ("no certificate", "pas un certificat"),
        ("expired", "pas valable"),
    ],
)
def test_a_key_that_will_not_do_is_told_and_nothing_is_written(
    made: tuple[Station, User], tmp_path: Path, content: str | None, told: str
) -> None:
    _, user = made
    key, configuration, file = tmp_path / "key.pem", tmp_path / "cardd.toml", tmp_path / "one.zip"
    if content == "expired":
        key.write_bytes(ended())
    elif content == "pipe":
        os.mkfifo(key)  # whoever opens it waits for ever
    elif content == "huge":
        with key.open("wb") as film:
            film.truncate(2**33)
    elif content:
        key.write_text(content)
    configuration.write_text(f'[support]\nbundle_key = "{key}"\n')
    ran = user.run("bundle", "--yes", str(file), "--lang", "fr", "--config", str(configuration))
    assert ran.status == 1
    assert told in ran.err
    refused = json.loads(user.run("bundle", "--yes", str(file), "--json", "--config", str(configuration)).out)
    assert refused["error"]["code"] == "bundle.key_unusable"
    assert not file.exists()


def test_without_a_daemon_the_bundle_says_what_it_lacks_and_needs_a_yes(tmp_path: Path) -> None:
    user = User(tmp_path)
    configuration, file = tmp_path / "cardd.toml", tmp_path / "one.zip"
    configuration.write_text("")
    where = ("--socket", str(tmp_path / "none.sock"), "--config", str(configuration))
    assert "--yes" in user.run("bundle", str(file), *where).err
    ran = user.run("bundle", "--yes", str(file), *where)
    assert ran.status == 0, ran.err
    assert "not encrypted" in ran.err
    found = opened(file.read_bytes())
    assert json.loads(found[f"{FOLDER}/audit.json"]) == {"error": "daemon.unreachable"}
    assert json.loads(found[f"{FOLDER}/versions.json"])["cardd"]


@other_user.needs_root
def test_behind_sudo_the_bundle_is_whose_command_it_was_where_they_may_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = User(tmp_path)
    monkeypatch.setenv("SUDO_UID", "65534")
    monkeypatch.setenv("SUDO_GID", "65533")
    (tmp_path / "empty.toml").write_text("")
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 65534, 65534)
    where = ("--socket", str(tmp_path / "none.sock"), "--config", str(tmp_path / "empty.toml"))
    for folder, owner in ((tmp_path / "theirs", (65534, 65533)), (tmp_path, (0, os.getegid()))):
        assert user.run("bundle", "--yes", folder / "one.zip", *where).status == 0
        made = (folder / "one.zip").stat()
        assert (made.st_uid, made.st_gid) == owner
    nowhere = user.run("bundle", "--yes", tmp_path / "none" / "one.zip", *where)
    assert f"{tmp_path}/none/one.zip: there is no such" in nowhere.err


def test_what_is_interrupted_before_its_yes_leaves_nothing(tmp_path: Path) -> None:
    user = User(tmp_path)
    (tmp_path / "empty.toml").write_text("")
    where = ("--socket", str(tmp_path / "none.sock"), "--config", str(tmp_path / "empty.toml"))
    with Terminal(
        user.command("bundle", str(tmp_path / "one.zip"), *where), user.environment, watched=True
    ) as terminal:
        terminal.wait_for("[y/N]")
        terminal.type("\x03")
        terminal.end()
        assert terminal.process.returncode == 130
    assert [path.name for path in tmp_path.iterdir() if "zip" in path.name] == []


def test_where_the_configuration_cannot_tell_the_key_nothing_is_written_unasked(tmp_path: Path) -> None:
    configuration, file = tmp_path / "cardd.toml", tmp_path / "one.zip"
    configuration.write_text('[support]\nbundle_key = "/etc/cardd/support.pem"\n[sesion]\nidle = 5\n')
    refused = User(tmp_path).run("bundle", "--yes", file, "--json", "--config", configuration)
    assert (json.loads(refused.out)["error"]["code"], file.exists()) == ("config.invalid", False)
