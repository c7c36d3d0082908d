"""A program that signs over HTTP, by TCP or by the Unix socket: client.py ADDRESS PATH TOKEN COUNT.

ADDRESS is a port of the loopback, or the path of a socket. Prints a JSON list of milliseconds, one a signature; the
first ones, which warm up, are left out.
"""

from __future__ import annotations

import json
import sys
from itertools import islice
from time import perf_counter

from tests.bench.wire import Wire, digests
from tests.rig.lps import Json

WARM = 5


def main() -> None:
    """Time COUNT signatures."""
    address, path, token, count = sys.argv[1:5]
    wire = Wire(int(address) if address.isdigit() else address, path, token)
    times = []
    for digest in islice(digests(), WARM + int(count)):
        body: Json = {"document_name": "bench", "digest": digest, "batch": {"name": "bench", "count": 10000}}
        started = perf_counter()
        wire.post(body)
        times.append(1000 * (perf_counter() - started))
    print(json.dumps(times[WARM:]))


if __name__ == "__main__":
    main()
