"""The values that every layer speaks of: cards and whom they stand for, callers, questions, events and audit rows.

Plain immutable values, without I/O. Times are aware UTC datetimes; digests, certificates and signatures are bytes.
"""

from __future__ import annotations

from cardd.model.callers import *
from cardd.model.cards import *
