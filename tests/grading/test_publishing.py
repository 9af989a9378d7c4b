"""What a notebook calls, outside of any notebook."""

import subprocess
import sys

import numpy as np
import pytest

from mnist_course.data import load_mnist
from mnist_course.errors import InputError
from mnist_course.grading import exercise_rng, probe, publishing, raised
from mnist_course.grading.inputs import draw_unseen, generator
from mnist_course.grading.release import student_version


@pytest.fixture(autouse=True)
def fresh_notebook(monkeypatch):
    monkeypatch.setattr(publishing, "_notebook", publishing._Notebook())


def test_importing_it_imports_numpy_and_nothing_heavier():
    heavy = "IPython zmq jupyter_client scipy sklearn matplotlib torch tensorflow keras jinja2 nbformat"
    code = f"import sys, mnist_course.grading; print(sorted(set({heavy.split()!r}) & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_command_line_does_not_import_the_grader():
    code = "import sys, mnist_course.cli; print([m for m in sys.modules if 'mnist_course.grading' in m])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_inputs_depend_on_the_name_and_the_seed_and_nothing_else():
    assert exercise_rng("a").integers(2**62) == exercise_rng("a").integers(2**62)
    assert exercise_rng("a").integers(2**62) != exercise_rng("b").integers(2**62)
    assert generator(1, "a").integers(2**62) != generator(2, "a").integers(2**62)
    assert generator(2**127, "a").integers(2**62) != generator(2**127 + 1, "a").integers(2**62)


def test_a_probe_outside_a_notebook_prints_its_value(capsys):
    probe("a/b", [1, 2.0])
    assert capsys.readouterr().out == "a/b: list of 2: [1, 2.0]\n"


def test_a_probe_of_something_unpublishable_says_what_is_accepted():
    with pytest.raises(InputError, match="expected numbers, texts, arrays"):
        probe("a", object())


def test_raised_names_the_exception():
    assert raised(int, "x") == "ValueError"
    assert raised(int, "3") == "nothing"
    assert raised(np.zeros, shape=(-1,)) == "ValueError"


def test_raised_lets_a_stub_say_that_it_is_not_written():
    def stub():
        raise NotImplementedError("write it")

    with pytest.raises(NotImplementedError, match="write it"):
        raised(stub)


def open_small(key):
    opening = next(c for c in student_version(key)["cells"] if c["id"] == "exercise")
    exec(opening["source"], {})


@pytest.fixture(scope="module")
def public_key(small):
    from mnist_course.grading.answers import answer

    return answer(small, 0)


def spread_values(ddof):
    rng = exercise_rng("spread")
    return [np.std(rng.normal(size=n), ddof=ddof) for n in (2, 5, 9)]


def test_the_self_check_says_right(public_key, capsys):
    open_small(public_key)
    probe("spread", spread_values(1))
    assert "✓ spread" in capsys.readouterr().out


def test_the_self_check_says_what_differs_and_names_the_mistake(public_key, capsys):
    open_small(public_key)
    probe("spread", spread_values(0))
    out = capsys.readouterr().out
    assert "✗ spread: in item 0: the number differs" in out
    assert "You divided by N" in out


def test_the_self_check_of_an_unknown_mistake_offers_a_hint(public_key, capsys):
    open_small(public_key)
    probe("spread", [1.0, 1.0, 1.0])
    out = capsys.readouterr().out
    assert "yours is 1.0, expected 0.1846" in out
    assert 'hint("spread") may help' in out


def test_hints_open_one_at_a_time(public_key, capsys):
    open_small(public_key)
    capsys.readouterr()
    publishing.hint("spread")
    assert [line[:9] for line in capsys.readouterr().out.splitlines()] == ["Hint 1 of"]
    publishing.hint("spread")
    publishing.hint("spread")
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_a_hint_for_an_unknown_probe_says_which_there_are(public_key):
    open_small(public_key)
    with pytest.raises(InputError, match="there are hints for: spread"):
        publishing.hint("nothing")


def test_a_release_under_a_secret_seed_is_refused(small_key):
    with pytest.raises(InputError, match="make it under the seed 0"):
        student_version(small_key)


def test_unseen_images_of_the_public_seed_are_the_last_training_images():
    drawn = draw_unseen(0, "mnist", 50)
    last = load_mnist("train").subset(range(55_000, 60_000))
    known = {image.tobytes(): label for image, label in zip(last.images, last.labels, strict=True)}
    assert all(
        known[image.tobytes()] == label for image, label in zip(drawn.images, drawn.labels, strict=True)
    )


def test_unseen_images_of_a_secret_seed_are_in_no_archive():
    drawn = draw_unseen(2**99, "mnist", 200)
    known = {image.tobytes() for split in ("train", "test") for image in load_mnist(split).images}
    assert not known & {image.tobytes() for image in drawn.images}
    assert drawn.counts().min() > 0


def test_unseen_images_are_in_the_kernel_what_the_trusted_side_drew():
    drawn = draw_unseen(7, "fashion", 3).images
    from mnist_course.grading.opening import opening_source

    exec(opening_source(7, drawn), {})
    np.testing.assert_array_equal(publishing.unseen(), drawn)
    assert publishing._notebook.seed == 7


def test_the_optical_digits_are_no_secret():
    with pytest.raises(InputError, match="choose one of mnist, fashion"):
        draw_unseen(1, "optdigits", 5)
