"""``cardctl tunnel``: real pcscd, real daemon, nginx that wants the card's certificate, curl as the program."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
from collections.abc import Iterator

import pytest

from tests.cli.station import Station, User, stationed
from tests.rig import other_user
from tests.rig.nginx import Nginx, authority, issued
from tests.rig.ports import free_port
from tests.rig.simulator import issue, store

SETTINGS = """
[upstreams.dmp]
url = "https://localhost:{port}"
authorities = "{authorities}"
"""


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    directory = tmp_path_factory.mktemp("nginx")
    root = authority(directory)
    issue()
    server = issued(directory, root, "serveur", names="DNS:localhost")
    nginx = Nginx(directory, store().chain, server)
    with nginx.running():
        (directory / "files" / "large").write_bytes(bytes(range(256)) * 20_000)
        yield nginx


@pytest.fixture(scope="module")
def station(nginx: Nginx, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    extra = SETTINGS.format(port=nginx.port, authorities=nginx.server.certificate.parent / "AUTORITE-SIMULATION.pem")
    with stationed(tmp_path_factory.mktemp("station"), extra) as station:
        yield station


def curl(*arguments: str) -> str:
    done = subprocess.run(["curl", "-sS", "-m", "30", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_program_that_knows_no_tls_is_known_by_the_card(professional: User, nginx: Nginx) -> None:
    with professional.tunnel("dmp") as url:
        assert url.startswith("http://127.0.0.1:")
        assert "SIMULATION" in curl(f"{url}/who")
        for _ in range(3):
            curl(f"{url}/who")
        assert curl("-o", "/dev/null", "-w", "%{http_code} %{size_download}", f"{url}/large") == "200 5120000"
        assert curl("-o", "/dev/null", "-w", "%{http_code}", f"{url}/nowhere") == "404"
    assert all(line.startswith("SUCCESS") for line in nginx.log(6))


def test_a_request_whose_program_gave_up_during_the_dialog_is_not_sent(
    user: User, station: Station, nginx: Nginx
) -> None:
    user.ok("login")
    station.pinentry.answer("hang")
    with user.tunnel("dmp") as url:
        gave_up = subprocess.run(
            ["curl", "-sS", "-m", "2", "-d", "x", f"{url}/added"], capture_output=True, check=False
        )
        assert gave_up.returncode == 28
        station.pinentry.answer()
        assert "SIMULATION" in curl("-m", "10", f"{url}/who")  # the dialog is gone; it would have stayed longer
    assert not any("/added" in line for line in nginx.log(1))


def test_the_tunnel_of_a_chosen_port_serves_many_at_once(professional: User) -> None:
    port = free_port()
    with professional.tunnel("dmp", "--listen", f"localhost:{port}") as url:
        assert url == f"http://localhost:{port}"
        fetching = [
            subprocess.Popen(["curl", "-sS", "-m", "30", f"{url}/large"], stdout=subprocess.PIPE) for _ in range(8)
        ]
        found = {hashlib.sha256(process.communicate()[0]).hexdigest() for process in fetching}
    assert found == {hashlib.sha256(bytes(range(256)) * 20_000).hexdigest()}


@pytest.mark.parametrize(
    "header",
    [
        "Origin: https://webps.example",
        "Origin: null",
        "Sec-Fetch-Site: none",
        "Sec-Fetch-Mode: navigate",
        "Host: attaquant.example",
        "Host: 127.0.0.1",
        "Host: localhost.attaquant.example:80",
    ],
)
def test_a_browser_gets_nothing(professional: User, header: str) -> None:
    with professional.tunnel("dmp") as url:
        answer = json.loads(curl("-H", header, f"{url}/who"))
        assert (answer["status"], answer["code"]) == (403, "request.forbidden")


@other_user.needs_root
def test_another_user_of_the_machine_gets_nothing(professional: User) -> None:
    with professional.tunnel("dmp") as url:
        code = "os.execv('/usr/bin/curl', ['curl', '-sS', '-m', '30', sys.argv[1]])"
        assert '"request.forbidden"' in other_user.run(code, f"{url}/who")


@pytest.mark.parametrize("where", ["0.0.0.0:0", "192.168.1.1:8080", "example.org:80", "[::]:1", ":", "70000", "no"])
def test_the_tunnel_listens_on_this_machine_only(professional: User, where: str) -> None:
    ran = professional.run("tunnel", "dmp", "--listen", where)
    assert ran.status == 2
    assert "--listen" in ran.err


def test_without_a_session_it_does_not_begin(user: User) -> None:
    assert user.run("tunnel", "dmp").status == 4


def test_a_port_that_is_taken_is_told(professional: User) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = professional.run("tunnel", "dmp", "--listen", str(taken.getsockname()[1]))
    assert ran.status == 1
    assert ran.err


def test_a_server_that_is_not_configured_is_refused_at_once_with_what_to_do(professional: User) -> None:
    ran = professional.run("tunnel", "autre")
    assert (ran.status, ran.out) == (1, "")
    assert "[upstreams.autre]" in ran.err
    assert "dmp" in ran.err
    told = professional.run("tunnel", "autre", "--json").json["error"]
    assert isinstance(told, dict)
    assert (told["code"], told["known"]) == ("upstream.unknown", "dmp")
