"""The pieces a sandbox is made of: what it shows, what it forbids, what it counts."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mnist_course.errors import InputError
from mnist_course.grading.limits import Limits
from mnist_course.grading.sandbox import Enclosure, syscalls, view
from mnist_course.grading.sandbox.supervisor import bubblewrap, landlock, processes, room, session


def test_checkout_around_the_package_is_not_shown():
    shown = [Path(path) for path in view.visible_paths()]
    assert any(view.PACKAGE.is_relative_to(path) for path in shown)
    assert not any(view.PACKAGE.parent.is_relative_to(path) for path in shown)


def test_labels_of_test_images_are_always_hidden():
    names = {Path(path).name for path in view.hidden_paths(())}
    assert names == {"t10k-images-idx3-ubyte.xz", "t10k-labels-idx1-ubyte.xz"}


def test_hidden_module_takes_its_compiled_file_along(tmp_path, monkeypatch):
    monkeypatch.setattr(view, "PACKAGE", tmp_path / "mnist_course")
    (tmp_path / "mnist_course/__pycache__").mkdir(parents=True)
    for name in ("conv.py", "__pycache__/conv.cpython-311.pyc", "convolve.py"):
        (tmp_path / "mnist_course" / name).touch()
    hidden = {Path(path).name for path in view.hidden_paths(["mnist_course.conv"])}
    assert hidden == {"conv.py", "conv.cpython-311.pyc"}


@pytest.fixture
def shown(tmp_path, monkeypatch):
    """A folder that is shown, below pytest's own, which is closed to other users as /root is."""
    folder = tmp_path / "shown"
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "data").write_text("seen")
    paths = [*view.visible_paths(), str(folder)]
    monkeypatch.setattr(view, "visible_paths", lambda: paths)
    return folder


def test_folder_below_tmp_and_a_closed_one_is_shown(shown, method):
    """A checkout may lie below /tmp, which the sandbox has its own of."""
    enclosure = Enclosure(method, Limits())
    code = f"assert open({str(shown / 'data')!r}).read() == 'seen'"
    enclosure.run([sys.executable, "-I", "-S", "-c", code])
    enclosure.supervisor.wait()
    enclosure.end()
    assert enclosure.reason == ""


def test_closed_folder_that_should_be_shown_is_named(shown, method):
    shown.chmod(0o700)
    with pytest.raises(InputError, match=f"{shown} is closed to other users"):
        Enclosure(method, Limits())


def test_tmp_comes_before_what_lies_below_it():
    plan = {"bwrap": "bwrap", "visible": ["/tmp/checkout", "/usr"], "hidden": []}
    arguments = bubblewrap.command(plan, "/mnt", {}, ["true"], filter_descriptor=9)
    binds = [arguments[i + 2] for i, name in enumerate(arguments) if name in ("--bind", "--ro-bind")]
    assert binds.index("/tmp") < binds.index("/tmp/checkout")


def test_hidden_path_closes_the_folders_on_its_way(tmp_path):
    for name in ("a/one", "a/two", "b/three"):
        (tmp_path / name).mkdir(parents=True)
    rules = dict(landlock._without(str(tmp_path), frozenset([str(tmp_path / "a/one")])))
    assert rules == {
        str(tmp_path): landlock._READ_DIR,
        str(tmp_path / "a"): landlock._READ_DIR,
        str(tmp_path / "a/two"): landlock._READ,
        str(tmp_path / "b"): landlock._READ,
    }


def test_link_to_a_hidden_file_opens_nothing(tmp_path):
    (tmp_path / "hidden").touch()
    (tmp_path / "link").symlink_to(tmp_path / "hidden")
    rules = dict(landlock._without(str(tmp_path), frozenset([str(tmp_path / "hidden")])))
    assert set(rules) == {str(tmp_path)}


def test_netlink_answers_what_libzmq_expects():
    answers = {
        answer
        for answer, name, conditions in syscalls.rules(namespaces=False, own_user=False)
        if name == "socket" and (0, 4, 16) in conditions
    }
    assert answers == {errno.EOPNOTSUPP}


@pytest.mark.parametrize("own_user", [True, False])
def test_sandbox_without_namespaces_forbids_all_that_the_other_does_and_more(own_user):
    other = set(syscalls.rules(namespaces=True, own_user=own_user))
    assert other < set(syscalls.rules(namespaces=False, own_user=own_user))


def test_every_forbidden_call_is_known_to_libseccomp_or_to_us():
    import pyseccomp

    names = {name for _, name, _ in syscalls.rules(namespaces=False, own_user=False)}
    old = {"chmod", "chown", "lchown", "utime", "utimes", "futimesat", "modify_ldt", "iopl", "ioperm"}
    assert {name for name in names if syscalls._number(pyseccomp, name) is None} <= old


def test_memory_of_children_counts():
    block = "x = b'x' * (200 << 20); print('.', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", block], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        child.stdout.read(1)
        excess = processes.excess(os.getpid(), {"memory": 100 << 20, "processes": 10_000})
        child.kill()
    assert excess == "memory: more than 100 MiB in use"


def test_open_file_without_a_name_counts(tmp_path):
    with (tmp_path / "x").open("wb") as file:
        file.write(b"x" * (1 << 20))
        file.flush()
        before = processes.deleted_bytes(os.getpid())
        (tmp_path / "x").unlink()
        assert processes.deleted_bytes(os.getpid()) - before == 1 << 20


@pytest.mark.parametrize("code", [-24, 128 + 24])
def test_end_of_the_processors_time_is_named(code):
    assert session._judge(code, {"cpu_seconds": 5}, "")[1] == "processor: more than 5 s of its time"


def test_closed_folder_is_found_on_the_way(tmp_path):
    tmp_path.chmod(0o700)
    (tmp_path / "a/b").mkdir(parents=True)
    assert room._unreadable(str(tmp_path / "a/b")) != ""


def test_supervisor_drains_a_flood_of_standard_error_slowly(method):
    """64 KiB for every look: the flooder waits, the grader's memory does not grow."""
    code = """if True:
        import os, time
        until, written = time.monotonic() + 1, 0
        while time.monotonic() < until:
            written += os.write(2, b"x" * 65536)
        assert written < 10**7, written
    """
    enclosure = Enclosure(method, Limits())
    enclosure.run([sys.executable, "-I", "-S", "-c", code])
    enclosure.supervisor.wait()
    enclosure.end()
    assert enclosure.reason == ""
