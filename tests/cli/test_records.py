"""``audit`` and ``config``: what works without a daemon."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cardd.config import Config
from cardd.config.loading import load
from cardd.config.reference import keys
from cardd.core.recording import DocumentNames, Pseudonyms
from cardd.model import AuditEntry, Outcome
from cardd.secret import Secret
from cardd.system.audit_store import Custody, SqliteAuditLog
from cardd.system.store import FileStore
from tests.cli.station import User


async def written(directory: Path, rows: int = 3, custody: Custody | None = None) -> Path:
    """An audit log with some rows."""
    log = SqliteAuditLog(directory, custody=custody)
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


async def test_verify_tells_a_log_that_lost_its_head(stranger: User, tmp_path: Path) -> None:
    log = await written(tmp_path / "audit")
    (log / "head").unlink()
    ran = stranger.run("audit", "verify", "--directory", log)
    assert (ran.status, "is not there" in ran.err) == (1, True)
    assert "audit.head_broken" in str(stranger.run("audit", "verify", "--json", "--directory", log).json["error"])


async def test_verify_compares_the_heads_that_were_sent_on(stranger: User, tmp_path: Path) -> None:
    log = await written(tmp_path / "audit")
    [one, *_, last] = [json.loads(line) for line in stranger.ok("audit", "export", "--directory", log).splitlines()]
    journal, forged = tmp_path / "journal", tmp_path / "forged"
    lines = [f"INFO cardd.system.audit_sinks: audit head {row['number']} {row['hash']}" for row in (one, last)]
    journal.write_text("\n".join(["Nov 30 cardd[1]: something else", *lines]))
    assert "2 heads that were sent on" in stranger.ok("audit", "verify", "--directory", log, "--heads", journal)
    forged.write_text(f"2026-11-30T00:00:00.000000Z 9 {last['hash']}\n")
    ran = stranger.run("audit", "verify", "--json", "--directory", log, "--heads", forged)
    assert (ran.status, "removed_at_end" in str(ran.json["error"])) == (1, True)
    forged.write_text("nothing\n")
    for nothing in (forged, "-"):  # a command that is not fed reads nothing
        assert stranger.run("audit", "verify", "--directory", log, "--heads", nothing).status == 1


async def test_verify_takes_no_line_that_only_looks_like_a_head_and_tells_it(stranger: User, tmp_path: Path) -> None:
    log = await written(tmp_path / "audit")
    row = json.loads(stranger.ok("audit", "export", "--directory", log).splitlines()[0])
    head, kept = f"{row['number']} {row['hash']}", tmp_path / "kept"
    good = [
        f"audit head {head}",
        f"INFO cardd.system.audit_sinks: audit head {head}",
        f"Nov 30 08:00:00 poste cardd[12]: INFO cardd.system.audit_sinks: audit head {head}",
        f"{row['time']} {head}",
    ]
    others = ["-- Boot 5 --", "Nov 30 08:00:00 poste cardd[12]: INFO cardd.daemon: cardd 0.2 listens on …"]
    others.append(f"WARNING cardd.core.trail: a program of the name audit head {head}")
    bad = [
        f"Nov 30 08:00:00 poste sh[9]: cardd[12]: INFO cardd.system.audit_sinks: audit head {head}",
        f"the person said {head}",
        f"{row['time']} {head[:-1]}",
        f"audit head {head} and more",
    ]
    kept.write_text("\n".join([*good, *others]))
    assert "4 heads that were sent on" in stranger.ok("audit", "verify", "--directory", log, "--heads", kept)
    kept.write_text("\n".join([*good, *others, *bad]))
    ran = stranger.run("audit", "verify", "--json", "--directory", log, "--heads", kept)
    assert (ran.status, ran.json["sent"], ran.json["unlike"]) == (1, 4, [8, 9, 10, 11])
    ran = stranger.run("audit", "verify", "--directory", log, "--heads", kept, "--lang", "fr")
    told = ran.out.replace("\N{NARROW NO-BREAK SPACE}", " ")
    assert f"La ligne 9 de {kept} n'est pas une tête, bien qu'elle y ressemble : the person said 1" in told


async def test_verify_tells_a_seal_that_it_could_not_check_and_one_that_does_not_hold(
    stranger: User, tmp_path: Path
) -> None:
    log = await written(tmp_path / "audit", custody=Custody(seal_key=Secret.of(b"SIMULATION" * 4)))
    right, wrong = tmp_path / "key", tmp_path / "other"
    right.write_bytes(b"SIMULATION" * 4 + b"\n")
    wrong.write_bytes(b"x" * 40)
    assert stranger.run("audit", "verify", "--json", "--directory", log).json["seal_unchecked"] is True
    assert "seal" not in stranger.ok("audit", "verify", "--directory", log, "--key", right)
    ran = stranger.run("audit", "verify", "--directory", log, "--key", wrong)
    assert (ran.status, "was not made with" in ran.err) == (1, True)


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


async def test_rows_about_a_document_are_found_by_its_name_and_by_the_digest_of_it(
    stranger: User, tmp_path: Path
) -> None:
    (tmp_path / "cardd.toml").write_text(f'[state]\ndirectory = "{tmp_path}"\n')
    await written(tmp_path / "audit")
    digest = DocumentNames("digest", Pseudonyms(FileStore(tmp_path))).kept("document-1.txt")
    assert digest
    assert "document" not in digest
    log = SqliteAuditLog(tmp_path / "audit")
    await log.append(AuditEntry("signature.raw", Outcome.DONE, 1000, "lps", "Mon LPS", document=digest))
    await log.close()
    found = stranger.ok("audit", "find", "document-1.txt", "--config", tmp_path / "cardd.toml").splitlines()
    assert ["document-1.txt" in found[1], digest in found[2], len(found)] == [True, True, 3]
    assert "No such row" in stranger.ok("audit", "find", "document-9.txt", "--config", tmp_path / "cardd.toml")


def test_the_log_of_the_configuration_is_read(stranger: User, tmp_path: Path) -> None:
    (tmp_path / "cardd.toml").write_text(f'[state]\ndirectory = "{tmp_path}"\n')
    assert "empty" in stranger.ok("audit", "tail", "--config", tmp_path / "cardd.toml")


def test_config_check_names_the_key_and_the_nearest_known_one(stranger: User, tmp_path: Path) -> None:
    file = tmp_path / "cardd.toml"
    file.write_text("[session]\nidel = 3\n")
    ran = stranger.run("config", "check", "--config", file)
    assert ran.status == 1
    assert "session.idel" in ran.err
    assert "session.idle" in ran.err
    file.write_text("[session]\nidle = 3\n")
    assert stranger.run("config", "check", "--config", file).status == 0


def test_config_check_tells_an_address_that_is_none_in_a_sentence(stranger: User, tmp_path: Path) -> None:
    file = tmp_path / "cardd.toml"
    file.write_text('[timestamp]\nurl = "ftp://x"\n')
    ran = stranger.run("config", "check", "--config", file)
    assert f"{file}: timestamp.url: not an http or https address (https://host[:port][/path])" in ran.err


# on an /etc of its own, with the service's user
AS_THE_SERVICE = """
set -e
mount -t tmpfs none /mnt; mkdir /mnt/e /mnt/w
mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/e,workdir=/mnt/w /etc
echo "cardd:x:977:977::/:/usr/sbin/nologin" >> /etc/passwd; echo "cardd:x:977:" >> /etc/group
rm -rf /etc/cardd; mkdir -p /etc/cardd/cardd.toml.d; chmod 755 /etc/cardd /etc/cardd/cardd.toml.d
echo "[session]" > /etc/cardd/cardd.toml.d/site.toml
for mode in 600 644; do
  chmod $mode /etc/cardd/cardd.toml.d/site.toml
  "$@" config check 2>&1 || echo "status $?"
done
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can have an /etc of its own")
def test_config_check_of_root_tells_what_the_service_may_not_read() -> None:
    command = [sys.executable, "-m", "cardd.cli.cardctl", "--lang", "en"]
    script = ["unshare", "--mount", "sh", "-c", AS_THE_SERVICE, "sh", *command]
    ran = subprocess.run(script, capture_output=True, text=True, check=True)
    refused, _, rest = ran.stdout.partition("status 1\n")
    assert "/etc/cardd/cardd.toml.d/site.toml: nobody gave the right to read" in refused
    assert rest == "The configuration is valid.\n"


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
