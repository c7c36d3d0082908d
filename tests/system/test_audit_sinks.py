"""Where the audit log's head is sent on."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from aiohttp import web

from cardd.core.audit import Head
from cardd.system.audit_heads import sent
from cardd.system.audit_sinks import AuditSinks, Patience
from tests.rig.ports import free_port
from tests.rig.waiting import eventually

HEADS = [Head(number, f"{number:064x}") for number in range(1, 5)]


async def test_a_head_goes_to_the_journal_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    sinks = AuditSinks(["journal"], "poste")
    for head in (HEADS[0], HEADS[0], HEADS[1]):
        sinks.tell(head)
    assert sent(caplog.messages).heads == HEADS[:2]


async def test_heads_are_appended_to_a_file_the_last_one_before_the_daemon_ends(tmp_path: Path) -> None:
    file = tmp_path / "heads"
    sinks = AuditSinks([str(file)], "poste")
    sinks.tell(HEADS[0])  # the log is opened before its sinks are
    await sinks.watch()
    await eventually(lambda: file.exists() and file.read_text().count("\n") == 1)
    await asyncio.to_thread(sinks.tell, HEADS[1])
    await asyncio.sleep(0)
    await sinks.stop()
    assert sent(file.read_text().splitlines()).heads == HEADS[:2]


async def test_a_server_that_was_away_gets_the_newest_head() -> None:
    got: list[dict[str, str]] = []

    async def take(request: web.Request) -> web.Response:
        got.append(await request.json())
        return web.Response(status=204)

    application, port = web.Application(), free_port()
    application.router.add_post("/heads", take)
    sinks = AuditSinks([f"http://127.0.0.1:{port}/heads"], "poste", Patience(0.05, 0.05))
    await sinks.watch()
    sinks.tell(HEADS[0])
    await asyncio.sleep(0.1)
    sinks.tell(HEADS[2])
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await eventually(lambda: bool(got) and got[-1]["number"] == "3")
        assert (got[-1]["workstation"], got[-1]["hash"]) == ("poste", HEADS[2].hash)
    finally:
        await sinks.stop()
        await runner.cleanup()


async def test_a_sink_that_cannot_be_reached_is_told_once_and_holds_nobody_up(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    sinks = AuditSinks([str(tmp_path / "none" / "heads")], "poste", Patience(0.01, 0.01, last=0.1))
    await sinks.watch()
    sinks.tell(HEADS[0])
    await eventually(lambda: "cannot be sent" in caplog.text)
    await asyncio.sleep(0.1)
    await sinks.stop()
    assert caplog.text.count("cannot be sent") == 1
