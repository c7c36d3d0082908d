"""A module's process, started by the daemon.

``python -P -m cardd_drivers.pkcs11.host LINK EVENTS MODULE CONFINEMENT FILE…``: LINK and EVENTS are inherited sockets.
CONFINEMENT says whether it must have its sandbox, in which the module has the system's programs and settings to read,
each FILE to read and write, and the way to pcscd (``cardd.sandbox``). Requests are answered one after the other on
LINK; a byte on EVENTS tells that a token came or went, from modules that tell it themselves. Those that look into PC/SC
readers are not asked to: the daemon knows of the cards, and which of them are the module's. The process ends when the
daemon does.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from msgspec.structs import replace
from pkcs11 import lib
from pkcs11.exceptions import PKCS11Error

from cardd.frames import Broken
from cardd.model import Confinement
from cardd.sandbox import Sandbox, enter, own_address, python_files
from cardd.secret import Secret
from cardd_drivers.pkcs11.cryptoki import Cryptoki, Refused
from cardd_drivers.pkcs11.tokens import Module, Tokens, code_of
from cardd_drivers.pkcs11.wire import (
    EVENT,
    ChangePin,
    Describe,
    ListTokens,
    Login,
    Logout,
    PinRequest,
    Reply,
    Requests,
    Sign,
    UnblockPin,
    receive_request,
    send_reply,
)

SET_DEATH_SIGNAL, SET_DUMPABLE = 1, 4  # prctl(2)
# bytes: a module that grows past the first is ended at the next logout and started anew; past the second the system
# gives it no more, so that it fails before the workstation does
MEMORY_MAX, MEMORY_END = 256 * 1024 * 1024, 2 * 1024 * 1024 * 1024
FILES_MAX = 256
SOCKET_NAME = "PCSCLITE_CSOCK_NAME"  # where libpcsclite finds the daemon's gate, an inherited descriptor
SYSTEM = ("/usr", "/etc", "/opt", "/sys/devices/system", "/sys/bus/usb", "/sys/class")
UNSUPPORTED = 0x54  # CKR_FUNCTION_NOT_SUPPORTED
AT_ONCE = 1.0  # seconds
DEAF = 4  # exit status


def main(link: int, events: int, path: str, confinement: Confinement, files: Sequence[str]) -> None:
    """Serve until the daemon leaves."""
    _harden()
    if inherited := os.environ.get(SOCKET_NAME, ""):
        os.environ[SOCKET_NAME] = own_address(int(inherited.rpartition("/")[2]), confinement)
    enter(sandbox_of(path, files), confinement)
    tokens = _loaded(path)
    telling = socket.socket(fileno=events)
    with socket.socket(fileno=link) as daemon, contextlib.suppress(Broken, ConnectionError):
        leaving = _serve(tokens, daemon)
        if tokens.pins.serves_threads and not tokens.uses_pcsc:
            threading.Thread(target=_watch, args=(tokens.pins, telling), daemon=True).start()
        while not leaving:
            leaving = _serve(tokens, daemon)


def sandbox_of(path: str, files: Sequence[str]) -> Sandbox:
    """Return what a module needs that speaks to pcscd and has its files where packages and installers put them."""
    reads: Sequence[str | Path] = (*python_files(), *SYSTEM, Path(path).resolve().parent)
    return Sandbox(reads, files, files_max=FILES_MAX, address=os.environ.get(SOCKET_NAME, ""))


def _loaded(path: str) -> Tokens:
    try:
        return Tokens(cast(Module, lib(path)), path)
    except (PKCS11Error, Refused, OSError, AttributeError) as error:  # no library, or none of this kind
        sys.exit(f"{path}: {type(error).__name__} {error}")


def _serve(tokens: Tokens, daemon: socket.socket) -> bool:
    """Answer one request; true when it was the last."""
    request, secrets = receive_request(daemon)
    try:
        reply = _answered(tokens, request, secrets)
    finally:
        for secret in secrets:
            secret.wipe()
    leaving = isinstance(request, Logout) and _memory() > MEMORY_MAX
    send_reply(daemon, replace(reply, leaving=leaving))
    return leaving


def _memory() -> int:
    resident = Path("/proc/self/statm").read_text().split()[1]
    return int(resident) * resource.getpagesize()


def _answered(tokens: Tokens, request: Requests, secrets: list[Secret]) -> Reply:
    try:
        return _done(tokens, request, secrets)
    except Refused as refusal:
        return Reply(refusal.code, flags=tokens.flags(request), of_new=refusal.of_new)
    except PKCS11Error as error:
        return Reply(code_of(error), type(error).__name__)
    except Exception as error:  # noqa: BLE001 - a module's oddity must not end its process
        return Reply(-1, f"{type(error).__name__}: {error}"[:200])


def _done(tokens: Tokens, request: Requests, secrets: list[Secret]) -> Reply:
    if isinstance(request, PinRequest):
        tokens.expect(request)
    match request:
        case ListTokens():
            present, mute = tokens.present()
            return Reply(0, tokens=present, mute=mute)
        case Describe(slot=slot):
            return Reply(0, description=tokens.describe(slot))
        case Sign(slot=slot, key=key, algorithm=algorithm, digest=digest, kind=kind):
            return Reply(0, signature=tokens.sign(slot, key, algorithm, digest, kind))
        case Login(slot=slot):
            tokens.login(slot, secrets[0] if secrets else None)
        case Logout(slot=slot, reset=reset):
            tokens.logout(slot, reset=reset)
        case ChangePin(slot=slot):
            tokens.pins.change_pin(slot, *(secrets or (None, None)))
        case UnblockPin(slot=slot):
            tokens.unblock(slot, *secrets)
    return Reply(0)


def _watch(module: Cryptoki, events: socket.socket) -> None:
    """Tell of tokens that come and go, where the module can wait for that.

    A module that could and cannot any more (what it asks was started anew) is ended: the daemon starts another.
    """
    begun = time.monotonic()
    try:
        while True:
            begun = time.monotonic()
            module.wait()
            events.sendall(EVENT)
    except OSError:
        return
    except Refused as refusal:
        if refusal.code != UNSUPPORTED and time.monotonic() - begun > AT_ONCE:
            os._exit(DEAF)


def _harden() -> None:
    """No core dump, no debugger, no life after the daemon's; a terminal's Ctrl-C is the daemon's business."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    libc.prctl(SET_DUMPABLE, 0, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_END, MEMORY_END))
    signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Confinement(sys.argv[4]), sys.argv[5:])
    os._exit(0)  # a thread may still be inside the module, whose own end that could upset
