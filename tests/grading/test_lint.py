"""The lint finds what would give an exercise away, and passes what is fine."""

import dataclasses

import pytest

from mnist_course.errors import InputError
from mnist_course.grading.authoring import Draft, template
from mnist_course.grading.exercise import Exercise
from mnist_course.grading.lint import lint

DRAWS = 'rng = exercise_rng("spread")\n'


def changed(small, name, **changes):
    cells = [dataclasses.replace(c, **changes) if c.id == name else c for c in small.cells]
    return dataclasses.replace(small, cells=tuple(cells))


def test_the_template_is_fine(small):
    assert lint(small) == []


@pytest.mark.parametrize(
    ("source", "finding"),
    [
        ('probe("spread", 1)\nassert True', "must end with probe"),
        ('assert spread(1)\nprobe("spread", 1)', "an assertion"),
        ('probe("spread", spread(1) == 2)', "a comparison"),
        ('probe("spread", 1 if spread else 2)', "a condition"),
        ('import numpy\nprobe("spread", 1)', "an import"),
        ('try:\n    x = 1\nfinally:\n    x = 2\nprobe("spread", x)', "a try"),
        ('def mine(): return 1\nprobe("spread", mine())', "a definition"),
        ('probe("spread", (lambda: 1)())', "a definition"),
        ('while True:\n    x = 1\nprobe("spread", x)', "a loop"),
        ('probe("spread", np.std([1, 2], ddof=1))', "names np.std"),
        ('probe("spread", np.testing.assert_allclose(1, 1))', "names np.testing.assert_allclose"),
        ('probe("spread", np.linalg.norm([1]))', "names np.linalg.norm"),
        ('probe("spread", torch.conv2d(1, 2))', "names torch.conv2d"),
        ('probe("spread", reference(1))', "names reference"),
        ('probe("spread", scratch.conv2d(1))', "names scratch.conv2d"),
        ('probe("spread", open("x"))', "names open"),
        ('deviation = np.std\nprobe("spread", deviation([1, 2]))', "names np.std"),
        ('library = np\nprobe("spread", library.std([1, 2]))', "names np,"),
        ('probe("spread", [f([1, 2]) for f in (np.std,)])', "names np.std"),
        ('probe("spread", raised(np.std, [1, 2]))', "names np.std"),
        ('probe("spread", spread(np.float64.mean))', "names np.float64.mean"),
        ('probe("spread", spread(ANSWER))', "names ANSWER"),
        (f'probe("spread", spread({list(range(65))}))', "65 numbers"),
        ('probe("spread", 1)\nprobe("spread", 2)', "publish nothing else"),
        ("spread(1)", "must end with probe"),
        ('x = probe("spread", 1)', "must end with probe"),
        ('probe("other", 1)', "not called with the probe's name"),
        ('probe("spread", exercise_rng("other").normal())', "exercise_rng is not called with"),
        ("probe(name, 1)", "not called with the probe's name"),
    ],
)
def test_a_probe_cell_may_not(small, source, finding):
    findings = lint(changed(small, "check-spread", source=source))
    assert any(finding in found for found in findings), findings


@pytest.mark.parametrize(
    "source",
    [
        DRAWS + 'probe("spread", spread(rng.normal(size=3)))',
        DRAWS
        + 'x = np.linspace(0, 1, 5) * rng.normal()\nprobe("spread", [spread(x[:n]) for n in (2, 3)])',
        DRAWS + 'x = rng.normal(size=(4, 5)).astype(np.float32)\nprobe("spread", spread(x.reshape(-1)))',
        'probe("spread", raised(spread, np.zeros(0)))',
        'probe("spread", exercise_rng("spread").permutation(5).tolist())',
    ],
)
def test_a_probe_cell_may(small, source):
    assert lint(changed(small, "check-spread", source=source)) == []


def test_a_probe_cell_may_call_what_a_setup_cell_gives_the_student(small):
    given = "import numpy as np\n\nANSWER = 2\n\ndef sample(rng):\n    return rng.normal(size=3)"
    source = DRAWS + 'draw = sample\nprobe("spread", [spread(sample(rng)), spread(draw(rng))])'
    asking = changed(small, "check-spread", source=source)
    assert lint(changed(asking, "setup", source=given)) == []
    assert any("names sample" in finding for finding in lint(asking))


def test_a_setup_cells_constant_could_be_an_answer(small):
    asking = changed(small, "check-spread", source='probe("spread", spread(ANSWER))')
    findings = lint(changed(asking, "setup", source="ANSWER = 2"))
    assert any("names ANSWER" in finding for finding in findings), findings


@pytest.mark.parametrize(
    ("cell", "changes", "finding"),
    [
        ("spread", {"source": "def spread(v):\n    return 1"}, "must come in pairs"),
        ("spread", {"source": "### BEGIN SOLUTION\nprint(1)\n### END SOLUTION"}, "at its top level"),
        ("spread", {"source": "def spread(:"}, "no Python"),
        ("setup", {"source": "### BEGIN SOLUTION\n### END SOLUTION"}, "in a cell that is no solution"),
        ("spread-population", {"source": "def other(v):\n    return 1"}, "defines other"),
        ("check-spread", {"id": "spread"}, "used twice"),
        ("check-spread", {"id": "check spread"}, "letters, digits"),
        ("check-spread", {"nbgrader": {"grade_id": "x", "points": 1}}, "grade_id is not the cell's id"),
        ("check-spread", {"nbgrader": {"grade_id": "check-spread", "points": 0}}, "worth nothing"),
    ],
)
def test_the_lint_finds(small, cell, changes, finding):
    findings = lint(changed(small, cell, **changes))
    assert any(finding in found for found in findings), findings


def test_a_misconception_after_its_solution_would_stay(small):
    cells = sorted(small.cells, key=lambda cell: cell.kind == "misconception")
    findings = lint(dataclasses.replace(small, cells=tuple(cells)))
    assert findings == ["spread-population: it must stand before spread, which then puts it right"]


def test_a_draft_with_findings_is_not_written(tmp_path):
    draft = Draft("00_bad", "Bad")
    draft.setup("setup", "x = 1")
    with pytest.raises(InputError, match="no solution cell"):
        draft.write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_written_draft_is_what_was_drafted(tmp_path):
    exercise = Exercise.load(template("11_two_words").write(tmp_path))
    assert (exercise.name, exercise.title, exercise.points) == ("11_two_words", "Two words", 2)
    assert [cell.kind for cell in exercise.cells] == [
        "prose",
        "prose",
        "setup",
        "prose",
        "misconception",
        "solution",
        "probe",
    ]
