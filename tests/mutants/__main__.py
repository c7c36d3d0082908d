"""``make mutants``: modules changed in one place after the other, and how many of these changes the tests notice.

Words on the command line choose the modules of the table that have one of them in their name. Each change (a mutant) is
tried by the tests that run its function, in a process of its own. A mutant that no test notices has survived: its
difference is printed, to be killed by a test or argued. Exit status 0 whatever survives.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tests.mutants.table import DECIDING, MODULES
from tests.repository.rules import ROOT

BUILD = ROOT / "build" / "mutants"
WRAPPERS = {"property", "contextmanager", "asynccontextmanager"}
STATUS = {0: "survived", 1: "killed", 3: "killed", 33: "untested", 5: "untested", 34: "skipped"}
TIMEOUTS = (24, 36, -24, 152, 255)
SETTINGS = """[mutmut]
source_paths = cardd
only_mutate = {modules}
also_copy = {copied}
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = -q
    -x
    -p
    no:cacheprovider
    -p
    tests.mutants.anew
use_git_change_detection = false
timeout_multiplier = 6
timeout_constant = 4
"""


def unwrapped(source: str) -> str:
    """Have a call after the function wrap what a decorator wraps: mutmut leaves decorated functions out."""
    lines = source.splitlines()
    functions = [
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    for node in sorted(functions, key=lambda one: one.lineno, reverse=True):
        match node.decorator_list:
            case [ast.Name(id=wrapper, lineno=above)] if wrapper in WRAPPERS and node.end_lineno:
                lines.insert(node.end_lineno, f"{' ' * node.col_offset}{node.name} = {wrapper}(plain_{node.name})")
                begin = lines[node.lineno - 1]
                lines[node.lineno - 1] = begin.replace(f"def {node.name}(", f"def plain_{node.name}(", 1)
                del lines[above - 1]
    return "\n".join(lines) + "\n"


def prepare(modules: Iterable[str], tests: Iterable[str]) -> None:
    """Copy the tree into build/, for mutmut writes beside what it reads."""
    shutil.rmtree(BUILD, ignore_errors=True)
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True)
    compiled = [file.relative_to(ROOT) for part in ("cardd", "drivers") for file in (ROOT / part).rglob("*.mo")]
    for file in (*map(Path, listed.stdout.decode().splitlines()), *compiled):
        if (ROOT / file).exists():
            (BUILD / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, BUILD / file)
    for module in modules:
        file = BUILD / module
        file.write_text(unwrapped(file.read_text()))
    copied = sorted(
        entry.name for entry in BUILD.iterdir() if entry.name not in ("cardd", "tests", "pyproject.toml", ".git")
    )
    listed_in = "\n    ".join
    settings = SETTINGS.format(modules=listed_in(modules), copied=listed_in(copied), tests=listed_in(tests))
    (BUILD / "setup.cfg").write_text(settings)


def names(module: str) -> list[str]:
    """Return patterns of the mutants of a module that are tried."""
    dotted = module.removesuffix(".py").replace("/", ".")
    deciding = [
        f"{dotted}.{where}{function}__mutmut_*"
        for function in DECIDING.get(module, ())
        for where in ("x_", "*ǁ", "*ǁplain_")
    ]
    return deciding or [f"{dotted}.*"]


def outcomes(module: str) -> dict[str, str]:
    """Return how each mutant of a module that was tried ended, by its name."""
    told = json.loads((BUILD / "mutants" / f"{module}.meta").read_text())
    codes: dict[str, int | None] = told["exit_code_by_key"]
    tried = {name: code for name, code in codes.items() if code is not None}
    return {name: "timeout" if code in TIMEOUTS else STATUS.get(code, "killed") for name, code in tried.items()}


def main() -> int:
    """Try the mutants; print the survivors and the scores."""
    words = sys.argv[1:]
    modules = [module for module in MODULES if not words or any(word in module for word in words)]
    tests = sorted({test for module in modules for test in MODULES[module]})
    prepare(modules, tests)
    command = [str(Path(sys.executable).with_name("mutmut"))]
    cores = str(len(os.sched_getaffinity(0)))
    with (BUILD / "log").open("w") as log:  # a line for each turn of a wheel
        chosen = [name for module in modules for name in names(module)]
        run = [*command, "run", "--max-children", cores, *chosen]
        ended = subprocess.run(run, cwd=BUILD, stdout=log, stderr=log, check=False)
    if ended.returncode:
        print((BUILD / "log").read_text()[-4000:])
        return 1
    rows = []
    for module in modules:
        found = outcomes(module)
        for name in (name for name, outcome in found.items() if outcome in ("survived", "untested")):
            print(f"\n{found[name]}: {name}", flush=True)
            subprocess.run([*command, "show", name], cwd=BUILD, check=False)
        counts = Counter(found.values())
        noticed = counts["killed"] + counts["timeout"]
        every = noticed + counts["survived"] + counts["untested"]
        rows.append(f"{module:40} {every:5} mutants {noticed:5} noticed {100 * noticed / max(every, 1):5.1f} %")
    print("", *rows, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
