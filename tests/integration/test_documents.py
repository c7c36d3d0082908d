"""What the documents show is run as it is printed."""

from __future__ import annotations

import os
import re
import subprocess

from tests.integration.workstation import ROOT, Workstation
from tests.rig.simulator import simulated_card

API = ROOT / "docs" / "api.md"
SIGNING = ROOT / "docs" / "signing.md"
AROUND = {**os.environ, "http_proxy": "http://127.0.0.1:9"}  # as a hospital's desktop names one; here nobody listens
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_every_command_of_the_api_page_does_what_the_page_says(workstation: Workstation) -> None:
    place = workstation.directory / "reader"
    place.mkdir()
    script = "\n".join(SHELL.findall(API.read_text()))
    script = script.replace("17463", str(workstation.daemon.port))
    script = script.replace("/run/cardd/cardd.sock", str(workstation.daemon.socket))
    with workstation.card(simulated_card()):
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=place,
            env=AROUND,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    said = ran.stdout.splitlines()
    assert '{"name":"cardd"' in ran.stdout
    assert {"Verified OK", "2", "web-eid:1.0", "event: hello"} <= set(said)
    assert '"family_name": "SIMULATION-MEDECIN"' in ran.stdout
    assert '"code":"client.unknown"' in said[-1]
    assert not [line for line in said if "request.invalid" in line or "Not Found" in line]


def test_a_large_document_is_signed_as_the_page_of_formats_says(workstation: Workstation) -> None:
    place = workstation.directory / "signer"
    place.mkdir()
    (place / "document").write_bytes(bytes(30_000_000))
    before = SHELL.findall(API.read_text())[:9]  # until the session is open
    script = "\n".join([*before, SHELL.findall(SIGNING.read_text())[1]]).replace("17463", str(workstation.daemon.port))
    with workstation.card(simulated_card()):
        subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=place,
            env=AROUND,
            check=True,
            capture_output=True,
            timeout=60,
        )
    command = ["openssl", "cms", "-verify", "-noverify", "-binary", "-inform", "DER", "-in", "document.p7m"]
    subprocess.run([*command, "-out", "content"], cwd=place, check=True, capture_output=True, timeout=60)
    assert (place / "content").read_bytes() == (place / "document").read_bytes()
