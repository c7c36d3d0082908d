"""The small rules of `make check` that no other tool knows: `python -m tests.repository.rules`.

Each rule is a function that takes the repository's files and yields what is wrong, one sentence each.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.repository.french import french_pages_have_their_spaces, pages_for_browsers_have_their_spaces
from tests.repository.porting import the_page_names_what_knows_the_system

ROOT = Path(__file__).parents[2]
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:home/(?!user\b)|Users/|root/|work/)[\w.-]+")
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")
NAMED = re.compile(r"`((?:[\w.-]+/)+(?:[\w.-]+\.py)?)`")
MADE = ("dist/",)  # by a target of make, where it was called
NO_SUBJECT = re.compile(r"(It|Its|They|Their|Those|Such|The same|As|So|Also)\b")
DECISION = re.compile(r"docs/adr/(\d{4}-.*\.md)")
FUNCTION_MAX = 50  # lines
PIN = re.compile(r"^([\w.-]+)==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE)

Files = dict[Path, str]


def no_path_of_one_machine(files: Files) -> Iterator[str]:
    """Code and pages work on every machine: no home folder, no checkout of somebody's."""
    for path, text in files.items():
        for number, line in enumerate(text.splitlines(), 1):
            if found := MACHINE_PATH.search(line):
                yield f"{path}:{number}: names a path of one machine, {found[0]}"


def links_lead_somewhere(files: Files) -> Iterator[str]:
    """A page's relative links name files of the repository."""
    for path, text in files.items():
        if path.suffix == ".md":
            for target in LINK.findall(text):
                if not (ROOT / path.parent / target).exists():
                    yield f"{path}: links to {target}, which does not exist"


def pages_name_files_that_exist(files: Files) -> Iterator[str]:
    """A module or a folder named between backticks is there, from the root or inside cardd/."""
    for path, text in files.items():
        if path.suffix == ".md":
            for named in set(NAMED.findall(text)).difference(MADE):
                if not any((root / named).exists() for root in (ROOT, ROOT / "cardd", ROOT / "drivers")):
                    yield f"{path}: names {named}, which does not exist"


def locks_are_whole(files: Files) -> Iterator[str]:
    """A lock holds pins with their hashes and nothing else, so no index and no address."""
    for path, text in files.items():
        if path.suffix == ".lock":
            rest = re.sub(r"^#.*\n|^\n", "", PIN.sub("", text), flags=re.MULTILINE)
            if rest:
                yield f"{path}: not a pin with its hashes: {rest.splitlines()[0]}"


def locks_match_the_project(files: Files) -> Iterator[str]:
    """What pyproject.toml asks for is locked, at a version that it accepts; our own packages are built here."""
    project = tomllib.loads(files[Path("pyproject.toml")])
    runtime = project["project"]["dependencies"]
    wanted = {
        "build": project["build-system"]["requires"],
        "runtime": runtime,
        "dev": runtime + project["dependency-groups"]["dev"],
        "flames": project["dependency-groups"]["flames"],
        "fuzz": project["dependency-groups"]["fuzz"],
        "mutants": project["dependency-groups"]["mutants"],
    }
    for name, requirements in wanted.items():
        lock = files.get(Path(f".make/{name}.lock"), "")
        pins = {canonicalize_name(package): version for package, version, _ in PIN.findall(lock)}
        for requirement in map(Requirement, requirements):
            if requirement.name.startswith("cardd-"):
                continue
            version = pins.get(canonicalize_name(requirement.name))
            if version is None or not requirement.specifier.contains(version):
                yield f".make/{name}.lock: {requirement} is wanted, {version} is locked; run `make lock`"


def decisions_are_listed(files: Files) -> Iterator[str]:
    """A decision has its row, with its own title, in the list of all."""
    listed = files[Path("docs/adr/README.md")]
    for path, text in files.items():
        if found := DECISION.fullmatch(path.as_posix()):
            number, title = text.splitlines()[0].removeprefix("# ").split(": ", 1)
            if f"| [{number}]({found[1]}) | {title} |" not in listed:
                yield f"{path}: no row of docs/adr/README.md has its title"


def words_stand_once_and_in_order(files: Files) -> Iterator[str]:
    """The glossary has each word once, in the order of the alphabet."""
    words = re.findall(r"^\| ([^|]+) \|", files[Path("docs/glossary.md")], re.MULTILINE)[1:]
    keys = [re.sub(r"[^a-z0-9 ]", "", word.casefold()) for word in words]
    for before, key, word in zip(keys, keys[1:], words[1:], strict=False):
        if before >= key:
            yield f"docs/glossary.md: {word} stands there twice, or in another place than the alphabet's"


def docstrings_begin_with_their_subject(files: Files) -> Iterator[str]:
    """A docstring begins with its subject, and in what is no test each paragraph of it does."""
    for path, text in files.items():
        for node in ast.walk(ast.parse(text)) if path.suffix == ".py" else ():
            if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                paragraphs = (ast.get_docstring(node) or "").split("\n\n")
                for paragraph in paragraphs[:1] if path.parts[0] == "tests" else paragraphs:
                    if NO_SUBJECT.match(paragraph):
                        yield f"{path}: begins without its subject: {paragraph.splitlines()[0]}"


def names_of_tests_have_their_subject(files: Files) -> Iterator[str]:
    """A test's name is a whole sentence, which needs no test before it."""
    for path, text in files.items():
        if path.parts[0] == "tests" and path.suffix == ".py":
            for name in re.findall(r"def (test_(?:it|its|they|their)_\w+)", text):
                yield f"{path}: {name}: a name without its subject"


def functions_fit_a_screen(files: Files) -> Iterator[str]:
    """A function that is no test's is short."""
    for path, text in files.items():
        for node in ast.walk(ast.parse(text)) if path.suffix == ".py" and path.parts[0] != "tests" else ():
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or 0) - node.lineno + 1
                if size > FUNCTION_MAX:
                    yield f"{path}:{node.lineno}: {node.name}: a function of {size} lines"


RULES: tuple[Callable[[Files], Iterator[str]], ...] = (
    no_path_of_one_machine,
    links_lead_somewhere,
    pages_name_files_that_exist,
    locks_are_whole,
    locks_match_the_project,
    decisions_are_listed,
    words_stand_once_and_in_order,
    docstrings_begin_with_their_subject,
    names_of_tests_have_their_subject,
    functions_fit_a_screen,
    the_page_names_what_knows_the_system,
    french_pages_have_their_spaces,
    pages_for_browsers_have_their_spaces,
)


def repository_files() -> Files:
    """The text files that git tracks or would track, by their path from the root."""
    # a clone may belong to another user than the one who checks it
    git = ["git", "-c", "safe.directory=*", "-C", str(ROOT)]
    listing = [*git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, check=True, capture_output=True, text=True).stdout.split("\0")
    files: Files = {}
    for path in map(Path, filter(None, names)):
        content = (ROOT / path).read_bytes() if (ROOT / path).is_file() else b"\0"
        if b"\0" not in content:
            files[path] = content.decode()
    return files


def main() -> None:
    """Check every rule; exit with what is wrong."""
    files = repository_files()
    wrong = [sentence for rule in RULES for sentence in rule(files)]
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
