"""node's jose as the judge of JWS."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

JUDGES = Path(__file__).parent / "judges"


def is_installed() -> bool:
    """Whether node and the packages that ``make setup`` installs are here."""
    return shutil.which("node") is not None and (JUDGES / "node_modules" / "jose").is_dir()


def judge(jws: bytes, algorithm: str, payload: bytes | None = None) -> dict[str, Any]:
    """``payload`` and ``header`` as jose verified them, or ``refused``; ``payload`` is that of a detached one."""
    text = jws.decode()
    asked: dict[str, Any] = {"jws": json.loads(text) if text.startswith("{") else text, "alg": algorithm}
    if payload is not None:
        asked["payload"] = base64.b64encode(payload).decode()
    command = ["node", "--no-warnings", "jws.mjs"]
    done = subprocess.run(command, cwd=JUDGES, check=True, capture_output=True, input=json.dumps(asked).encode())
    answer: dict[str, Any] = json.loads(done.stdout)
    if "payload" in answer:
        answer["payload"] = base64.b64decode(answer["payload"])
    return answer
