"""What is wrong with an exercise before anything is run.

The rule that matters most is about probe cells. They run in the student's process, so they may only draw
inputs, call what the student wrote or what a setup cell gives the student, and publish: reference code,
an expected number or a comparison in there would be an answer in the hands of whoever is being asked.
So a probe cell may name nothing else, neither to call it nor to pass it on.
"""

import ast
import re
from collections.abc import Iterator

from mnist_course.grading.exercise import BEGIN, END, Cell, Exercise

CELL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
PROBE_NAME = re.compile(r"[a-z0-9-]+(/[a-z0-9-]+)*")
MOST_NUMBERS = 64

FORBIDDEN = {
    ast.Assert: "an assertion",
    ast.Compare: "a comparison",
    ast.If: "a condition",
    ast.IfExp: "a condition",
    ast.Import: "an import",
    ast.ImportFrom: "an import",
    ast.Try: "a try",
    ast.FunctionDef: "a definition",
    ast.Lambda: "a definition",
    ast.ClassDef: "a definition",
    ast.While: "a loop without an end in sight",
}
OURS = {"probe", "exercise_rng", "unseen", "raised"}
PLAIN = {"dict", "enumerate", "float", "int", "len", "list", "range", "sorted", "str", "tuple", "zip"}
DATA = {"ImageDataset", "load", "load_fashion_mnist", "load_mnist", "load_optdigits", "scale"}
NUMPY_INPUTS = """
    arange array asarray bool_ concatenate eye float32 float64 full geomspace int64 linspace meshgrid
    ones repeat stack tile uint8 zeros
    inf nan newaxis
"""
TORCH_INPUTS = "arange as_tensor from_numpy manual_seed ones tensor zeros"
INPUTS = {"np": set(NUMPY_INPUTS.split()), "torch": set(TORCH_INPUTS.split())}
"""What probe cells may take from libraries to make inputs; nothing that computes an answer."""


def lint(exercise: Exercise) -> list[str]:
    """Return what is wrong with `exercise`, one sentence each; empty when nothing is."""
    return [*_cells(exercise), *_solutions(exercise), *_misconceptions(exercise), *_probes(exercise)]


def defined_names(source: str) -> set[str]:
    """Return the names that a cell defines at its top level."""
    tree = ast.parse(source)
    names = _definitions(tree)
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            names |= _stored_names(statement)
    return names


def _definitions(tree: ast.Module) -> set[str]:
    kinds = ast.FunctionDef | ast.ClassDef
    return {statement.name for statement in tree.body if isinstance(statement, kinds)}


def _stored_names(tree: ast.AST) -> set[str]:
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    return {node.id for node in nodes if isinstance(node.ctx, ast.Store)}


def _cells(exercise: Exercise) -> Iterator[str]:
    if not re.fullmatch(r"[0-9]{2}_[a-z0-9_]+", exercise.name):
        yield f"the name {exercise.name!r} is not like 02_convolution_arithmetic"
    if not exercise.solutions or not exercise.probes:
        yield "there is no solution cell, or no probe cell"
    seen: set[str] = set()
    for cell in exercise.cells:
        if not CELL_ID.fullmatch(cell.id):
            yield f"the cell id {cell.id!r} is not made of letters, digits, - and _"
        if cell.id in seen:
            yield f"the cell id {cell.id} is used twice"
        seen.add(cell.id)
        if cell.kind in ("solution", "probe") and cell.nbgrader.get("grade_id") != cell.id:
            yield f"{cell.id}: nbgrader's grade_id is not the cell's id"
        if cell.kind != "prose":
            try:
                ast.parse(cell.source)
            except SyntaxError as error:
                yield f"{cell.id}: line {error.lineno} is no Python: {error.msg}"


def _parsed(cell: Cell) -> ast.Module | None:
    try:
        return ast.parse(cell.source)
    except SyntaxError:
        return None  # `_cells` reports it


def _solutions(exercise: Exercise) -> Iterator[str]:
    for cell in exercise.solutions:
        if cell.source.count(BEGIN) != cell.source.count(END) or BEGIN not in cell.source:
            yield f"{cell.id}: {BEGIN} and {END} must come in pairs, at least one"
            continue
        try:
            stub = ast.parse(cell.stub)
        except SyntaxError:
            yield f"{cell.id}: without its solution the cell is no Python"
            continue
        allowed = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign)
        if not all(isinstance(statement, allowed) for statement in stub.body):
            yield f"{cell.id}: only functions, classes, imports and constants may stand at its top level"
    for cell in exercise.cells:
        if cell.kind != "solution" and (BEGIN in cell.source or END in cell.source):
            yield f"{cell.id}: a solution region in a cell that is no solution"


def _misconceptions(exercise: Exercise) -> Iterator[str]:
    order = {cell.id: number for number, cell in enumerate(exercise.cells)}
    solutions = {cell.id: cell for cell in exercise.solutions}
    for cell in exercise.misconceptions:
        replaced = solutions.get(cell.ours["of"])
        if replaced is None:
            yield f"{cell.id}: there is no solution cell {cell.ours['of']!r}"
            continue
        if order[cell.id] > order[replaced.id]:
            yield f"{cell.id}: it must stand before {replaced.id}, which then puts it right"
        if _parsed(cell) and _parsed(replaced):
            extra = defined_names(cell.source) - defined_names(replaced.source)
            if extra:
                yield f"{cell.id}: defines {', '.join(sorted(extra))}, which {replaced.id} does not"


def _probes(exercise: Exercise) -> Iterator[str]:
    names = [probe.name for probe in exercise.probes]
    yield from (
        f"the probe {name} is asked twice" for name in sorted(set(names)) if names.count(name) > 1
    )
    known = OURS | PLAIN | DATA
    for cell in exercise.cells:
        if cell.kind == "solution" and _parsed(cell):
            known |= defined_names(cell.source)
        elif cell.kind == "setup" and (tree := _parsed(cell)):
            known |= _definitions(tree)
    for probe in exercise.probes:
        if not PROBE_NAME.fullmatch(probe.name):
            yield f"{probe.id}: the probe's name {probe.name!r} is not like output-size/dilation"
        if probe.points <= 0:
            yield f"{probe.id}: it is worth nothing"
        if tree := _parsed(probe):
            yield from (f"{probe.id}: {finding}" for finding in _probe_cell(tree, probe, known))


def _probe_cell(tree: ast.Module, probe: Cell, known: set[str]) -> Iterator[str]:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    published = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "probe"]
    last = tree.body[-1] if tree.body else None
    if len(published) != 1 or not isinstance(last, ast.Expr) or last.value is not published[0]:
        yield "it must end with probe(name, value), and publish nothing else"
    for call in calls:
        if isinstance(call.func, ast.Name) and call.func.id in ("probe", "exercise_rng"):
            name = call.args[0] if call.args else None
            if not isinstance(name, ast.Constant) or name.value != probe.name:
                yield f"{call.func.id} is not called with the probe's name {probe.name!r}"
    for node in ast.walk(tree):
        if type(node) in FORBIDDEN:
            yield f"it contains {FORBIDDEN[type(node)]}"
    constants = [
        n for n in ast.walk(tree) if isinstance(n, ast.Constant) and type(n.value) in (int, float)
    ]
    if len(constants) > MOST_NUMBERS:
        yield f"it contains {len(constants)} numbers; draw inputs from exercise_rng"
    known = known | _stored_names(tree)
    for name in _named(tree):
        if not _may_name(name, known):
            yield f"it names {ast.unparse(name)}, which neither makes inputs nor is the student's"


def _named(tree: ast.AST) -> Iterator[ast.Name | ast.Attribute]:
    """Yield the names that are read, each with all its attributes."""
    nodes = list(ast.walk(tree))
    within = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    names = (node for node in nodes if isinstance(node, ast.Name | ast.Attribute))
    yield from (one for one in names if isinstance(one.ctx, ast.Load) and id(one) not in within)


def _may_name(name: ast.Name | ast.Attribute, known: set[str]) -> bool:
    root: ast.expr = name
    while isinstance(root, ast.Attribute):
        root = root.value
    if not isinstance(root, ast.Name):
        return True  # what a call returned; the call's own names are looked at too
    if root.id in INPUTS:
        return isinstance(name, ast.Attribute) and name.value is root and name.attr in INPUTS[root.id]
    return root.id in known
