"""A simulated card as a program of its own: card.py PORT DELAY_MS STATE. Leaves the reader when it is ended."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from pathlib import Path

from cardd.simulator import CardOptions
from cardd_simulators.cards.simulators import Cps3Simulator


async def _run(port: int, delay_ms: int, state: Path) -> None:
    options = CardOptions(delay_ms=delay_ms, reader=("127.0.0.1", port), state=state)
    serving = asyncio.ensure_future(Cps3Simulator().run(options, lambda _: None))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving


if __name__ == "__main__":
    asyncio.run(_run(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
