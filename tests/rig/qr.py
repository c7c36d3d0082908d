"""What somebody's phone sees on a terminal: the picture of the QR code, read by a program that we did not write."""

from __future__ import annotations

import re
import shutil
import subprocess

SCALE = 6
# upper and lower half of each character that a QR code is drawn with, light or not
HALVES = {"█": (1, 1), "▀": (1, 0), "▄": (0, 1), " ": (0, 0)}
LINE = re.compile(r"\x1b\[38;5;231;48;5;16m([█▀▄ ]+)\x1b\[0m")


def is_installed() -> bool:
    """Whether zbar's reader is here."""
    return shutil.which("zbarimg") is not None


def read(screen: str) -> str:
    """What the one QR code on the screen says."""
    rows = [[HALVES[character][half] for character in line] for line in LINE.findall(screen) for half in (0, 1)]
    assert rows
    assert len({len(row) for row in rows}) == 1
    width, height = len(rows[0]) * SCALE, len(rows) * SCALE
    pixels = b"".join(bytes(255 * dot for dot in row for _ in range(SCALE)) * SCALE for row in rows)
    picture = b"P5 %d %d 255\n" % (width, height) + pixels
    done = subprocess.run(
        ["zbarimg", "--quiet", "--raw", "--nodbus", "PGM:-"], input=picture, capture_output=True, timeout=30, check=True
    )
    [content] = done.stdout.decode().splitlines()
    return content
