"""What a module's own process costs: a signature through it, and by the same module in process."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from cardd.model import Algorithm, KeyPurpose, Message
from cardd.secret import Secret
from cardd_drivers.pkcs11.card import TokenCard
from cardd_drivers.pkcs11.module import Module, ModuleSandbox
from cardd_drivers.pkcs11.wire import ListTokens
from tests.bench.measure import Measure, p50
from tests.rig.softhsm import PIN, SoftHsm

IN_PROCESS = Path(__file__).parent / "softhsm.py"


def own_process(directory: Path, count: int, rounds: int) -> Measure:
    """Milliseconds of a P-256 signature above the same in process, measured in turn."""
    hsm = SoftHsm(directory)
    hsm.token("bench", ec=True)
    os.environ.update(hsm.environment)
    module = Module(hsm.module, sandbox=ModuleSandbox(files=(str(directory),)))
    [token] = module.call(ListTokens()).tokens
    card = TokenCard(module, token.slot, "bench")
    with Secret.of(PIN.encode()) as pin:
        card.verify(pin)
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(rounds):
        ours += _ours(card, count)
        bare += _bare(hsm, count)
    module.close()
    return Measure(
        "P-256 signature by a PKCS#11 module's own process, above in process", p50(ours) - p50(bare), "ms", 0.5
    )


def _ours(card: TokenCard, count: int) -> list[float]:
    key = card.info.key(KeyPurpose.SIGNATURE)
    assert key
    times = []
    for number in range(count):
        message = Message(hashlib.sha256(str(number).encode()).digest())
        started = time.perf_counter()
        card.sign(key, Algorithm.ES256, message)
        times.append(1000 * (time.perf_counter() - started))
    return times


def _bare(hsm: SoftHsm, count: int) -> list[float]:
    command = [sys.executable, str(IN_PROCESS), hsm.module, str(count), PIN]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    return [float(value) for value in json.loads(done.stdout)]
