"""What every stored notebook must satisfy before its text can be believed.

    python tools/lint_notebooks.py chapters/*.ipynb

nbval compares a cell's outputs with the stored ones, but a cell that was never executed passes it, and
so does a cell that is exempt. This lint closes both holes.
"""

import ast
import re
import sys
from collections import Counter
from pathlib import Path

import nbformat
from nbformat import NotebookNode

LONGEST_CELL = 25
EXEMPT = {"nbval-ignore-output", "nbval-skip"}
FORBIDDEN_OUTPUT = {
    "an absolute path": re.compile(r"(?<![\w.:/<])/(?:home|root|tmp|usr|work|opt|var|Users|private)/\w"),
    "an object's address": re.compile(r"\bat 0x[0-9a-fA-F]{6,}"),
    "a warning": re.compile(r"\b\w*Warning: "),
}


def lint(notebook: NotebookNode) -> list[str]:
    """Return what is wrong, one line per finding; empty when all is well."""
    cells = notebook.cells
    findings = []
    repeated = [
        cell_id for cell_id, count in Counter(cell.get("id") for cell in cells).items() if count > 1
    ]
    findings += [f"cell id {cell_id!r} is missing or used twice" for cell_id in repeated]
    code = [cell for cell in cells if cell.cell_type == "code" and cell.source.strip()]
    counts = [cell.execution_count for cell in code]
    if counts != list(range(1, len(code) + 1)):
        findings.append(f"the cells were not executed once, top to bottom: counts {counts}")
    for position, cell in enumerate(code):
        following = code[position + 1] if position + 1 < len(code) else None
        findings += [f"cell {cell.id}: {finding}" for finding in lint_cell(cell, following)]
    return findings


def lint_cell(cell: NotebookNode, following: NotebookNode | None) -> list[str]:
    """Return what is wrong with one code cell."""
    findings = []
    tags = set(cell.metadata.get("tags", []))
    lines = len(cell.source.splitlines())
    if lines > LONGEST_CELL:
        findings.append(f"has {lines} lines; at most {LONGEST_CELL}, the rest belongs into the package")
    if re.search(r"#\s*(NBVAL_|PYTEST_VALIDATE_)", cell.source):
        findings.append("has an nbval comment, which overrides tags; use a tag")
    if tags & EXEMPT and not (following and asserts(following.source)):
        findings.append("is exempt from comparison and the next code cell asserts nothing")
    if "nbval-skip" in tags:
        findings.append("is never run by the tests")
    for output in cell.outputs:
        if output.output_type == "error" and "raises-exception" not in tags:
            findings.append(f"stores an error: {output.ename}")
        text = output_text(output)
        for name, pattern in FORBIDDEN_OUTPUT.items():
            if match := pattern.search(text):
                findings.append(f"prints {name}: {text[match.start() : match.start() + 60]!r}")
    return findings


def asserts(source: str) -> bool:
    """Tell whether the code contains an assertion: ``assert`` or ``np.testing.assert_…``."""
    tree = ast.parse(re.sub(r"(?m)^\s*[%!].*$", "", source))
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    named = any(isinstance(call, ast.Attribute) and call.attr.startswith("assert") for call in calls)
    return named or any(isinstance(node, ast.Assert) for node in ast.walk(tree))


def output_text(output: NotebookNode) -> str:
    """Return the text of an output that a reader sees."""
    if output.output_type == "stream":
        return output.text
    if output.output_type == "error":
        return f"{output.ename}: {output.evalue}"
    data = output.get("data", {})
    return "\n".join(
        str(data[kind]) for kind in ("text/plain", "text/html", "text/markdown") if kind in data
    )


def main(paths: list[str]) -> int:
    """Print every finding; return the number of notebooks that have one."""
    faulty = 0
    for path in paths:
        findings = lint(nbformat.read(path, as_version=4))
        faulty += bool(findings)
        for finding in findings:
            print(f"{Path(path).name}: {finding}")
    return faulty


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1:])))
