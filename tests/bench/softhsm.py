"""SoftHSM2 in process: softhsm.py MODULE COUNT PIN. Prints a JSON list of milliseconds, one for each EC signature."""

from __future__ import annotations

import hashlib
import json
import sys
from time import perf_counter

import pkcs11


def main() -> None:
    """Time COUNT signatures, after two that warm up."""
    module, count, pin = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    token = next(iter(pkcs11.lib(module).get_tokens(token_flags=pkcs11.TokenFlag.TOKEN_INITIALIZED)))
    times = []
    with token.open(user_pin=pin) as session:
        key = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, id=bytes.fromhex("51"))
        assert isinstance(key, pkcs11.SignMixin)
        for number in range(count + 2):
            digest = hashlib.sha256(str(number).encode()).digest()
            started = perf_counter()
            key.sign(digest, mechanism=pkcs11.Mechanism.ECDSA)
            times.append(1000 * (perf_counter() - started))
    print(json.dumps(times[2:]))


if __name__ == "__main__":
    main()
