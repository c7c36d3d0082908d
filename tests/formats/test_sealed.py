"""Documents on the disk: encrypted, in chunks that can be read and written anywhere, and worthless once closed."""

from __future__ import annotations

import os
import random
import tempfile
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardd.formats.document import again, filled, new_document, pieces, settle, sha256_of, size_of
from cardd.formats.sealed import CHUNK, Cover, Layout, SealedFile, buffered, sealed_in

WORDS = b"ORDONNANCE SIMULATION DUPONT "


def on_disk(document: BinaryIO) -> bytes:
    """What is in the file, as somebody sees it who has the disk."""
    file = sealed_in(document)
    assert file is not None
    return Path(f"/proc/self/fd/{file.settle()}").read_bytes()


@pytest.mark.parametrize("size", [1, 1000, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK, 5 * CHUNK + 7])
def test_a_document_comes_back_as_it_was_and_is_not_on_the_disk(size: int) -> None:
    content = (WORDS * (size // len(WORDS) + 1))[:size]
    with new_document(content) as document:
        assert b"".join(pieces(document)) == content
        assert (size_of(document), sha256_of(document) != b"") == (size, True)
        stored = on_disk(document)
        assert len(stored) >= size
        assert WORDS[:8] not in stored
        with again(document) as other:
            document.close()
            assert other.read() == content


def test_a_small_document_that_nobody_holds_has_no_file_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", None)
    with new_document(WORDS) as document:
        assert document.read() == WORDS


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3 * CHUNK), st.integers(0, 2 * CHUNK), st.booleans()), max_size=12))
def test_a_sealed_file_is_read_and_written_anywhere_as_a_file_is(steps: list[tuple[int, int, bool]]) -> None:
    plain, source = BytesIO(), random.Random(1)
    with buffered(SealedFile()) as document:
        for position, size, writes in steps:
            plain.seek(position)
            document.seek(position)
            if writes:
                content = source.randbytes(size)
                assert document.write(content) == plain.write(content)
            else:
                assert document.read(size) == plain.read(size)
            assert document.tell() == plain.tell()
        document.seek(0)
        assert document.read() == plain.getvalue()


def file_of(content: bytes) -> tuple[SealedFile, int, Cover]:
    file = SealedFile()
    with buffered(file) as document:
        document.write(content)
        document.flush()
        handle, cover = os.dup(file.settle()), file.cover()
    return SealedFile(os.dup(handle), cover), handle, cover


def test_chunks_that_were_changed_exchanged_put_back_or_cut_off_are_not_the_document() -> None:
    stored = CHUNK + 28
    for harm in ("change", "exchange", "cut", "short", "key"):
        file, handle, cover = file_of(os.urandom(3 * CHUNK))
        if harm == "change":
            os.pwrite(handle, b"\0" * 8, stored + 100)
        elif harm == "exchange":
            first, second = os.pread(handle, stored, 0), os.pread(handle, stored, stored)
            os.pwrite(handle, second + first, 0)
        elif harm == "cut":
            os.ftruncate(handle, 2 * stored)
        elif harm == "short":
            layout = Layout(cover.layout.places, 3 * CHUNK - 1, cover.layout.free)
            file = SealedFile(os.dup(handle), Cover(cover.key, layout))
        else:
            file = SealedFile(os.dup(handle), Cover(bytes(32), cover.layout))
        with buffered(file) as document, pytest.raises(OSError, match="changed"):
            document.read()
        os.close(handle)


def test_a_layout_that_no_file_has_is_not_taken_back() -> None:
    with buffered(SealedFile()) as document:
        file = sealed_in(document)
        assert file
        none = (Layout([], 5, 0), Layout([0], 0, 0), Layout([-1], 5, 0), Layout([0], 5, -1))
        for layout in (*none, Layout([2**63], 5, 0), Layout([0], 5, 2**63), Layout([0], 5, 1), Layout([1], 5, 0)):
            with pytest.raises(ValueError, match="Layout"):
                file.taken_back(layout)


def test_nothing_is_left_of_the_key_once_it_is_closed() -> None:
    with filled() as document:
        document.write(WORDS * 10_000)
    settle(document)
    file = sealed_in(document)
    assert file
    key = file._key
    assert any(key)
    document.close()
    assert not any(key)
