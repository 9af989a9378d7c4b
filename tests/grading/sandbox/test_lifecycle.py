"""Nothing of a sandbox is left, however it ends, and one knows nothing of another."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from mnist_course.grading.limits import Limits
from mnist_course.grading.sandbox import METHODS, Enclosure
from mnist_course.grading.sandbox.attempts.resources import LEFT_BEHIND
from mnist_course.grading.sandbox.doctor import processes_named
from mnist_course.grading.sandbox.trial import Trial

BUSY = """
import os, time
for _ in range(6):
    if os.fork() == 0:
        while True: pass
"""
GRADER = """
import sys, time
from mnist_course.grading.limits import Limits
from mnist_course.grading.sandbox.trial import Trial
with Trial(sys.argv[1], Limits()) as trial:
    trial.call("''", setup="import os\\nif os.fork() == 0: os.execv('/bin/sleep', ['sleep', '600'])")
    print(trial.provisioner.process.pid, flush=True)
    time.sleep(600)
"""


def gone(pid, seconds=10):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.02)
    return False


def below(pid):
    from mnist_course.grading.sandbox.supervisor.processes import descendants

    return list(descendants(pid))


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_when_the_grader_is_killed(method, ending):
    with subprocess.Popen(
        [sys.executable, "-c", GRADER, method], stdout=subprocess.PIPE, text=True
    ) as grader:
        supervisor = int(grader.stdout.readline())
        inside = below(supervisor)
        grader.send_signal(ending)
    assert len(inside) >= 2
    assert gone(supervisor)
    assert [pid for pid in inside if not gone(pid)] == []


def test_shutdown_returns_when_everything_has_ended(method):
    with Trial(method, Limits()) as running:
        running.client.execute(BUSY)
        running.call("''")
        supervisor = running.provisioner.process.pid
        inside = below(supervisor)
    assert len(inside) >= 7
    assert [pid for pid in (supervisor, *inside) if Path(f"/proc/{pid}").exists()] == []


def test_kernel_that_ends_takes_what_it_started_along(method):
    with Trial(method, Limits()) as running:
        started = f"import os\nif os.fork() == 0: os.execv('/bin/sleep', [{LEFT_BEHIND!r}, '600'])"
        running.call("''", setup=started)
        assert running.survive("import os; os._exit(3)", seconds=10) is not None
    assert processes_named(LEFT_BEHIND) == []


def test_no_file_is_left(method, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    places = [Path(path) for path in ("/mnt", "/media", "/srv", "/opt") if Path(path).is_dir()]
    before = [set(place.iterdir()) for place in places]
    with Trial(method, Limits()) as running:
        running.call("''", setup="open('here', 'w').write('x')")
        assert list(tmp_path.iterdir()) == []
        assert [set(place.iterdir()) for place in places] == before
    assert list(tmp_path.iterdir()) == []
    assert [set(place.iterdir()) for place in places] == before


def test_sandboxes_do_not_share_a_user(method):
    """The kernel of the system counts processes by user: a bomb in one would stop the other."""
    first, second = Enclosure(method, Limits()), Enclosure(method, Limits())
    users = {first.user, second.user}
    first.end()
    second.end()
    assert len(users) == (2 if os.geteuid() == 0 else 1)
    assert 0 not in users


FULL = """
import os, time
for _ in range(100):
    try:
        if os.fork() == 0:
            time.sleep(60)
    except OSError:
        pass
"""
THREADS = """
import threading
threads = [threading.Thread(target=int) for _ in range(16)]
for thread in threads:
    thread.start()
"""


def test_neighbour_of_a_full_sandbox_can_start_threads(method):
    limits = Limits(processes=40)
    with Trial(method, limits) as greedy, Trial(method, limits) as neighbour:
        greedy.client.execute(FULL)
        time.sleep(0.3)
        assert neighbour.call("len(threads)", setup=THREADS) == 16


SEE = """
import pathlib
def see(path):
    try:
        return pathlib.Path(path).read_text()
    except OSError:
        return ""
"""


def test_sandbox_cannot_see_what_another_wrote(method):
    with Trial(method, Limits()) as writer, Trial(method, Limits()) as reader:
        write = "import os\nopen('answer', 'w').write('42')"
        inside = writer.call("os.path.abspath('answer')", setup=write)
        outside = f"{writer.provisioner.enclosure.outside}/../tmp/home/answer"
        assert reader.call(f"see({inside!r}) + see({outside!r})", setup=SEE) == ""
        assert Path(outside).read_text() == "42"


@pytest.mark.parametrize("method", METHODS)
def test_reason_tells_an_exception_that_ended_the_command(method):
    enclosure = Enclosure(method, Limits())
    enclosure.run([sys.executable, "-I", "-S", "-c", "raise ValueError('so it goes')"])
    enclosure.supervisor.wait()
    enclosure.end()
    assert enclosure.reason.endswith("ValueError: so it goes")


def test_reason_of_a_crash_is_the_signal(method):
    enclosure = Enclosure(method, Limits())
    enclosure.run([sys.executable, "-I", "-S", "-c", "import ctypes; ctypes.string_at(0)"])
    enclosure.supervisor.wait()
    enclosure.end()
    assert enclosure.reason == "ended by SIGSEGV"
