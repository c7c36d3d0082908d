"""What the tests expect: every text and name that stands in them where something is looked at, and not only made."""

from __future__ import annotations

import ast
import re
from functools import cache

from tests.repository.rules import ROOT

CODE = re.compile(r"\w+(?:\.\w+)+")
SELF = ("test_errors.py", "test_codes.py")  # they name every code or class by itself


class _Expected(ast.NodeVisitor):
    """Left out is what looks at nothing: docstrings, imports, types, what is raised or passed over."""

    def __init__(self) -> None:
        self.found: set[str] = set()

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def visit_Import(self, _: ast.Import) -> None:
        pass

    def visit_ImportFrom(self, _: ast.ImportFrom) -> None:
        pass

    def visit_Raise(self, _: ast.Raise) -> None:
        pass

    def visit_arg(self, _: ast.arg) -> None:
        pass

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value:
            self.visit(node.value)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        for each in node.body:
            self.visit(each)

    def visit_Name(self, node: ast.Name) -> None:
        self.found.add(node.id)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.found.add(node.attr)
        self.visit(node.value)

    def visit_Constant(self, node: ast.Constant) -> None:
        text = node.value.decode(errors="replace") if isinstance(node.value, bytes) else node.value
        if isinstance(text, str):
            self.found.update(CODE.findall(text))


@cache
def expected() -> frozenset[str]:
    """Return the names and the dotted texts that tests look at."""
    visitor = _Expected()
    for file in (ROOT / "tests").rglob("*.py"):
        if file.name not in SELF:
            visitor.visit(ast.parse(file.read_bytes()))
    return frozenset(visitor.found)
