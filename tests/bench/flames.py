"""Flame graphs of a signature and of the start (`make flames`), as small SVG files into the folder that is named.

py-spy looks at the daemon's stacks a thousand times a second; a thread that waits is left out. The width of a frame is
its share of the time; one that is narrower than ``NARROW`` is left out too. Each frame says its name and share when it
is pointed at.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from tests.bench.station import Station
from tests.bench.wire import digests
from tests.rig.daemon import AS_INSTALLED, DaemonProcess

SPY = [str(Path(sys.executable).with_name("py-spy")), "record", "--rate", "1000", "--format", "raw", "--threads"]
SECONDS = 12  # of signatures
STARTS, READY = 8, 4  # starts, and seconds of each: it is ready long before
WAITS = ("select (selectors", "_work (cardd/worker", "_worker (concurrent", "wait (threading")
THREADS = {"MainThread": "event loop", "reader ": "the reader's thread"}
WIDTH, HEIGHT, LETTER = 1200, 16, 6.2  # pixels
NARROW = 0.004
COLOURS = {"cardd": "#f4a259", "card": "#f4d35e", "aiohttp": "#8cb4d9", "asyncio": "#b7d3b0"}
OTHER = "#d9d9d9"
HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">'
    '<rect width="100%" height="100%" fill="white"/><text x="4" y="14">{title}</text>'
)


@dataclass
class Frame:
    """A function, how often it was seen, and what it called."""

    count: int = 0
    calls: dict[str, Frame] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        """How many frames stand above each other, this one included."""
        return 1 + max((called.depth for called in self.calls.values()), default=0)


def main(folder: Path) -> None:
    """Write both."""
    with tempfile.TemporaryDirectory(prefix="cardd-flames-") as directory:
        here = Path(directory)
        signature, start = _of_signatures(here), _of_starts(here)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "flame-signature.svg").write_text(drawn(signature, "A signature over HTTP, its PIN held"))
    (folder / "flame-start.svg").write_text(drawn(start, "The start, until it is ready"))


def _of_signatures(directory: Path) -> Frame:
    place, seen = directory / "signatures", directory / "signatures.txt"
    place.mkdir()
    station = Station(place)
    with station.running(), station.card():
        session, source = station.log_in(), digests()
        for _ in range(100):
            session.sign(next(source))
        command = [*SPY, "--duration", str(SECONDS), "--output", str(seen), "--pid", str(station.daemon.pid)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as spy:
            while spy.poll() is None:
                session.sign(next(source))
    return grown(seen.read_text())


def _of_starts(directory: Path) -> Frame:
    whole = ""
    for number in range(STARTS):
        place, seen = directory / f"start{number}", directory / f"start{number}.txt"
        place.mkdir()
        daemon = DaemonProcess(place)
        program = [sys.executable, *AS_INSTALLED, "run", "--config", str(daemon.configuration)]
        command = [*SPY, "--duration", str(READY), "--output", str(seen), "--", *program]
        subprocess.run(command, env=daemon.environment, check=True, capture_output=True)
        whole += seen.read_text()
        time.sleep(0.2)
    return grown(whole, threads=False)


def grown(raw: str, *, threads: bool = True) -> Frame:
    """Return the frames of what py-spy saw, the waiting left out; below each thread where it is named."""
    root = Frame()
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        thread, *frames = stack.split(";")
        name = next((told for known, told in THREADS.items() if known in thread), None)
        if name is None or not frames or any(wait in frames[-1] for wait in WAITS):
            continue
        seen = root
        seen.count += int(count)
        for frame in [*([name] if threads else []), *_shortened(frames)]:
            seen = seen.calls.setdefault(frame, Frame())
            seen.count += int(count)
    return root


def _shortened(frames: list[str]) -> list[str]:
    """Leave out the lines' numbers, and what every stack has below the loop or the thread's first function."""
    names = [f"{frame.rpartition(':')[0]})" for frame in frames if "(<frozen" not in frame]
    below = [place for place, name in enumerate(names) if name.startswith(("Handle._run", "Worker._work"))]
    return names[below[0] + 1 :] if below and below[0] + 1 < len(names) else names


def drawn(root: Frame, title: str) -> str:
    """Return the picture: callers below, what they call above them."""
    levels = root.depth
    height = (levels + 1) * (HEIGHT + 1) + 8
    head = HEAD.format(width=WIDTH, height=height, title=f"{escape(title)}: {root.count} samples")
    return "\n".join([head, *_boxes(root, root.count, 0.0, height - HEIGHT - 5), "</svg>\n"])


def _boxes(frame: Frame, whole: int, left: float, top: int) -> Iterator[str]:
    """Give the boxes of what the frame called, and above each of them those of what that called."""
    for name, called in sorted(frame.calls.items()):
        share = called.count / whole
        width = share * WIDTH
        if share >= NARROW:
            text = escape(name[: max(0, int(width / LETTER) - 1)]) if width > 4 * LETTER else ""
            yield (
                f'<g><title>{escape(name)}, {100 * share:.1f} %</title><rect x="{left:.1f}" y="{top}" '
                f'width="{width:.1f}" height="{HEIGHT}" fill="{_colour(name)}" stroke="white" stroke-width="0.5"/>'
                f'<text x="{left + 2:.1f}" y="{top + 12}">{text}</text></g>'
            )
            yield from _boxes(called, whole, left, top - HEIGHT - 1)
        left += width


def _colour(name: str) -> str:
    if "SCard" in name or "smartcard" in name:
        return COLOURS["card"]
    return next((colour for part, colour in COLOURS.items() if f"({part}" in name or f"{part}/" in name), OTHER)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
