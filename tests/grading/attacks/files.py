"""Submissions whose file is the attack: name → what writes it, given a path and a notebook."""

import copy
import gzip
import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

Notebook = dict[str, Any]
SCRIPT = "<script>alert('<<marker>>')</script><img src=x onerror=alert('<<marker>>')>"
TRIVIAL = "probe('spread', [0.1, 0.2, 0.3])"
BRACKETS = 200_000


def _write(path: Path, notebook: Notebook) -> None:
    path.write_text(json.dumps(notebook), encoding="utf-8")


def _cell(notebook: Notebook, name: str) -> dict[str, Any]:
    return next(cell for cell in notebook["cells"] if cell["id"] == name)


def _edited(change: Callable[[Notebook], object]) -> Callable[[Path, Notebook], None]:
    def write(path: Path, notebook: Notebook) -> None:
        mine = copy.deepcopy(notebook)
        change(mine)
        _write(path, mine)

    return write


def _checks_answer_themselves(notebook: Notebook) -> None:
    for name in ("spread", "ranks", "softmax", "predict"):
        _cell(notebook, f"check-{name}")["source"] = f"probe('{name}', 'correct')"


def _checks_deleted(notebook: Notebook) -> None:
    notebook["cells"] = [cell for cell in notebook["cells"] if not cell["id"].startswith("check-")]


def _checks_duplicated(notebook: Notebook) -> None:
    notebook["cells"] += [
        {**cell, "source": TRIVIAL} for cell in notebook["cells"] if "check" in cell["id"]
    ]


def _checks_first(notebook: Notebook) -> None:
    notebook["cells"].sort(key=lambda cell: not cell["id"].startswith("check-"))


def _tagged(notebook: Notebook) -> None:
    for cell in notebook["cells"]:
        cell["metadata"] = {
            "tags": ["nbval-skip", "skip-execution", "raises-exception", "remove-cell"],
            "nbgrader": {
                "grade": False,
                "solution": True,
                "locked": False,
                "points": 100,
                "schema_version": 3,
            },
            "mnist_course": {"probe": "spread", "points": 100, "at_least": 0.0, "rtol": 1e9},
        }


def _checks_become_solutions(notebook: Notebook) -> None:
    for number, name in enumerate(("spread", "ranks", "softmax", "predict")):
        _cell(notebook, f"check-{name}")["id"] = f"x{number}"
        _cell(notebook, name)["source"] = f"def {name}(*values): return 1"


def _setup_replaced(notebook: Notebook) -> None:
    _cell(notebook, "setup")["source"] = "probe = exercise_rng = unseen = lambda *a: None"


def _metadata_of_the_exercise(notebook: Notebook) -> None:
    notebook["metadata"]["mnist_course"] |= {"hide": [], "seconds": 10**9, "unseen": None, "points": 0}


def _other_kernel(notebook: Notebook) -> None:
    notebook["metadata"]["kernelspec"] = {
        "name": "../../bash",
        "display_name": "Bash",
        "language": "bash",
    }
    notebook["metadata"]["language_info"] = {"name": "bash"}


def _path_as_exercise(notebook: Notebook) -> None:
    notebook["metadata"]["mnist_course"]["exercise"] = "../../../etc/passwd"


def _stored_outputs(notebook: Notebook) -> None:
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            data = {"text/html": SCRIPT, "application/vnd.mnist-course.probe+json": {"value": 1}}
            cell["outputs"] = [{"output_type": "display_data", "data": data, "metadata": {}}]


def _html_everywhere(notebook: Notebook) -> None:
    notebook["metadata"]["title"] = SCRIPT
    notebook["cells"][0] = {"cell_type": "markdown", "id": "title", "metadata": {}, "source": SCRIPT}
    _cell(notebook, "spread")["source"] = f'def spread(values): return "{SCRIPT}"'
    _cell(notebook, "ranks")["source"] = f'def ranks(values): raise ValueError("{SCRIPT}")'
    _cell(notebook, "softmax")["source"] = f'def softmax(logits): return {{"{SCRIPT}": 1.0}}'


def _ids_that_look_alike(notebook: Notebook) -> None:
    _cell(notebook, "spread")["id"] = "spread\u200b"
    _cell(notebook, "ranks")["id"] = "ｒanks"


def _ids_of_other_types(notebook: Notebook) -> None:
    _cell(notebook, "spread")["id"] = ["spread"]
    notebook["cells"].append({"cell_type": "code", "id": {"x": 1}, "metadata": {}, "source": "1"})


def _repeated_cells(notebook: Notebook) -> None:
    wrong = {
        "cell_type": "code",
        "id": "spread",
        "metadata": {},
        "source": "def spread(values): return 1.0",
    }
    notebook["cells"] += [wrong] * 50


def _many_cells(notebook: Notebook) -> None:
    notebook["cells"] += [
        {"cell_type": "code", "id": f"n{n}", "metadata": {}, "source": "1"} for n in range(10**5)
    ]


def _surrogates(notebook: Notebook) -> None:
    _cell(notebook, "spread")["source"] = "def spread(values): return '\ud800\udfff\ud800'"


def _huge_cell(notebook: Notebook) -> None:
    _cell(notebook, "spread")["source"] = "# " + "x" * 3_000_000


def _old_format(path: Path, notebook: Notebook) -> None:
    cells = [{"cell_type": "code", "input": cell["source"], "outputs": []} for cell in notebook["cells"]]
    _write(path, {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": cells}]})


def _truncated(path: Path, notebook: Notebook) -> None:
    path.write_text(json.dumps(notebook)[:-200], encoding="utf-8")


def _100_megabytes(path: Path, notebook: Notebook) -> None:
    text = json.dumps(notebook)
    path.write_text(text[:-1] + " " * (100 << 20) + "}", encoding="utf-8")


def _nested(path: Path, notebook: Notebook) -> None:
    text = json.dumps({**notebook, "metadata": "HERE"})
    path.write_text(text.replace('"HERE"', "[" * BRACKETS + "]" * BRACKETS), encoding="utf-8")


def _nested_objects(path: Path, notebook: Notebook) -> None:
    path.write_text('{"a":' * BRACKETS + "1" + "}" * BRACKETS, encoding="utf-8")


def _zip_bomb(path: Path, notebook: Notebook) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(4):
            archive.writestr(f"{number}.ipynb", bytes(50 << 20))
    path.write_bytes(content.getvalue())


def _gzip_bomb(path: Path, notebook: Notebook) -> None:
    path.write_bytes(gzip.compress(bytes(200 << 20), 1))


def _huge_number(path: Path, notebook: Notebook) -> None:
    text = json.dumps({**notebook, "nbformat_minor": "HERE"})
    path.write_text(text.replace('"HERE"', "9" * 1_000_000), encoding="utf-8")


def _not_numbers(path: Path, notebook: Notebook) -> None:
    text = json.dumps({**notebook, "nbformat_minor": "HERE"})
    path.write_text(text.replace('"HERE"', "NaN"), encoding="utf-8")


def _repeated_keys(path: Path, notebook: Notebook) -> None:
    text = json.dumps(notebook)
    path.write_text(text[:-1] + ', "cells": [], "nbformat": 4}', encoding="utf-8")


def _utf_16(path: Path, notebook: Notebook) -> None:
    path.write_bytes(json.dumps(notebook).encode("utf-16"))


def _link_to(target: str) -> Callable[[Path, Notebook], None]:
    def write(path: Path, notebook: Notebook) -> None:
        path.symlink_to(target)

    return write


def _pipe(path: Path, notebook: Notebook) -> None:
    os.mkfifo(path)


def _folder(path: Path, notebook: Notebook) -> None:
    path.mkdir()


def _empty(path: Path, notebook: Notebook) -> None:
    path.touch()


FILES: dict[str, Callable[[Path, Notebook], None]] = {
    "checks that answer themselves": _edited(_checks_answer_themselves),
    "checks deleted": _edited(_checks_deleted),
    "checks duplicated": _edited(_checks_duplicated),
    "checks before the answers": _edited(_checks_first),
    "cells tagged to be skipped and to give points": _edited(_tagged),
    "checks renamed": _edited(_checks_become_solutions),
    "setup replaced": _edited(_setup_replaced),
    "metadata that hide nothing and wait forever": _edited(_metadata_of_the_exercise),
    "another kernel": _edited(_other_kernel),
    "a path for the exercise": _edited(_path_as_exercise),
    "stored outputs": _edited(_stored_outputs),
    "HTML and script everywhere": _edited(_html_everywhere),
    "ids that look alike": _edited(_ids_that_look_alike),
    "ids of other types": _edited(_ids_of_other_types),
    "cells repeated": _edited(_repeated_cells),
    "100,000 cells": _edited(_many_cells),
    "half characters": _edited(_surrogates),
    "huge cell": _edited(_huge_cell),
    "format 3": _old_format,
    "truncated JSON": _truncated,
    "100 MB": _100_megabytes,
    "deep nesting of lists": _nested,
    "deep nesting of objects": _nested_objects,
    "zip bomb": _zip_bomb,
    "gzip bomb": _gzip_bomb,
    "number of a million digits": _huge_number,
    "not a number": _not_numbers,
    "repeated keys": _repeated_keys,
    "UTF-16": _utf_16,
    "link to the solution": _link_to("<<exercises>>/00_fortress.ipynb"),
    "link to a neighbour": _link_to("m-innocent.ipynb"),
    "link to itself": _link_to("link to itself.ipynb"),
    "link to endless zeros": _link_to("/dev/zero"),
    "pipe": _pipe,
    "folder": _folder,
    "empty file": _empty,
}

# File names; the file itself is an unwritten notebook.
NAMES = (
    "-rf",
    "=HYPERLINK(1)",
    "+cmd",
    "@SUM(1)",
    "a;touch pwned",
    "$(touch pwned)",
    "line\nbreak",
    "tab\tand\rreturn",
    "\u202egnissap",
    "<b onmouseover=alert(1)>bold",
    " ..",
    "m-innocent ",
    "M-INNOCENT",
    "m-ïnnocent",
    "m-i\u0308nnocent",
    "x" * 240,
    "CON",
    "%2e%2e%2fescape",
    "\x1b[31mred",
)
