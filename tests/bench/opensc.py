"""A PKCS#11 module in process: opensc.py COUNT PIN [MODULE]. Prints a JSON list of milliseconds, one a signature.

The module is OpenSC's where none is named. One that asks for the PIN by itself is given an empty one.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from time import perf_counter

import pkcs11

MODULE = next(Path("/usr/lib").glob("*-linux-gnu/opensc-pkcs11.so"))
DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


def main() -> None:
    """Time COUNT signatures, after two that warm up."""
    count, pin = int(sys.argv[1]), sys.argv[2] or pkcs11.PROTECTED_AUTH
    module = sys.argv[3] if len(sys.argv) > 3 else str(MODULE)
    token = next(iter(pkcs11.lib(module).get_tokens()))
    times = []
    with token.open(user_pin=pin) as session:
        [key] = session.get_objects(
            {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY, pkcs11.Attribute.LABEL: "CPS_PRIV_AUT"}
        )
        assert isinstance(key, pkcs11.SignMixin)
        for number in range(count + 2):
            message = DIGEST_INFO + hashlib.sha256(str(number).encode()).digest()
            started = perf_counter()
            key.sign(message, mechanism=pkcs11.Mechanism.RSA_PKCS)
            times.append(1000 * (perf_counter() - started))
    print(json.dumps(times[2:]))


if __name__ == "__main__":
    main()
