"""Who lost their time to a neighbour, and who only let it pass."""

import os
import subprocess
import sys
from contextlib import ExitStack

import pytest

from mnist_course.grading import contention, running
from mnist_course.grading.contention import Usage
from mnist_course.grading.limits import Limits
from mnist_course.grading.sandbox import METHODS

CROWD = 20
LOOP = "while True: pass"
SLEEP = "import time\nwhile True: time.sleep(0.2); sum(range(1000))"
CHILD = "import time\nif os.fork() == 0:\n    while True: pass\ntime.sleep(60)"


@pytest.fixture(scope="module")
def processor():
    return min(os.sched_getaffinity(0))


@pytest.fixture
def crowd(processor):
    """Many processes on one processor, each a scheduling group of its own."""
    source = f"import os; os.sched_setaffinity(0, {{{processor}}})\nwhile True: pass"
    with ExitStack() as stack:
        busy = [
            stack.enter_context(
                subprocess.Popen([sys.executable, "-ISc", source], start_new_session=True)
            )
            for _ in range(CROWD)
        ]
        yield
        for process in busy:
            process.kill()


def run(source, processor, sandbox):
    """Run `source` on one processor until the deadline."""
    pinned = f"import os; os.sched_setaffinity(0, {{{processor}}})\n{source}"
    result = running.run_cells([pinned], sandbox=sandbox, limits=Limits(seconds=2))
    assert result.ended == "deadline"
    return result


@pytest.mark.parametrize("sandbox", [None, *METHODS])
def test_a_loop_in_a_crowd_is_starved(sandbox, processor, crowd):
    assert run(LOOP, processor, sandbox).starved


@pytest.mark.parametrize("sandbox", [None, *METHODS])
def test_a_sleeper_in_a_crowd_is_not_starved(sandbox, processor, crowd):
    assert not run(SLEEP, processor, sandbox).starved


@pytest.mark.parametrize("sandbox", METHODS)
def test_what_a_child_uses_is_the_kernels(sandbox, processor, monkeypatch):
    used = []

    def record(before, after, seconds):
        used.append(after.used - before.used)
        return False

    monkeypatch.setattr(running, "starved", record)
    run(CHILD, processor, sandbox)
    assert used[0] > 0.1


@pytest.mark.parametrize(
    ("used", "waited", "starved"),
    [
        (9.9, 0.1, False),
        (0.0, 0.0, False),
        (5.0, 5.0, True),
        (5.0, 0.5, False),
        (0.1, 9.9, True),
        (9.0, 190.0, False),  # its own processes wait for each other
    ],
)
def test_starved_is_who_wanted_the_processor_and_did_not_get_it(used, waited, starved):
    before = Usage(1.0, {(7, 7): 2.0, (7, 8): 1.0})
    after = Usage(1.0 + used, {(7, 7): 2.0 + waited / 2, (7, 9): waited / 2})
    assert contention.starved(before, after, 10.0) is starved


@pytest.mark.parametrize(("used", "starved"), [(9.9, False), (0.1, True)])
def test_where_nobody_counts_the_waiting_a_little_use_is_enough(used, starved):
    assert contention.starved(Usage(1.0, None), Usage(1.0 + used, None), 10.0) is starved


def test_who_cannot_be_watched_is_not_starved():
    assert not contention.starved(None, Usage(1.0, None), 10.0)
    assert not contention.starved(Usage(1.0, None), None, 10.0)
