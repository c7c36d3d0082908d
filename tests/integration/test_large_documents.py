"""Documents of 100 MB through the real daemon: signed, judged, in little memory, and nothing is left behind."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest

from tests.integration.workstation import Session, Workstation, expect, wait_until
from tests.rig.lps import Json, UnixConnection
from tests.rig.pdf import pdf, pdfsig
from tests.rig.simulator import simulated_card

SIZE = 100 * 1000 * 1000
MEMORY_MAX = 64 * 1024 * 1024


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workstation]:
    station = Workstation(tmp_path_factory.mktemp("large"))
    with station.running(), station.card(simulated_card()):
        yield station


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("document") / "large.pdf"
    file.write_bytes(pdf(ballast=SIZE - 2000))
    return file


def memory(pid: int, field: str = "VmRSS") -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith(field))


def unix(station: Workstation, session: Session, method: str, path: str, body: object = None) -> bytes:
    """One call over the Unix socket; a file is sent as it is read."""
    headers = {"Authorization": f"Bearer {session.lps.credential}", "Content-Type": "application/octet-stream"}
    with closing(UnixConnection(station.daemon.socket)) as connection:
        connection.request(method, f"{session.path}/{path}", cast(bytes, body), headers)
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status < 300, content
        return content


def sign(station: Workstation, session: Session, file: Path, **form: object) -> bytes:
    """Hand over, sign, fetch, forget."""
    with file.open("rb") as content:
        handed = json.loads(unix(station, session, "POST", "documents", content))
    body: Json = {"document_name": file.name, "document_id": handed["id"], **form}
    signed = expect(200, session.lps.call("POST", f"{session.path}/signatures", body))
    fetched = unix(station, session, "GET", f"documents/{signed['document_id']}")
    unix(station, session, "DELETE", f"documents/{signed['document_id']}")
    return fetched


def held_files(pid: int) -> list[str]:
    """Files without a name that a process still has."""
    targets = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
    return [target for target in targets if "(deleted)" in target and not target.startswith("/memfd")]


@pytest.mark.parametrize(
    "form",
    [{"format": "pades"}, {"format": "cades"}, {"format": "xades", "xades": {"packaging": "detached"}}],
    ids=["pades", "cades", "xades"],
)
def test_a_hundred_megabytes_are_signed_in_little_memory(
    station: Workstation, large: Path, tmp_path: Path, form: dict[str, object]
) -> None:
    session = station.log_in()
    small = tmp_path / "small.pdf"
    small.write_bytes(pdf())
    sign(station, session, small, **form)  # the format's libraries are there from now on
    before = memory(station.daemon.pid)
    signed = sign(station, session, large, **form)
    assert memory(station.daemon.pid, "VmHWM") - before <= MEMORY_MAX
    assert len(signed) > (1000 if form["format"] == "xades" else SIZE)
    if form["format"] == "pades":
        (tmp_path / "signed.pdf").write_bytes(signed)
        assert [judged.is_valid for judged in pdfsig(tmp_path / "signed.pdf")] == [True]
    session.close()
    wait_until(lambda: held_files(station.daemon.pid) == [])


def test_more_than_a_hundred_mebibytes_are_refused_at_once(station: Workstation) -> None:
    session = station.log_in()
    headers = {"Authorization": f"Bearer {session.lps.credential}", "Content-Type": "application/octet-stream",
               "Content-Length": str(101 * 1024 * 1024)}  # fmt: skip
    with closing(http.client.HTTPConnection("127.0.0.1", station.daemon.port, timeout=20)) as connection:
        connection.putrequest("POST", f"{session.path}/documents")
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["code"]) == (413, "request.too_large")


def test_nothing_is_left_on_the_disk(station: Workstation) -> None:
    large = [file for file in station.directory.rglob("*") if file.is_file() and file.stat().st_size > SIZE // 10]
    assert large == []
