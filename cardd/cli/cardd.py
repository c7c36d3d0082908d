"""``cardd run``: the daemon, in the foreground."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from importlib.metadata import entry_points
from pathlib import Path

from cardd.config import Config, explain, load
from cardd.errors import CarddError, ConfigInvalid, InvalidRequest
from cardd.ports import ReaderSource

SIMULATORS = "cardd.simulators"


def main(arguments: list[str] | None = None) -> int:
    """The command's entry point; gives the exit status."""
    asked = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        config = load(asked.config)
        sources = [_simulated(asked.simulate)] if asked.simulate else None
        asyncio.run(_serve(config, sources))
    except ConfigInvalid as error:
        print(explain(error, "en"), file=sys.stderr)
        return 1
    except CarddError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cardd")
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="run the daemon in the foreground")
    run.add_argument("--config", type=Path, help="one configuration file, in place of those in /etc/cardd")
    run.add_argument("--simulate", metavar="CARD[:PROFILE]", help="a simulated card in process, in place of PC/SC")
    return parser


async def _serve(config: Config, sources: list[ReaderSource] | None) -> None:
    from cardd.daemon import run  # noqa: PLC0415 - a configuration error is told before all is loaded

    await run(config, sources)


def _simulated(wanted: str) -> ReaderSource:
    from cardd.simulator import Simulator, SimulatorOptions  # noqa: PLC0415 - only where it is asked for

    name, _, profile = wanted.partition(":")
    found = next(iter(entry_points(group=SIMULATORS, name=name)), None)
    if found is None:
        raise InvalidRequest(where="--simulate", why=name)
    simulator: Simulator = found.load()()
    return simulator.in_process(SimulatorOptions(profile=profile or None))


if __name__ == "__main__":
    sys.exit(main())
