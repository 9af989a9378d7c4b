"""Small real data for every test, and the rule that CI skips nothing silently."""

import os
import signal

import numpy as np
import pytest
from hypothesis import settings

from mnist_course.data import ImageDataset, load_mnist

settings.register_profile("course", settings.default, deadline=None)  # a machine may be busy
settings.load_profile("course")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a shell starts what runs in its background so, and the commands that tests interrupt inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

ALLOWED_SKIPS = ("needs a GPU",)


def pytest_addoption(parser):
    what = "fresh seeds under which every exercise is graded (tests/grading/test_exercises.py)"
    parser.addoption("--seeds", type=int, default=3, metavar="N", help=what)


def first_of_each_class(dataset: ImageDataset, count: int) -> ImageDataset:
    chosen = [np.flatnonzero(dataset.labels == label)[:count] for label in range(10)]
    return dataset.subset(np.sort(np.concatenate(chosen)))


@pytest.fixture(scope="session")
def train_digits() -> ImageDataset:
    """600 real training digits, 60 of each class."""
    return first_of_each_class(load_mnist("train"), 60)


@pytest.fixture(scope="session")
def test_digits() -> ImageDataset:
    """200 real test digits, 20 of each class."""
    return first_of_each_class(load_mnist("test"), 20)


def pytest_terminal_summary(terminalreporter):
    """In CI a skipped test is a failure unless its reason is one that CI cannot mend."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = [report.longrepr[2].removeprefix("Skipped: ") for report in skipped]
    unexplained = [reason for reason in reasons if not reason.startswith(ALLOWED_SKIPS)]
    if os.environ.get("CI") and unexplained:
        terminalreporter.write_line(f"tests skipped in CI: {unexplained}", red=True)
        terminalreporter._session.exitstatus = pytest.ExitCode.TESTS_FAILED
