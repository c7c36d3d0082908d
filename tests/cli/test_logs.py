"""``cardctl logs``: from the journal where it is readable, else from the daemon; one request's lines by its name."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests.cli.station import User

JOURNALCTL = """#!/bin/sh
echo "$@" > {asked}
cat {lines}
"""


def entry(**fields: object) -> str:
    return json.dumps({"__REALTIME_TIMESTAMP": "1796040000000000", "PRIORITY": "3", **fields})


def test_the_daemon_tells_its_last_lines_and_those_of_one_request(user: User) -> None:
    user.ok("login")
    told = user.run("logs", "--json")
    lines = told.rows("lines")
    [login] = [one for one in lines if str(one["message"]).startswith("POST /v1/sessions: 201 (person ")][-1:]
    assert login["request"]
    only = user.run("logs", "--json", "--request", str(login["request"])).rows("lines")
    assert [one["message"] for one in only] == [login["message"]]
    assert "conservées" in user.run("logs", "--lang", "fr").err
    assert f"({login['request']})" in user.ok("logs")


def test_the_journal_comes_first_where_this_user_may_read_it(user: User, tmp_path: Path) -> None:
    asked, lines = tmp_path / "asked", tmp_path / "lines"
    lines.write_text(
        "\n".join(
            [
                entry(MESSAGE="the card left", CARDD_LOGGER="cardd.core", CARDD_REQUEST="0123456789abcdef"),
                "no json",
                entry(MESSAGE=[76, 101, 99, 195, 169], CARDD_LOGGER="cardd.core"),
            ]
        )
    )
    program = tmp_path / "journalctl"
    program.write_text(JOURNALCTL.format(asked=asked, lines=lines))
    program.chmod(0o755)
    environment = {**user.environment, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = user.command("logs", "--json", "--request", "0123456789abcdef")
    done = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=30)
    told = json.loads(done.stdout)
    assert (told["source"], [one["message"] for one in told["lines"]]) == ("journal", ["the card left", "Lecé"])
    assert "--unit=cardd.service" in asked.read_text()
    assert "CARDD_REQUEST=0123456789abcdef" in asked.read_text()
