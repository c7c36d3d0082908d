"""Processes that are killed in the middle of their N-th write: a library that stands before libc's, and what they do.

As a program, with the library loaded, it forks a process for each N. Each process writes documents and rows as the
daemon does, and tells by its pipe what it has been told is on the disk. After each death somebody else reads what is
there and goes on with it; the faults are printed.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import groupby, takewhile
from pathlib import Path

from cardd.model import AuditEntry, Outcome, Receipt
from cardd.system.audit_file import AuditReader
from cardd.system.audit_store import Custody, SqliteAuditLog
from cardd.system.store import FileStore

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/types.h>

int dies_at = 0;            /* at which call; 0: none is counted */
const char *below = "";      /* what counts is about files in there */
static int count = 0;
char kinds[CALLS_MAX];       /* of the calls that were counted */

static int is_ours(int fd) {
    char link[64], path[4096];
    if (!dies_at) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    path[size < 0 ? 0 : size] = 0;
    return strncmp(path, below, strlen(below)) == 0;
}
static int is_due(int counts, char kind) {
    if (!counts || !dies_at || count >= CALLS_MAX) return 0;
    kinds[count++] = kind;
    return count == dies_at;
}
static void die(void) { kill(getpid(), SIGKILL); for (;;) pause(); }
#define PAGES(size) ((size) / 4096 * 4096)  /* the kernel looks for SIGKILL between two pages */
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *data, size_t size) {
    if (is_due(is_ours(fd), 'w')) { REAL(write)(fd, data, PAGES(size / 2)); die(); }
    return REAL(write)(fd, data, size);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    if (is_due(is_ours(fd), 'p')) { REAL(pwrite64)(fd, data, PAGES(size / 2), at); die(); }
    return REAL(pwrite64)(fd, data, size, at);
}
int fsync(int fd) { if (is_due(is_ours(fd), 's')) die(); return REAL(fsync)(fd); }
int fdatasync(int fd) { if (is_due(is_ours(fd), 's')) die(); return REAL(fdatasync)(fd); }
int ftruncate64(int fd, off64_t size) { if (is_due(is_ours(fd), 's')) die(); return REAL(ftruncate64)(fd, size); }
#define ON_NAME(path) if (is_due(strncmp(path, below, strlen(below)) == 0, 'n')) die()
int rename(const char *from, const char *to) { ON_NAME(to); return REAL(rename)(from, to); }
int unlink(const char *path) { ON_NAME(path); return REAL(unlink)(path); }
int mkdir(const char *path, mode_t mode) { ON_NAME(path); return REAL(mkdir)(path, mode); }
"""
MEMORY = Path("/dev/shm")
CALLS_MAX = 1 << 16
MANY = 100  # pages that a log of its own accord writes as it makes room
ROWS = 6  # of one life
DOCUMENTS = tuple(json.dumps({"version": version, "padding": "x" * 3000}) for version in range(3))
ENTRY = AuditEntry("signature.raw", Outcome.DONE, 1000, "client", document="SIMULATION")


def faults_of_every_death(directory: Path) -> tuple[int, list[str]]:
    """Return how many deaths there were, and what was wrong after them."""
    source, library = directory / "dying.c", directory / "dying.so"
    source.write_text(SOURCE)
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-w", f"-DCALLS_MAX={CALLS_MAX}", "-o", library, source], check=True, timeout=60
    )
    memory = MEMORY if MEMORY.is_dir() else None  # where a sync costs nothing: no power is cut here
    with tempfile.TemporaryDirectory(dir=memory, prefix="cardd-tests-") as place:
        done = subprocess.run(
            [sys.executable, "-m", "tests.rig.dying", place],
            env={**os.environ, "LD_PRELOAD": str(library)},
            capture_output=True,
            text=True,
            timeout=100,
            check=True,
        )
    deaths, faults = json.loads(done.stdout)
    return deaths, faults


class Written:
    """A state directory, its documents and its log."""

    def __init__(self, directory: Path) -> None:
        self.store = FileStore(directory)
        self.audit = directory / "audit"
        self.second = directory / "audit-head"

    def log(self) -> SqliteAuditLog:
        return SqliteAuditLog(self.audit, custody=Custody(self.second))

    def _receipt(self, before: int, number: int) -> Receipt:
        return Receipt(self._name(before, number), b"r" * 32, datetime.now(UTC), b"sealed" * 80)

    @staticmethod
    def _name(before: int, number: int) -> bytes:
        return bytes([before + number]) * 32

    async def act(self, told: int, opened: Callable[[], None] = lambda: None) -> None:
        """Do what the daemon does; tell by ``told`` what is on the disk for certain."""
        log = self.log()
        await log.open()
        opened()
        before = len(AuditReader(self.audit).tail(100))
        for number, document in enumerate(DOCUMENTS):
            self.store.save("clients", document)
            os.write(told, b"d")
            log.write([ENTRY, ENTRY], self._receipt(before, number))
            os.write(told, b"rr")
        await log.close()

    async def faults(self, told: bytes, before: int) -> list[str]:
        """Return what is wrong with what is there, for whoever goes on with it; so many rows were there ``before``."""
        found = []
        kept, saved = self.store.load("clients"), told.count(b"d")
        first = DOCUMENTS[-1] if before else None
        if kept not in (first, *DOCUMENTS)[saved : saved + 2]:
            found.append(f"the document is not one of those that it may be: {str(kept)[:40]}")
        log = self.log()
        await log.open()
        rows = len(AuditReader(self.audit).tail(100)) - before
        if rows not in (told.count(b"r"), told.count(b"r") + 2):
            found.append(f"{rows} rows, and {told.count(b'r')} were told")
        receipts = sum(log.find(self._name(before, number)) is not None for number in range(len(DOCUMENTS)))
        if receipts * 2 != rows:
            found.append(f"{receipts} receipts beside {rows} rows")
        await log.append(ENTRY)
        self.store.save("clients", DOCUMENTS[-1])
        await log.close()
        AuditReader(self.audit, self.second).verify()
        return found


def main(directory: Path) -> None:
    """Die at every write: of a daemon that begins, up to where its log makes room, and of one that goes on."""
    shim, begun = ctypes.CDLL(None), directory / "begun"
    begun.mkdir(mode=0o700)
    asyncio.run(Written(begun).act(os.open(os.devnull, os.O_WRONLY)))
    count, faults = 0, list[str]()
    for before in (None, begun):
        kinds, _, _ = _one_life(shim, directory / "state", CALLS_MAX, before)
        for number in _deaths(kinds):
            count += 1
            _, ended, told = _one_life(shim, directory / "state", number, before)
            try:
                found = asyncio.run(Written(directory / "state").faults(told, 0 if before is None else ROWS))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
                found = [repr(error)]
            if ended != -signal.SIGKILL:
                found.append(f"not killed, but {ended}")
            faults += [f"death at {number} of {len(kinds)}: {fault}" for fault in found]
    print(json.dumps([count, faults]))


def _deaths(kinds: str) -> list[int]:
    """Return the first and the last of each kind of calls that follow each other, before the log makes room."""
    runs = [[at for at, _ in run] for _, run in groupby(enumerate(kinds, 1), lambda numbered: numbered[1])]
    few = takewhile(lambda run: len(run) < MANY, runs)
    return sorted({at for run in few for at in (run[0], run[-1])})


def _one_life(shim: ctypes.CDLL, state: Path, dies_at: int, before: Path | None) -> tuple[str, int, bytes]:
    """Return which calls were made, as letters, where it lived; how it ended; and what it told."""
    shutil.rmtree(state, ignore_errors=True)
    if before:
        shutil.copytree(before, state)
    else:
        state.mkdir(mode=0o700)
    heard, telling = os.pipe()
    process = os.fork()
    if process == 0:
        below = ctypes.c_char_p.in_dll(shim, "below")  # which keeps the text alive
        below.value = str(state).encode()
        counted = ctypes.c_int.in_dll(shim, "dies_at")
        counted.value = dies_at if before is None else 0

        def opened() -> None:
            counted.value = dies_at

        asyncio.run(Written(state).act(telling, opened))
        kinds = (ctypes.c_char * CALLS_MAX).in_dll(shim, "kinds").value
        os.write(telling, b"|" + kinds)
        os._exit(0)
    os.close(telling)
    with os.fdopen(heard, "rb") as pipe:
        told, _, kinds = pipe.read().partition(b"|")
    return kinds.decode(), os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), told


if __name__ == "__main__":
    main(Path(sys.argv[1]))
