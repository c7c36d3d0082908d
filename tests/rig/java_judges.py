"""Apache Santuario and Bouncy Castle as judges, from Debian's packages, where there is a Java to run them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).parent / "java" / "Judge.java"
SHARED = Path("/usr/share/java")
NEEDED = [SHARED / f"{name}.jar" for name in ("xmlsec", "bcprov", "bcpkix", "bcutil", "slf4j-api", "commons-codec")]


def is_there() -> bool:
    """Whether Java and both libraries are installed."""
    return shutil.which("java") is not None and all(jar.exists() for jar in NEEDED)


@dataclass(frozen=True)
class JavaJudges:
    """One Java process for many documents."""

    process: subprocess.Popen[str]
    directory: Path

    def accept(self, kind: str, document: bytes) -> bool:
        """Whether the judge for this kind (``xml``, ``cms``) accepts every signature of the document."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        (self.directory / "judged").write_bytes(document)
        self.process.stdin.write(f"{kind} {self.directory / 'judged'}\n")
        self.process.stdin.flush()
        told = self.process.stdout.readline()
        assert told.startswith(("accepted", "refused")), told
        return told.startswith("accepted")


@contextmanager
def judging(directory: Path) -> Iterator[JavaJudges]:
    """The judges, until the end of the block."""
    path = ":".join(str(jar) for jar in NEEDED)
    command = ["java", "-XX:TieredStopAtLevel=1", "-cp", path, str(SOURCE)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        yield JavaJudges(process, directory)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)
