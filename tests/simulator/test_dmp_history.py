"""The simulated DMP tells who used the record, and how to reach it; what it is set to; and ``cardctl`` starts it."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from cardd.errors import AddressInUse, InvalidRequest
from cardd.formats.saml.request import Access, Mode
from cardd.simulator import ServerOptions
from cardd_simulators.dmp.simulator import DmpSimulator
from tests.rig.dmp import RunningDmp, card, event, organisation, rights, running_dmp
from tests.rig.dmp_messages import Sent, cda, provide, query, retrieve, signed
from tests.rig.ports import free_port
from tests.rig.simulator import STATE, store

REPORT = "2.25.999100001"


async def history(dmp: RunningDmp, **headers: str) -> tuple[int, str]:
    """Status and text of the patient's page."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{dmp.history_port}/historique", headers=headers) as response,
    ):
        return response.status, await response.text()


async def test_the_patient_sees_who_did_what_the_newest_first() -> None:
    async with running_dmp() as dmp:
        await card().post(dmp, query())
        await card("infirmier", access=Access.CENTRE_15).post(dmp, retrieve(REPORT))
        _, told = await history(dmp, Accept="application/json")

    newest, oldest = json.loads(told)["historique"]
    assert (newest["nom"], newest["identifiant"]) == ("ALEX SIMULATION-INFIRMIER", "899000000036")
    assert (newest["roles"], newest["structure"]) == (["60"], "499000000036001")
    assert (newest["action"], newest["documents"]) == ("ITI-43", ["Compte rendu SIMULATION"])
    assert (newest["mode"], newest["acces"]) == ("direct", "centre_15")
    assert (oldest["action"], oldest["logiciel"], oldest["roles"]) == ("ITI-18", "LogiSimulation", ["10", "SM36"])


async def test_a_document_that_the_patient_does_not_see_is_not_named() -> None:
    doctor, report = card(), Sent("2.25.9201", cda("SIMULATION"))
    async with running_dmp() as dmp:
        await doctor.post(dmp, provide("2.25.9200", report, signed(doctor.pen, "2.25.9200", report)))
        _, told = await history(dmp, Accept="application/json")

    [added] = json.loads(told)["historique"]
    assert (added["action"], added["documents"]) == ("ITI-41", ["Ajout SIMULATION 2.25.9201"])


async def test_the_patients_page_is_html_for_a_browser() -> None:
    async with running_dmp() as dmp:
        await organisation(Mode.AIR).post(dmp, retrieve(REPORT))
        status, told = await history(dmp)

    assert status == 200
    assert told.startswith("<!DOCTYPE html>")
    assert "<td>CAMILLE SIMULATION-MEDECIN</td>" in told
    assert "<td>air</td>" in told


async def test_a_refused_call_and_a_secret_connection_are_not_shown_to_the_patient() -> None:
    async with running_dmp() as dmp:
        await card("pharmacien").post(dmp, retrieve(REPORT))
        await card(is_secret=True).post(dmp, query())
        _, told = await history(dmp, Accept="application/json")

    assert json.loads(told) == {"historique": []}


async def test_a_web_site_whose_name_leads_here_reads_nothing() -> None:
    async with running_dmp() as dmp:
        status, told = await history(dmp, Host="attaque.example")

    assert (status, told) == (403, "")


async def test_the_simulated_dmp_tells_what_to_configure_and_then_what_happens() -> None:
    async with running_dmp() as dmp:
        await card().post(dmp, query())
        await card("pharmacien").post(dmp, retrieve(REPORT))
        told = [await dmp.next() for _ in range(dmp.told.qsize())]

    text = "\n".join(told)
    assert f'url = "https://localhost:{dmp.port}"' in text
    assert f'authorities = "{store().chain}"' in text
    assert "upstreams/dmp/simulation/registry" in text
    assert any(line.startswith("Access: ") and "CAMILLE SIMULATION-MEDECIN" in line for line in told)
    assert told[-1] == "Refused: sim:rights.consult"


async def test_a_program_is_told_in_json() -> None:
    async with running_dmp(as_json=True) as dmp:
        start = event(await dmp.next())
        await card(is_secret=True).post(dmp, query())
        access = event(await dmp.next())

    assert start["event"] == "listening"
    assert start["values"]["url"] == f"https://localhost:{dmp.port}"  # type: ignore[index]  # JSON
    assert (access["event"], access["values"]["secret"]) == ("access", True)  # type: ignore[index]  # JSON


@pytest.mark.parametrize(
    "settings",
    [
        {"history": "0"},
        {"history": "huit"},
        {"lifetime": "-1"},
        {"signature": "peut-être"},
        {"couleur": "bleu"},
        {"authorities": "/nowhere/authorities.pem"},
    ],
    ids=str,
)
async def test_a_setting_that_will_not_do_is_refused(settings: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        await DmpSimulator().run(ServerOptions(state=STATE, settings=settings), print)


async def test_a_port_in_use_is_refused() -> None:
    async with running_dmp() as dmp:
        with pytest.raises(AddressInUse):
            async with running_dmp(port=dmp.port):
                raise AssertionError("it must not start")


@pytest.mark.parametrize(
    ("line", "where"),
    [
        ("10;11488-4;normal;effacer", "--table:2"),
        ("10;11488-4;parfois;consulter", "--table:2"),
        (";11488-4;normal;consulter", "--table:2"),
        ("10;*;*;consulter\n\n# SIMULATION\n10;11488-4", "--table:5"),
    ],
)
async def test_a_line_of_the_table_that_will_not_do_is_named(tmp_path: Path, line: str, where: str) -> None:
    with pytest.raises(InvalidRequest) as told:
        async with running_dmp(table=rights(tmp_path / "table.csv", line)):
            raise AssertionError("it must not start")

    assert told.value.params["where"] == where


@pytest.mark.parametrize("content", ["# nothing\n", "role;type;acces\n10;*;*\n"], ids=["empty", "a column less"])
async def test_a_table_without_lines_or_columns_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "table.csv").write_text(content)
    with pytest.raises(InvalidRequest):
        await DmpSimulator().run(ServerOptions(table=tmp_path / "table.csv"), print)


@pytest.mark.parametrize(
    "options",
    [
        ServerOptions(table=Path("nowhere.csv")),
        ServerOptions(port=70_000),
        ServerOptions(settings={"codes": "nowhere.csv"}),
    ],
    ids=str,
)
async def test_an_option_that_will_not_do_is_refused(options: ServerOptions) -> None:
    with pytest.raises(InvalidRequest):
        await DmpSimulator().run(options, print)


async def test_the_simulated_dmp_takes_no_orders() -> None:
    with pytest.raises(InvalidRequest):
        await DmpSimulator().tell(ServerOptions(), "approve", None)


async def test_cardctl_starts_it_until_it_is_interrupted() -> None:
    port = free_port(2)
    command = [sys.executable, "-c", "import sys; from cardd.cli.cardctl import main; sys.exit(main())"]
    command += ["simulate", "dmp", "--json", "--port", str(port), "--state", str(STATE)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            told = event((await process.stdout.readline()).decode())
            reply = await card().post(RunningDmp(port, port + 1, asyncio.Queue()), query())
    finally:
        process.send_signal(signal.SIGINT)
        await process.communicate()

    assert told["event"] == "listening"
    assert reply.status == 200
    assert process.returncode == 0
