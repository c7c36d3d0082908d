"""The tokens of the configured modules, as readers with a token in each, kept up to date without polling.

A module is configured by an absolute path, a name registered with p11-kit, or ``cps``, the official middleware. Source:
p11-kit's pkcs11.conf(5) for the files; the card facts for the middleware's paths.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Coroutine, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

from cardd.backoff import doubled
from cardd.errors import CarddError, CardTimeout, ReaderBusy
from cardd.model import CardKind, Confinement
from cardd.ports import ReaderListener, SourceSettings, Token
from cardd.worker import Background, Worker, post
from cardd_drivers.pkcs11.module import Module, ModuleSandbox, Patience
from cardd_drivers.pkcs11.reader import TokenReader
from cardd_drivers.pkcs11.wire import ListTokens, Reply, TokenState

CONFIGURATIONS = (Path("/etc/pkcs11/modules"), Path("/usr/share/p11-kit/modules"))
LIBRARIES = (Path("/usr/lib"), Path("/usr/lib64"))
MIDDLEWARE = "cps"
MIDDLEWARE_PATHS = (
    Path("/opt/santesocial/CPS/lib/libcps3_pkcs11_lux.so"),
    Path("/usr/lib64/libcps3_pkcs11_lux.so"),
)
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}")
_MODULE = re.compile(r"^\s*module\s*:\s*(\S+)\s*$", re.MULTILINE)

LIST_LIMIT = 30.0
TOKENS_MAX = 128  # of one module
EVENTS_MAX = 65536
EVENT_PAUSE = 0.1  # seconds for which nothing more is heard of a module that told a change

log = logging.getLogger(__name__)


def resolve(module: str) -> str | None:
    """Return where a module is, None when nothing is there.

    A path stands for itself, ``cps`` for the official middleware, another name for the p11-kit module of this name.
    """
    if module.startswith("/"):
        return module if Path(module).is_file() else None
    if module == MIDDLEWARE:
        return next((str(path) for path in MIDDLEWARE_PATHS if path.is_file()), None)
    return next((path for path in _registered(module) if Path(path).is_file()), None)


def _registered(name: str) -> Iterator[str]:
    if not _NAME.fullmatch(name):
        return
    for directory in CONFIGURATIONS:
        for file in (directory / f"{name}.module", directory / name):
            if file.is_file() and (found := _MODULE.search(file.read_text(errors="replace"))):
                yield from _places(found[1])


def _places(path: str) -> Iterator[str]:
    """Yield where a path may lead.

    A relative one stands below p11-kit's module directory, which Debian has under the multiarch directory.
    """
    if path.startswith("/"):
        yield path
        return
    for library in LIBRARIES:
        for directory in ("pkcs11", "*/pkcs11"):
            yield from (str(found) for found in library.glob(f"{directory}/{path}"))


class ModuleTokens:
    """One module's tokens, read at the start, when the module tells a change, and when a token is missed at use.

    A module whose process ended is started anew, each time later, until it has failed too often.
    """

    def __init__(self, path: str, listener: ReaderListener, patience: Patience, sandbox: ModuleSandbox) -> None:
        self._loop = asyncio.get_running_loop()
        self.module = Module(path, lambda why: post(self._loop, partial(self._failed, why)), patience, sandbox)
        self._listener: ReaderListener | None = listener
        self._readers: dict[tuple[int, str], TokenReader] = {}
        self._worker = Worker(self.module.name, lambda timeout: CardTimeout(seconds=round(timeout)))
        self._background = Background()
        self._lock = asyncio.Lock()
        self._again: asyncio.TimerHandle | None = None
        self._looks = self._busy_looks = 0

    def start(self) -> None:
        """Begin to watch; the first list comes by itself."""
        self._listen()
        self._spawn()

    async def stop(self) -> None:
        """Log out everywhere and end the module's process, in a few seconds, whatever it does."""
        self._listener = None
        self._loop.remove_reader(self.module.events)
        if self._again:
            self._again.cancel()
        await self._background.cancel()
        await asyncio.gather(*(reader.close() for reader in self._readers.values()))
        await asyncio.to_thread(self.module.close)
        await self._worker.close(lambda: None, timeout=1.0)

    async def refresh(self) -> None:
        """Read the list again: a module that tells no changes has no other way to show a new token."""
        async with self._lock:
            try:
                reply, busy = await self._worker.run(self._list, timeout=LIST_LIMIT)
            except ReaderBusy:
                self._look_when_free()
                return
            except CarddError:
                self._try_again()  # _failed has told why
                return
            if reply.code:
                log.warning("PKCS#11 module %s lists no tokens: %#x %s", self.module.path, reply.code, reply.why)
                return
            present = self._present(reply.tokens)
            for gone in [key for key, reader in self._readers.items() if key not in present and not reader.is_in(busy)]:
                await self._remove(self._readers.pop(gone))
            for key, token in present.items():
                if key not in self._readers and self._listener:
                    self._add(self._listener, key, token)
            self._look_again(reply.mute)
            if busy:
                self._look_when_free()
            else:
                self._busy_looks = 0

    def _present(self, tokens: Sequence[TokenState]) -> dict[tuple[int, str], TokenState]:
        """Return the tokens that become readers, by slot and serial number: each costs the daemon a thread."""
        hides = self.module.gate.hides  # another card has come into the reader meanwhile
        left = {(token.slot, token.serial): token for token in tokens if not hides(token.slot_name)}
        if len(tokens) > TOKENS_MAX:
            log.warning("PKCS#11 module %s shows %d tokens; %d are used", self.module.path, len(tokens), TOKENS_MAX)
        return dict(islice(left.items(), TOKENS_MAX))

    def readers_left(self, readers: frozenset[str]) -> None:
        """Have the module look into these PC/SC readers and no others; what was in another one has gone."""
        gate = self.module.gate
        if readers == gate.shown:
            return
        gate.show(readers)
        for key in [key for key, reader in self._readers.items() if gate.hides(reader.token.slot_name)]:
            self._background.start(self._remove(self._readers.pop(key)))
        self._looks = 0
        self._spawn()

    def _listen(self) -> None:
        if self._listener:
            self._loop.add_reader(self.module.events, self._changed)

    def _changed(self) -> None:
        """Look at the tokens anew, and hear of no other change before: some modules tell of one without end."""
        self._looks = 0
        self._loop.remove_reader(self.module.events)
        with contextlib.suppress(BlockingIOError):
            self.module.events.recv(EVENTS_MAX)
        self._background.start(self._refresh_and_listen())

    async def _refresh_and_listen(self) -> None:
        try:
            if self.module.failures <= self.module.patience.failures_max:  # else it is left alone
                await self.refresh()
        finally:
            self._loop.call_later(EVENT_PAUSE, self._listen)

    def _look_again(self, mute: int) -> None:
        """A card that was just put in may not answer yet, and no event tells when it does."""
        patience = self.module.patience
        if mute and self._looks < patience.looks:
            self._later(doubled(self._looks, patience.look_pause, patience.pause_max))
            self._looks += 1

    def _list(self) -> tuple[Reply, frozenset[str]]:
        """Return the tokens, and the readers that other programs did not let the module look into."""
        reply = self.module.call(ListTokens())
        return reply, frozenset(self.module.gate.busy)

    def _look_when_free(self) -> None:
        """No event tells when another program gives a reader back: look again, later and later."""
        patience = self.module.patience
        self._later(doubled(self._busy_looks, patience.look_pause, patience.pause_max))
        self._busy_looks += 1

    def _failed(self, why: str) -> None:
        if self._listener:
            log.warning("PKCS#11 module %s: %s", self.module.path, why)
            self._listener.source_failed(self.module.name, why)

    def _spawn(self) -> None:
        self._background.start(self.refresh())

    def _try_again(self) -> None:
        if self.module.failures <= self.module.patience.failures_max:
            self._later(self.module.pause)
        elif self._listener:
            log.error("PKCS#11 module %s failed too often and is left alone until it is needed", self.module.path)

    def _later(self, pause: float) -> None:
        if self._again:
            self._again.cancel()
        if self._listener:
            self._again = self._loop.call_later(pause, self._spawn)

    def _add(self, listener: ReaderListener, key: tuple[int, str], token: TokenState) -> None:
        reader = TokenReader(self.module, token, self._spawn)
        if reader.name in {other.name for other in self._readers.values()}:
            reader.name += f" #{token.slot}"
        self._readers[key] = reader
        listener.reader_added(reader)
        listener.token_inserted(reader.name, Token(CardKind.PKCS11, token.slot_name))

    def _remove(self, reader: TokenReader) -> Coroutine[None, None, None]:
        """Tell that the token is gone, and return what is left to do."""
        if self._listener:
            self._listener.reader_removed(reader.name)
        return reader.close()


class Pkcs11Source:
    """``cardd.ports.ReaderSource`` over PKCS#11 modules; ``tokens`` has each one's."""

    def __init__(self, settings: SourceSettings, patience: Patience | None = None) -> None:
        self._settings = settings
        self._patience = patience or Patience()
        self.tokens: list[ModuleTokens] = []

    async def start(self, listener: ReaderListener) -> None:
        """Start every module; one that fails is told in the journal and does not keep the others back."""
        paths = {name: resolve(name) for name in self._settings.modules}
        for name in [name for name, path in paths.items() if path is None]:
            log.warning("no PKCS#11 module %s is there", name)
        unconfined = {resolve(name) for name in self._settings.unconfined}
        for path in dict.fromkeys(path for path in paths.values() if path):
            try:
                tokens = ModuleTokens(path, listener, self._patience, self._sandbox(path in unconfined))
            except OSError as error:  # no room for its way to pcscd
                log.warning("PKCS#11 module %s is not loaded: %s", path, error)
                listener.source_failed(Path(path).name, error.strerror or "")
                continue
            self.tokens.append(tokens)
            tokens.start()

    def _sandbox(self, is_unconfined: bool) -> ModuleSandbox:
        if is_unconfined:
            return ModuleSandbox(Confinement.OFF)
        return ModuleSandbox(self._settings.sandbox, tuple(map(str, self._settings.files)))

    async def refresh(self) -> None:
        """Read every module's list of tokens again."""
        await asyncio.gather(*(tokens.refresh() for tokens in self.tokens))

    def readers_left(self, readers: frozenset[str]) -> None:
        """Have the modules look into these readers and no others, as ``cardd.ports.LeftReaders`` says."""
        for tokens in self.tokens:
            tokens.readers_left(readers)

    async def stop(self) -> None:
        """End the modules' processes."""
        await asyncio.gather(*(tokens.stop() for tokens in self.tokens))


def pkcs11_source(settings: SourceSettings) -> Pkcs11Source | None:
    """Return the source of the configured modules, None where there are none: the entry point."""
    return Pkcs11Source(settings) if settings.modules else None
