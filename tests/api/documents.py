"""What tests of signed documents ask for, and what comes back."""

from __future__ import annotations

import base64
import hashlib

from tests.api.workbench import Got, Json, Workbench

DOCUMENT = b"compte rendu SIMULATION"
OCTETS = {"Content-Type": "application/octet-stream"}


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def inline(**more: object) -> Json:
    return {"document_name": "Compte rendu", "document": base64.b64encode(DOCUMENT).decode(), **more}


async def sign(api: Workbench, body: Json) -> Got:
    path, token = await api.logged_in()
    return await api.call("POST", f"{path}/signatures", body, bearer=token)


def signed(got: Got, *path: str | int) -> bytes:
    assert got.status == 200, got.raw
    return base64.b64decode(got.text(*path, "document"))


async def handed_over(api: Workbench, path: str, token: str, content: bytes = DOCUMENT) -> str:
    got = await api.call("POST", f"{path}/documents", content, bearer=token, headers=OCTETS)
    assert (got.status, got.json["size"]) == (201, len(content)), got.raw
    assert base64.b64decode(got.text("sha256")) == hashlib.sha256(content).digest()
    assert got.headers["Location"] == f"{path}/documents/{got.text('id')}"
    return got.text("id")
