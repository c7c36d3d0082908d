"""``audit`` and ``config``: what works without a daemon."""

from __future__ import annotations

import json
import sqlite3
import tomllib
from pathlib import Path

from cardd.config import Config
from cardd.config.loading import load
from cardd.config.reference import keys
from cardd.model import AuditEntry, Outcome
from cardd.system.audit_store import SqliteAuditLog
from tests.cli.station import User


async def written(directory: Path, rows: int = 3) -> Path:
    """An audit log with some rows."""
    log = SqliteAuditLog(directory)
    for number in range(rows):
        entry = AuditEntry("signature.raw", Outcome.DONE, 1000, "lps", "Mon LPS", document=f"document-{number}.txt")
        await log.append(entry)
    await log.close()
    return directory


def change_row(directory: Path, number: int) -> None:
    """Change a row, as somebody who can write the file would."""
    connection = sqlite3.connect(directory / "audit.db")
    connection.execute("DROP TRIGGER audit_no_update")
    connection.execute("UPDATE audit SET document = 'autre.txt' WHERE number = ?", (number,))
    connection.commit()
    connection.close()


async def test_tail_shows_the_last_rows(stranger: User, tmp_path: Path) -> None:
    log = await written(tmp_path / "audit")
    shown = stranger.ok("audit", "tail", "-n", "2", "--directory", log).splitlines()
    assert len(shown) == 3
    assert "document-1.txt" in shown[1]
    assert "Mon LPS" in shown[2]


async def test_verify_finds_the_row_that_was_changed(stranger: User, tmp_path: Path) -> None:
    log = await written(tmp_path / "audit")
    assert stranger.run("audit", "verify", "--json", "--directory", log).json["number"] == 3
    change_row(log, 2)
    ran = stranger.run("audit", "verify", "--directory", log)
    assert ran.status == 1
    assert "Row 2 is not what was recorded" in ran.err


def test_a_log_that_is_not_there_is_not_taken_for_a_whole_one(stranger: User, tmp_path: Path) -> None:
    assert stranger.run("audit", "verify", "--directory", tmp_path / "none").status == 1
    ran = stranger.run("audit", "verify", "--directory", tmp_path / "none", "--json")
    assert "none" in str(ran.json["error"])
    (tmp_path / "audit.db").write_text("no database")
    ran = stranger.run("audit", "tail", "--directory", tmp_path, "--lang", "fr")
    assert ran.status == 1
    assert "ne peut pas être lu" in ran.err


async def test_export_gives_one_object_a_line(stranger: User, tmp_path: Path) -> None:
    log = await written(tmp_path / "audit")
    stranger.ok("audit", "export", "--directory", log, "--output", tmp_path / "export.jsonl")
    exported = (tmp_path / "export.jsonl").read_text()
    assert exported == stranger.ok("audit", "export", "--directory", log)
    assert [json.loads(line)["number"] for line in exported.splitlines()] == [1, 2, 3]


def test_the_log_of_the_configuration_is_read(stranger: User, tmp_path: Path) -> None:
    (tmp_path / "cardd.toml").write_text(f'[state]\ndirectory = "{tmp_path}"\n')
    assert "empty" in stranger.ok("audit", "tail", "--config", tmp_path / "cardd.toml")


def test_config_check_names_the_key_and_the_nearest_known_one(stranger: User, tmp_path: Path) -> None:
    file = tmp_path / "cardd.toml"
    file.write_text("[session]\nidel = 3\n")
    ran = stranger.run("config", "check", file)
    assert ran.status == 1
    assert "session.idel" in ran.err
    assert "session.idle" in ran.err
    file.write_text("[session]\nidle = 3\n")
    assert stranger.run("config", "check", file).status == 0


def test_config_check_tells_an_address_that_is_none_in_a_sentence(stranger: User, tmp_path: Path) -> None:
    file = tmp_path / "cardd.toml"
    file.write_text('[timestamp]\nurl = "ftp://x"\n')
    ran = stranger.run("config", "check", file)
    assert f"{file}: timestamp.url: not an http or https address (https://host[:port][/path])" in ran.err


def test_config_show_is_toml_that_means_the_same(stranger: User, tmp_path: Path) -> None:
    file = tmp_path / "cardd.toml"
    file.write_text(
        '[session]\nidle = "5 min"\n[web]\nallowed_origins = ["https://webps.example"]\n[[psc.apis]]\nname = "ins"\n'
    )
    shown = stranger.ok("config", "show", file)
    assert tomllib.loads(shown)["session"]["idle"] == 300
    again = tmp_path / "again.toml"
    again.write_text(shown)
    assert load(again) == load(file) != Config()


def test_config_reference_has_every_key_in_both_languages(stranger: User) -> None:
    english, french = (stranger.ok("config", "reference", "--lang", language) for language in ("en", "fr"))
    for key in keys():
        assert f"{key.name} = {key.default}" in english
        assert key.en in english
        assert key.fr in french
