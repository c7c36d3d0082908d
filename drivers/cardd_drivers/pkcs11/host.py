"""A module's process: ``python -m cardd_drivers.pkcs11.host LINK EVENTS MODULE``, started by the daemon.

LINK and EVENTS are inherited sockets. Requests are answered one after the other on LINK; a byte on EVENTS tells that a
token came or went, from modules that tell it themselves. The process ends when the daemon does.
"""

from __future__ import annotations

import contextlib
import ctypes
import resource
import signal
import socket
import sys
import threading
from typing import cast

from pkcs11 import lib
from pkcs11.exceptions import PKCS11Error

from cardd.secret import Secret
from cardd_drivers.pkcs11.cryptoki import Cryptoki, Refused
from cardd_drivers.pkcs11.tokens import Module, Tokens, code_of
from cardd_drivers.pkcs11.wire import (
    Broken,
    ChangePin,
    Describe,
    ListTokens,
    Login,
    Logout,
    Reply,
    Requests,
    Sign,
    UnblockPin,
    receive_request,
    send_reply,
)

SET_DEATH_SIGNAL, SET_DUMPABLE = 1, 4  # prctl(2)
MEMORY_MAX = 512 * 1024  # KiB resident: a module that leaks is ended after the logout, and started anew when needed
EVENT = b"!"


def main(link: int, events: int, path: str) -> None:
    """Serve until the daemon leaves."""
    _harden()
    module = cast(Module, lib(path))
    tokens = Tokens(module, path)
    threading.Thread(target=_watch, args=(tokens.pins, socket.socket(fileno=events)), daemon=True).start()
    with socket.socket(fileno=link) as daemon, contextlib.suppress(Broken, ConnectionError):
        while True:
            request, secrets = receive_request(daemon)
            try:
                reply = _answered(tokens, request, secrets)
            finally:
                for secret in secrets:
                    secret.wipe()
            send_reply(daemon, reply)
            if isinstance(request, Logout) and resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > MEMORY_MAX:
                return


def _answered(tokens: Tokens, request: Requests, secrets: list[Secret]) -> Reply:
    try:
        return _done(tokens, request, secrets)
    except Refused as refusal:
        return Reply(refusal.code, flags=tokens.flags(request))
    except PKCS11Error as error:
        return Reply(code_of(error), type(error).__name__)
    except Exception as error:  # noqa: BLE001 - a module's oddity must not end its process
        return Reply(-1, f"{type(error).__name__}: {error}"[:200])


def _done(tokens: Tokens, request: Requests, secrets: list[Secret]) -> Reply:
    match request:
        case ListTokens():
            return Reply(0, tokens=tokens.present())
        case Describe(slot=slot):
            return Reply(0, description=tokens.describe(slot))
        case Sign(slot=slot, key=key, algorithm=algorithm, digest=digest):
            return Reply(0, signature=tokens.sign(slot, key, algorithm, digest))
        case Login(slot=slot):
            tokens.login(slot, secrets[0] if secrets else None)
        case Logout(slot=slot):
            tokens.logout(slot)
        case ChangePin(slot=slot):
            tokens.pins.change_pin(slot, *(secrets or (None, None)))
        case UnblockPin(slot=slot):
            tokens.unblock(slot, *secrets)
    return Reply(0)


def _watch(module: Cryptoki, events: socket.socket) -> None:
    """Tell of tokens that come and go, where the module can wait for that."""
    with contextlib.suppress(Refused, OSError):
        while True:
            module.wait()
            events.sendall(EVENT)


def _harden() -> None:
    """No core dump, no debugger, no life after the daemon's; a terminal's Ctrl-C is the daemon's business."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    libc.prctl(SET_DUMPABLE, 0, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
