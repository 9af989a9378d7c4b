"""Nothing of a kernel is left: of ours at its end, of a killed command's at the next start."""

import os
import signal
import subprocess
import sys

import pytest

from mnist_course.grading import kernels
from mnist_course.grading.limits import Limits

KILLED = """
import time
from mnist_course.grading.kernels import started_kernel
from mnist_course.grading.limits import Limits
with started_kernel(None, Limits(), ()):
    print("started", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    kernels.sweep.cache_clear()
    yield tmp_path
    kernels.sweep.cache_clear()


def command():
    return subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True)


def start_and_end():
    with kernels.started_kernel(None, Limits(), ()):
        pass


def test_what_a_killed_command_left_is_removed_at_the_next_start(temporary):
    with command() as killed:
        assert killed.stdout.readline() == "started\n"
        killed.send_signal(signal.SIGKILL)
    assert [path.name[:9] for path in temporary.iterdir()] == ["exercise-"]
    start_and_end()
    assert list(temporary.iterdir()) == []


def test_what_a_living_command_uses_stays(temporary):
    with command() as living:
        assert living.stdout.readline() == "started\n"
        before = list(temporary.iterdir())
        start_and_end()
        assert list(temporary.iterdir()) == before != []
        living.send_signal(signal.SIGKILL)


def test_folders_without_a_mark_and_links_stay(temporary):
    (temporary / "exercise-of-mine").mkdir()  # without an owner's mark
    (temporary / "elsewhere").mkdir()
    (temporary / "elsewhere" / kernels.OWNER).write_text("")
    (temporary / "exercise-link").symlink_to(temporary / "elsewhere")
    before = set(temporary.iterdir())
    start_and_end()
    assert set(temporary.iterdir()) == before
    assert (temporary / "elsewhere" / kernels.OWNER).exists()


@pytest.mark.parametrize(("whose", "left"), [("mine", 0), ("another's", 1)])
def test_only_folders_of_this_user_are_removed(whose, left, temporary, monkeypatch):
    (temporary / "exercise-old").mkdir()
    (temporary / "exercise-old" / kernels.OWNER).write_text("")
    user = os.geteuid() + (whose != "mine")
    monkeypatch.setattr(os, "geteuid", lambda: user)
    kernels.sweep(str(temporary))
    assert len(list(temporary.iterdir())) == left
