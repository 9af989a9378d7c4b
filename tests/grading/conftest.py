"""A small exercise, the one that `exercises new` writes, and kernels without a sandbox."""

import pytest

from mnist_course.grading.answers import answer
from mnist_course.grading.authoring import template
from mnist_course.grading.exercise import Exercise


@pytest.fixture(scope="session")
def small_path(tmp_path_factory):
    return template("00_small").write(tmp_path_factory.mktemp("exercises"))


@pytest.fixture(scope="session")
def small(small_path):
    return Exercise.load(small_path)


@pytest.fixture(scope="session")
def small_key(small):
    """Its answers under a seed that is not the public one."""
    return answer(small, 2**100 + 7)
