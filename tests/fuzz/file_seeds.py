"""Seeds of files: a careful administrator's, cardd's own, a user's, and those of other programs."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from cardd.core.audit import EMPTY, Head, next_row
from cardd.model import AuditEntry, Outcome
from cardd.secret import Secret
from cardd.system import audit_file
from cardd.system.audit_heads import Heads
from tests.fuzz.documents import MATERIAL
from tests.fuzz.files import FIREFOX_FILE, SHAPES

CONFIGURATION = b"""
[listen]
tcp = 17463
max_body = 16777216
[session]
idle = 1800
pin = "ask"
[web]
allowed_origins = ["https://webps.example"]
[upstreams.dmp]
url = "https://dmp.example"
paths = ["/lps"]
[network]
proxy = "http://proxy.example:3128"
[psc]
mode = "proxy"
proxy = "https://psc.example"
client_id = "simulation"
"""


def files() -> dict[str, dict[str, bytes]]:
    """Files of a careful administrator, and of cardd itself."""
    lines = (
        {"format": "cardd-trace", "version": 1},
        {"type": "card", "reader": "A", "atr": "3B8F80010031B86404B0ECC1739401808290000E"},
        {
            "type": "exchange",
            "reader": "A",
            "protocol": "T1",
            "header": "00A40400",
            "data": "A000",
            "sent": 2,
            "answer": "6F00",
            "status": "9000",
        },
        {"type": "exchange", "reader": "A", "header": "00B00000", "sent": 0, "answer": "5A0A80", "status": "9000"},
        {
            "type": "exchange",
            "reader": "A",
            "header": "00200001",
            "secret": True,
            "sent": 4,
            "received": 0,
            "status": "63C2",
        },
    )
    key = {
        "id": "A",
        "rights": ["sign"],
        "since": "2026-12-01T00:00:00Z",
        "until": "2027-12-01T00:00:00Z",
        "used": "2026-12-01",
    }
    states = (
        {
            "format": 2,
            "programs": [
                {
                    "id": "1",
                    "name": "SIMULATION",
                    "vendor": "",
                    "software_id": "",
                    "uid": 1,
                    "secret": "a",
                    "paired_at": "2026-12-01",
                }
            ],
            "origins": [{"origin": "https://webps.example", "uid": 1, "allowed_at": "2026-12-01", "keys": [key]}],
        },
        {"format": 1, "programs": []},
        {"format": 1, "settings": {"listen.tcp": "a"}},
        {"format": 1, "key": "00" * 32},
        {"format": 1},
        {"format": 1, "entries": {}},
        {"format": 1, "entries": {"1234": "2026-12-01T00:00:00Z"}},
        {"format": 1, "entries": {"1234": "abc"}},
        {"programs": [], "origins": [{"origin": "https://webps.example", "uid": 1, "allowed_at": "2026-12-01"}]},
    )
    return {
        "configuration": {"all": CONFIGURATION, "none": b""},
        "state": {
            str(number): bytes((number % len(SHAPES),)) + json.dumps(state).encode()
            for number, state in enumerate(states)
        },
        "recording": {"": b"\n".join(json.dumps(line).encode() for line in lines)},
        "authorities": {"": MATERIAL.read_bytes()},
        "heads": {"": b"2026-12-01T00:00:00Z cardd: audit head 12 " + b"ab" * 32 + b"\n"},
        **_drop_ins_and_others(),
        **_audit(),
    }


def _drop_ins_and_others() -> dict[str, dict[str, bytes]]:
    """Of this user, of browsers and of the system."""
    firefox = {"policies": {"LocalNetworkAccess": {"SkipDomains": ["other.example"]}, "SecurityDevices": {"Add": {}}}}
    chromium = {"LoopbackNetworkAllowedForUrls": ["https://other.example:443"], "Other": [1]}
    held = {"before": None, "after": "0" * 64}
    written: dict[str, object] = {
        **held,
        "sites": ["https://webps.example"],
        "entries": [],
        "folders": ["etc/firefox"],
        "devices": {},
    }
    record = {"format": 1, "files": {FIREFOX_FILE: written}}
    registered = {"folders": ["/FOLDER/x"], "files": {"/FOLDER/other": {**held, "part": "a", "form": "block"}}}
    entry = {"__REALTIME_TIMESTAMP": "1796083200000000", "PRIORITY": "6", "MESSAGE": "SIMULATION", "CARDD_MASKED": "x"}
    override = b"[Context]\nshared=network;\nfilesystems=home;/run/a\\;b;\n\n[Environment]\nA=b\n"
    return {
        "drop_ins": {"": CONFIGURATION + b'\0[session]\nidle = 600\n\0[network]\nno_proxy = [".example"]\n'},
        "journal": {"": json.dumps({**entry, "CARDD_LOGGER": "cardd.core", "CARDD_REQUEST": "a"}).encode() + b"\n"},
        "policies": {"": json.dumps(firefox).encode() + b"\0" + json.dumps(chromium).encode(), "none": b"\0"},
        "policies_record": {"": json.dumps(record).encode()},
        "registration": {"": b"library=a\nname=b\n\n\0" + json.dumps(registered).encode(), "override": override},
        "override": {"": override, "none": b""},
        "remembered": {"": b'{"/run/cardd/cardd.sock": {"id": "1", "token": "a"}}'},
        "secret_file": {"": b"lps.c2ltdWxhdGlvbg\n"},
        "accounts": {"": b"root:x:0:0::/root:/bin/sh\ncamille:x:1000:1000:Camille,,,:/:/bin/bash\n"},
        "cgroup": {"": b"0::/user.slice/user-1000.slice/session-2.scope\n"},
    }


def _audit() -> dict[str, dict[str, bytes]]:
    """A log of two rows, the older of a program that signed."""
    when = datetime(2026, 12, 1, tzinfo=UTC)
    first = next_row(EMPTY, when, AuditEntry("session.open", Outcome.DONE, 1000, "lps", "SIMULATION", session="s"))
    entry = AuditEntry("sign", Outcome.DONE, 1000, "lps", "SIMULATION", session="s", document="ordonnance")
    second = next_row(Head(first.number, first.hash), when, entry)
    with TemporaryDirectory() as directory:
        with closing(sqlite3.connect(path := Path(directory) / audit_file.FILE)) as log:
            log.execute("PRAGMA page_size = 512")
            log.executescript("".join(audit_file.FORMATS) + f"PRAGMA user_version = {len(audit_file.FORMATS)};")
            log.executemany(audit_file.INSERT, [audit_file.record_of(row) for row in (first, second)])
            log.commit()
        content = path.read_bytes()
    with Secret.of(bytes(32)) as key:
        heads = [Heads([], given).line(Head(second.number, second.hash)) for given in (key, None)]
    return {
        "audit_log": {"": content},
        "audit_row": {str(row.number): json.dumps(audit_file.record_of(row)).encode() for row in (first, second)},
        "audit_head": {"sealed": heads[0], "unsealed": heads[1]},
    }
