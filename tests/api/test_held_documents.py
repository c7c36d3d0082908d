"""Documents handed over apart from the request that names them: taken within limits, signed, and gone afterwards."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import pytest

from cardd.api.parts import ApiLimits
from cardd.core.session import Session
from cardd.documents.held import LIFETIME, HeldDocuments
from cardd.errors import DocumentsFull
from cardd.formats.document import PIECE
from cardd.formats.sealed import sealed_in
from cardd.model import Choice
from tests.api.documents import DOCUMENT, OCTETS, handed_over, signed
from tests.api.workbench import PIN, Json, Workbench
from tests.rig.openssl import accepts_cms
from tests.rig.pdf import pdf
from tests.rig.pens import card_pen
from tests.rig.waiting import eventually

TEXT = b"ORDONNANCE SIMULATION DUPONT "


async def test_a_document_handed_over_comes_back_signed_and_is_gone_afterwards(api: Workbench, tmp_path: Path) -> None:
    path, token = await api.logged_in()
    given = await handed_over(api, path, token)
    body = {"document_name": "Compte rendu", "document_id": given, "format": "cades"}
    got = await api.call("POST", f"{path}/signatures", body, bearer=token)
    where = f"{path}/documents/{got.text('document_id')}"
    fetched = await api.call("GET", where, bearer=token)
    assert (fetched.status, fetched.headers["Content-Type"]) == (200, "application/pkcs7-mime")
    (tmp_path / "signed").write_bytes(fetched.raw)
    assert accepts_cms(tmp_path / "signed", card_pen().roots)
    assert (await api.call("GET", f"{path}/documents/{given}", bearer=token)).code == "document.unknown"
    assert (await api.call("DELETE", where, bearer=token)).status == 204
    assert (await api.call("GET", where, bearer=token)).code == "document.unknown"


@pytest.mark.parametrize(("form", "content"), [("cades", DOCUMENT), ("pades", pdf())])
async def test_a_refused_signature_leaves_the_document_for_another_try(
    api: Workbench, form: str, content: bytes
) -> None:
    path, token = await api.logged_in()
    given = await handed_over(api, path, token, content)
    body = {"document_name": "Compte rendu", "document_id": given, "format": form}
    api.person.choice = Choice.NO
    assert (await api.call("POST", f"{path}/signatures", body, bearer=token)).code == "consent.refused"
    api.person.choice = Choice.YES
    assert (await api.call("POST", f"{path}/signatures", body, bearer=token)).status == 200


async def test_another_session_has_no_part_in_it(api: Workbench) -> None:
    secret = await api.pair()
    path, token = await api.login(secret)
    api.person.pins.append(PIN)
    other, other_token = await api.login(secret)
    given = await handed_over(api, path, token)
    got = await api.call("GET", f"{other}/documents/{given}", bearer=other_token)
    assert (got.status, got.code) == (404, "document.unknown")


async def test_a_closed_session_holds_nothing(api: Workbench) -> None:
    path, token = await api.logged_in()
    given = await handed_over(api, path, token)
    [session] = api.sessions.of(api.uid or 0)
    content = api.held.find(session, given).content
    await api.call("DELETE", path, bearer=token)
    assert content.closed
    assert LIFETIME <= 600


def files_without_a_name() -> set[Path]:
    found = set()
    for place in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the descriptor of the folder itself
            found |= {place} if "(deleted)" in str(place.readlink()) else set()
    return found


def stored(before: set[Path]) -> bytes:
    """All that is in the documents' files, as somebody sees it who has the disk."""
    return b"".join(place.read_bytes() for place in files_without_a_name() - before)


@pytest.mark.parametrize(("form", "content"), [("cades", TEXT * 20_000), ("pades", pdf(ballast=300_000))])
async def test_the_disk_has_nothing_of_a_document_while_it_is_held_and_after(
    api: Workbench, form: str, content: bytes
) -> None:
    path, token = await api.logged_in()
    before = await asyncio.to_thread(files_without_a_name)
    given = await handed_over(api, path, token, content)
    body = {"document_name": "Compte rendu", "document_id": given, "format": form}
    files = [await asyncio.to_thread(stored, before)]
    signed = await api.call("POST", f"{path}/signatures", body, bearer=token)
    files.append(await asyncio.to_thread(stored, before))
    fetched = await api.call("GET", f"{path}/documents/{signed.text('document_id')}", bearer=token)
    assert len(fetched.raw) > len(content)
    assert all(len(found) >= len(content) for found in files)
    assert not any(word in found for found in files for word in (TEXT, b"%PDF", b"endobj", b"SIMULATION"))
    [session] = api.sessions.of(api.uid or 0)
    copy = os.dup(sealed_handle(api.held.find(session, signed.text("document_id")).content))  # what the disk still has
    await api.call("DELETE", path, bearer=token)
    assert TEXT not in os.pread(copy, 10_000_000, 0)
    os.close(copy)


def sealed_handle(document: BinaryIO) -> int:
    file = sealed_in(document)
    assert file is not None
    return file.settle()


async def test_a_session_holds_only_so_much(api: Workbench) -> None:
    path, token = await api.logged_in()
    api.held.count_max = 2
    given = await handed_over(api, path, token)
    await handed_over(api, path, token)
    full = await api.call("POST", f"{path}/documents", DOCUMENT, bearer=token, headers=OCTETS)
    assert (full.status, full.code) == (409, "document.too_many")
    await api.call("DELETE", f"{path}/documents/{given}", bearer=token)
    await handed_over(api, path, token)


@contextmanager
def a_disk_of(size: int) -> Iterator[None]:
    """The kernel takes no file larger than this."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_full_disk_is_told_whenever_it_is_met(api: Workbench) -> None:
    path, token = await api.logged_in()
    size = 1_000_000
    with a_disk_of(size):
        got = await api.call("POST", f"{path}/documents", bytes(size + 1), bearer=token, headers=OCTETS)
        assert (got.status, got.code, got.json["retryable"]) == (507, "document.no_space", True)
        # signed, they are larger; a seal takes 28 bytes of each 64 KiB
        for form, content in (("cades", bytes(size - 1000)), ("pades", pdf(ballast=size - 6000))):
            given = await handed_over(api, path, token, content)
            body: Json = {"document_name": "Compte rendu", "document_id": given, "format": form}
            assert (await api.call("POST", f"{path}/signatures", body, bearer=token)).code == "document.no_space"


async def test_documents_that_are_still_coming_count_as_held(api: Workbench) -> None:
    path, token = await api.logged_in()
    [session] = api.sessions.of(api.uid or 0)
    api.held.bytes_max = 3 * PIECE
    refused = asyncio.Event()

    async def content() -> AsyncIterator[bytes]:
        yield bytes(2 * PIECE)
        await refused.wait()

    headers = {**OCTETS, "Authorization": f"Bearer {token}"}
    url = f"{api.base('v4')}{path}/documents"
    async with asyncio.TaskGroup() as group:
        first = group.create_task(api.http("v4").post(url, data=content(), headers=headers))
        await eventually(lambda: is_full(api.held, session, 2 * PIECE))
        second = await api.call("POST", f"{path}/documents", bytes(2 * PIECE), bearer=token, headers=OCTETS)
        refused.set()
    assert second.code == "document.too_many"
    assert first.result().status == 201
    assert not is_full(api.held, session, PIECE)  # counted once


def is_full(held: HeldDocuments, session: Session, size: int) -> bool:
    try:
        held.check_room(session, size)
    except DocumentsFull:
        return True
    return False


@pytest.mark.parametrize(
    ("content", "headers", "code"),
    [
        (b"", OCTETS, "document.empty"),
        (DOCUMENT, {"Content-Type": "application/json"}, "request.media_type"),
        (DOCUMENT, {**OCTETS, "Content-Encoding": "gzip"}, "request.media_type"),
        (b"x" * 2001, OCTETS, "request.too_large"),
    ],
)
async def test_what_is_no_document_is_not_taken(
    tmp_path: Path, content: bytes, headers: dict[str, str], code: str
) -> None:
    api = Workbench(tmp_path, limits=ApiLimits(document=2000))
    await api.start()
    path, token = await api.logged_in()
    got = await api.call("POST", f"{path}/documents", content, bearer=token, headers=headers)
    assert got.code == code
    await api.stop()


async def test_a_document_handed_over_once_may_be_signed_twice_in_a_list(api: Workbench, tmp_path: Path) -> None:
    path, token = await api.logged_in()
    given = await handed_over(api, path, token)
    item: Json = {"document_name": "Compte rendu", "document_id": given, "format": "cades"}
    got = await api.call("POST", f"{path}/signatures", {"signatures": [item, item]}, bearer=token)
    assert got.status == 200, got.raw
    for number in range(2):
        fetched = await api.call(
            "GET", f"{path}/documents/{got.text('signatures', number, 'document_id')}", bearer=token
        )
        (tmp_path / "signed").write_bytes(fetched.raw)
        assert accepts_cms(tmp_path / "signed", card_pen().roots)
    assert (await api.call("GET", f"{path}/documents/{given}", bearer=token)).code == "document.unknown"


async def test_the_documents_of_a_signed_set_are_gone(api: Workbench) -> None:
    path, token = await api.logged_in()
    given = await handed_over(api, path, token)
    wanted = {"unique_id": "2.25.1", "documents": [{"unique_id": "2.25.2", "document_id": given}]}
    body: Json = {"document_name": "Lot de soumission", "format": "submission_set", "submission_set": wanted}
    assert signed(await api.call("POST", f"{path}/signatures", body, bearer=token))
    assert (await api.call("GET", f"{path}/documents/{given}", bearer=token)).code == "document.unknown"


async def test_a_session_that_ended_while_a_document_came_holds_it_not(api: Workbench) -> None:
    path, token = await api.logged_in()
    [session] = api.sessions.of(api.uid or 0)

    async def content() -> AsyncIterator[bytes]:
        yield DOCUMENT
        await api.call("DELETE", path, bearer=token)
        yield DOCUMENT

    headers = {**OCTETS, "Authorization": f"Bearer {token}"}
    async with api.http("v4").post(f"{api.base('v4')}{path}/documents", data=content(), headers=headers) as answer:
        assert (answer.status, (await answer.json())["code"]) == (401, "session.closed")
    api.held.count_max = 1
    assert not is_full(api.held, session, 1)
