"""One submission: full marks for the solution, a name for each known mistake, nothing for anything else.

Every test starts a kernel of its own, without a sandbox; that is what makes this file take a while.
"""

import dataclasses
import json

import pytest
from submitting import EXERCISES, answered, as_bytes, released, solved

from mnist_course.errors import InputError
from mnist_course.grading import marking, running
from mnist_course.grading.answers import answer
from mnist_course.grading.exercise import Exercise
from mnist_course.grading.limits import Limits
from mnist_course.grading.marking import Result, mark

FIRST_EXERCISE = EXERCISES / "02_convolution_arithmetic.ipynb"


def grade(key, notebook, **limits):
    bounds = Limits(**{"seconds": 20, **limits})
    return mark(key, as_bytes(notebook), sandbox=None, limits=bounds)


def only(result):
    assert len(result.probes) == 1
    return result.probes[0]


def spread(body):
    return {"spread": f"def spread(values):\n    {body}"}


def test_the_solution_earns_full_marks(small, small_key):
    result = grade(small_key, solved(small))
    assert (result.status, result.points, result.of, result.notes) == ("graded", 2, 2, ())


def test_another_right_way_earns_full_marks(small, small_key):
    body = "return float(np.std(values.astype(np.float32), ddof=1))"
    assert grade(small_key, answered(small, spread(body))).points == 2


def test_the_stub_earns_nothing_and_hears_a_kind_word(small, small_key):
    result = grade(small_key, released(small))
    assert result.points == 0
    assert only(result).message == "not written yet: write spread(values)"


@pytest.fixture(scope="module")
def first_key():
    return answer(Exercise.load(FIRST_EXERCISE), 2**90 + 1)


@pytest.mark.parametrize("name", [cell.name for cell in Exercise.load(FIRST_EXERCISE).misconceptions])
def test_a_misconception_loses_points_and_is_named(name, first_key):
    exercise = first_key.exercise
    cell = next(cell for cell in exercise.misconceptions if cell.name == name)
    result = grade(first_key, solved(exercise, **{cell.ours["of"]: cell.source}))
    wrong = [probe for probe in result.probes if not probe.correct]
    assert result.points < result.of
    assert {(probe.misconception, probe.says) for probe in wrong} >= {(name, cell.ours["says"])}


def test_an_exception_is_quoted(small, small_key):
    result = grade(small_key, answered(small, spread("raise ValueError('<b>no</b> \\x1b[31m idea')")))
    assert only(result).message == "your code raised ValueError: <b>no</b> idea"


def test_code_that_is_no_python_is_quoted_and_the_rest_runs(first_key):
    result = grade(first_key, solved(first_key.exercise, transposed="def transposed_conv2d(:"))
    lost = [probe for probe in result.probes if not probe.correct]
    assert [probe.name for probe in lost] == ["transposed/values"]
    assert "NameError" in lost[0].message
    assert result.notes[0].startswith("the cell transposed raised SyntaxError: ")


def test_the_feedback_holds_the_students_value_and_not_the_expected_one(small, small_key):
    result = only(grade(small_key, answered(small, spread("return 1234.5"))))
    assert result.own.startswith("list of 3: [1234.5")
    expected = [f"{float(number):.6g}" for number in small_key.probes["spread"].expected]
    assert not [number for number in expected if number in json.dumps(dataclasses.asdict(result))]


def test_edited_probe_cells_are_not_run(small, small_key):
    notebook = released(small)
    for cell in notebook["cells"]:
        if cell["id"] == "check-spread":
            cell["source"] = 'from mnist_course.grading import probe\nprobe("spread", [1, 2, 3])'
    assert only(grade(small_key, notebook)).message.startswith("not written yet")


def test_a_value_published_from_a_solution_cell_does_not_count(small, small_key):
    expected = [float(number) for number in small_key.probes["spread"].expected]
    cheat = {"spread": f'from mnist_course.grading import probe\nprobe("spread", {expected})'}
    result = grade(small_key, answered(small, cheat))
    assert result.points == 0


def test_two_answers_to_one_question_do_not_count(small, small_key):
    body = (
        "from mnist_course.grading import probe\n"
        "    probe('spread', [0.5])\n"
        "    return np.std(values, ddof=1)"
    )
    assert "published 4 times" in only(grade(small_key, answered(small, spread(body)))).message


@pytest.mark.parametrize(
    "bundle",
    [
        '{"version": 1, "name": "spread", "value": {"kind": "object"}}',
        '{"version": 1, "name": "spread", "value": 3, "correct": True}',
        '{"version": 1, "name": "spread"}',
    ],
)
def test_a_forged_bundle_is_no_answer(bundle, small, small_key):
    body = (
        "from IPython.display import display\n"
        f"    display({{'application/vnd.mnist-course.probe+json': {bundle}}}, raw=True)\n"
        "    raise SystemExit"
    )
    result = only(grade(small_key, answered(small, spread(body))))
    assert (result.correct, result.points) == (False, 0)
    assert (
        result.message == "what was published is not a value of this course"
        or "not a value" in result.message
    )


def test_a_dead_kernel_costs_only_what_was_not_answered(first_key):
    dying = "import os\n\n\ndef transposed_conv2d(*whatever):\n    os._exit(0)"
    result = grade(first_key, solved(first_key.exercise, transposed=dying))
    assert result.points == result.of - 2
    assert result.probes[-1].message == "the kernel's process ended before this cell was done"
    assert result.notes[-1] == "the run ended early: the kernel's process ended"


def test_an_endless_loop_ends_at_the_deadline(first_key):
    endless = "def transposed_conv2d(*whatever):\n    while True:\n        pass"
    result = grade(first_key, solved(first_key.exercise, transposed=endless), seconds=3)
    assert result.points == result.of - 2
    assert result.probes[-1].message == "the time was up before this cell was done"


@pytest.mark.parametrize(
    "body",
    [
        "for _ in range(20_000): print('x', flush=True)",
        "[display('x' * 100_000) for _ in range(40)]",
        "for _ in range(40): print('x' * 1_000_000, flush=True)",
        "print(('x' * 1_000_000 + '\\n') * 40)",
        "print('x' * 300_000_000)",
        "raise ValueError('x' * 20_000_000)",
    ],
    ids=["many messages", "medium messages", "large prints", "over the limit", "giant", "exception"],
)
def test_a_flood_earns_nothing_ends_at_once_and_is_called_one(body, small, small_key):
    limits = {"messages": 500, "output_bytes": 2**21, "message_bytes": 2**20, "seconds": 60}
    result = grade(small_key, answered(small, spread(body)), **limits)
    assert result.points == 0
    assert result.notes[-1] == "the run ended early: too much output"
    assert result.seconds < 20


def test_a_kernel_that_closes_its_connections_is_not_waited_for(small, small_key):
    body = (
        "import gc, zmq\n"
        "    for socket in [one for one in gc.get_objects() if isinstance(one, zmq.Socket)]:\n"
        "        socket.close(0)\n"
    )
    result = grade(small_key, answered(small, spread(body)), seconds=60)
    assert result.points == 0
    assert result.notes[-1] == "the run ended early: the kernel closed its connections"
    assert result.seconds < 20


def test_a_cell_may_print_a_lot_and_still_be_right(small, small_key):
    body = "print('x' * 100_000); return np.std(values, ddof=1)"
    assert grade(small_key, answered(small, spread(body))).points == 2


def test_a_missing_cell_is_noted(first_key):
    notebook = solved(first_key.exercise)
    notebook["cells"] = [cell for cell in notebook["cells"] if cell["id"] != "transposed"]
    result = grade(first_key, notebook)
    assert result.points == result.of - 2
    assert result.notes == ("the cell transposed is missing",)


@pytest.mark.parametrize("more", [1, 50])
def test_of_cells_with_one_id_the_first_counts_and_one_note_says_how_many(more, small, small_key):
    notebook = solved(small)
    copy = {"cell_type": "code", "id": "spread", "metadata": {}, "source": "spread = None"}
    notebook["cells"] += [copy] * more
    result = grade(small_key, notebook)
    assert result.points == 2
    assert result.notes == (f"the cell spread occurs {more + 1} times; the first one counts",)


def test_imports_that_the_author_does_not_use_are_noted(small, small_key):
    body = "import scipy.stats as s; from numpy import linalg; return np.std(values, ddof=1)"
    result = grade(small_key, answered(small, {"spread": "import torch\n" + spread(body)["spread"]}))
    assert result.points == 2
    assert result.notes == ("imports what the exercise does not: scipy, torch",)


def test_order_and_extra_cells_do_not_matter(first_key):
    notebook = solved(first_key.exercise)
    notebook["cells"] = [
        {"cell_type": "code", "id": "extra", "metadata": {}, "source": "raise SystemExit"},
        *reversed(notebook["cells"]),
    ]
    assert grade(first_key, notebook).points == first_key.exercise.points


def test_a_notebook_from_before_cells_had_ids_is_known_by_nbgraders_names(small, small_key):
    notebook = {**solved(small), "nbformat_minor": 4}
    for cell in notebook["cells"]:
        cell["metadata"] = {"nbgrader": {"grade_id": cell.pop("id")}}
    assert grade(small_key, notebook).points == 2


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"%PDF-1.4", "it is a PDF, expected a Jupyter notebook"),
        (b'{"nbformat": 4, "cells": []}', "it has none of the cells of 00_small"),
        (
            b'{"nbformat": 4, "cells": [], "metadata": {"mnist_course": {"exercise": "09_x\\u202e"}}}',
            "it is a submission of 09_x\N{REPLACEMENT CHARACTER}, expected 00_small",
        ),
    ],
)
def test_what_is_no_submission_is_refused_and_gets_no_points(data, words, small_key):
    result = mark(small_key, data, sandbox=None)
    assert (result.status, result.points) == ("refused", None)
    assert words in result.notes[0]


def test_a_kernel_that_never_starts_is_tried_again_and_is_not_a_zero(small, small_key, monkeypatch):
    attempts = []

    def never(*arguments, **options):
        attempts.append(1)
        raise running.KernelNeverStarted("no room")

    monkeypatch.setattr(marking, "run_cells", never)
    result = mark(small_key, as_bytes(solved(small)), sandbox=None)
    assert len(attempts) == marking.ATTEMPTS
    assert (result.status, result.points) == ("not graded", None)
    assert "no room" in result.notes[0]


def test_a_kernel_that_starts_at_the_second_attempt_is_graded(small, small_key, monkeypatch):
    attempts = []

    def late(*arguments, **options):
        attempts.append(1)
        if len(attempts) == 1:
            raise running.KernelNeverStarted("busy")
        return running.run_cells(*arguments, **options)

    monkeypatch.setattr(marking, "run_cells", late)
    assert mark(small_key, as_bytes(solved(small)), sandbox=None).points == 2


def test_a_kernel_without_the_package_never_started(small_key, monkeypatch):
    monkeypatch.setattr(running, "opening_source", lambda *whatever: "import no_such_package")
    with pytest.raises(running.KernelNeverStarted, match="no_such_package"):
        running.run_cells(["1"], sandbox=None, limits=Limits())


def test_a_result_survives_its_json(small, small_key):
    result = grade(small_key, answered(small, spread("return 1.0")))
    assert Result.from_json(json.loads(json.dumps(result.to_json()))) == result


def test_a_run_leaves_no_process_and_no_file_behind(tmp_path, monkeypatch):
    import psutil

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    source = (
        "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)'])"
    )
    running.run_cells([source], sandbox=None, limits=Limits())
    assert list(tmp_path.iterdir()) == []
    sleepers = [
        p
        for p in psutil.process_iter(["cmdline"])
        if "time.sleep(99)" in (p.info["cmdline"] or [""])[-1]
    ]
    assert sleepers == []


def test_runs_leave_no_open_files_behind():
    import psutil

    def opened():
        running.run_cells(["1"], sandbox=None, limits=Limits())
        return psutil.Process().num_fds()

    opened()
    assert opened() == opened()


def broken(small, source):
    cells = [dataclasses.replace(c, source=source) if c.id == "spread" else c for c in small.cells]
    return dataclasses.replace(small, cells=tuple(cells))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("1 / 0", "its own solution fails in the cell spread: ZeroDivisionError"),
        ("def spread(values):\n    return object()", "fails in the cell check-spread: InputError"),
        ("probe = print\n\n\ndef spread(v):\n    return 1", "published spread 0 times"),
        ("import os\nos._exit(1)", "its own solution"),
    ],
)
def test_an_exercise_whose_own_solution_fails_says_where(source, words, small):
    with pytest.raises(InputError, match=words):
        answer(broken(small, source), 5)


def test_the_same_seed_gives_the_same_key_and_another_seed_another(small):
    def expected(seed):
        return [float(number) for number in answer(small, seed).probes["spread"].expected]

    assert expected(11) == expected(11)
    assert expected(11) != expected(12)
