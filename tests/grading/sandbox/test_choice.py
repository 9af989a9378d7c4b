"""The strongest sandbox that works is used; where none does, the reason says what to do."""

import shutil
import sys

import pytest
from click.testing import CliRunner

from mnist_course.errors import InputError
from mnist_course.grading.sandbox import METHODS, available, choice, doctor, enclosure, reason, syscalls
from mnist_course.grading.sandbox.doctor import Check
from mnist_course.grading.sandbox.supervisor import landlock


@pytest.fixture
def forget():
    """Obstacles are looked for once in a process; these tests make some."""
    choice.obstacle.cache_clear()
    syscalls.compiled.cache_clear()
    yield
    choice.obstacle.cache_clear()
    syscalls.compiled.cache_clear()


def test_both_sandboxes_work_on_this_machine():
    """Where one cannot run, it is untested: that is a failure, not a skip."""
    assert {method: choice.obstacle(method) for method in METHODS} == dict.fromkeys(METHODS, "")


def test_bubblewrap_is_preferred():
    assert available() == "bubblewrap"


def test_no_reason_where_a_sandbox_works():
    assert reason() == ""


def test_landlock_is_used_where_bubblewrap_is_missing(monkeypatch, forget):
    monkeypatch.setattr(enclosure.shutil, "which", lambda name: None)
    assert available() == "landlock"


def test_broken_bubblewrap_is_not_used(monkeypatch, forget):
    monkeypatch.setattr(enclosure.shutil, "which", lambda name: shutil.os.fspath("/bin/false"))
    assert available() == "landlock"


def test_reason_names_the_missing_programs(monkeypatch, forget):
    monkeypatch.setattr(enclosure.shutil, "which", lambda name: None)
    monkeypatch.setattr(landlock, "version", lambda: 0)
    assert available() is None
    assert "bwrap is not installed" in reason()
    assert "apt-get install bubblewrap" in reason()
    assert "landlock: this kernel has none" in reason()


def test_missing_libseccomp_is_named(monkeypatch, forget):
    monkeypatch.setitem(sys.modules, "pyseccomp", None)
    assert available() is None
    assert "apt-get install libseccomp2" in reason()


def test_other_systems_have_no_sandbox(monkeypatch, forget):
    monkeypatch.setattr(choice.sys, "platform", "darwin")
    assert "needs Linux" in reason()


def test_user_without_root_needs_a_kernel_that_keeps_signals_inside(monkeypatch, forget):
    monkeypatch.setattr(choice.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(landlock, "version", lambda: 5)
    assert "Linux 6.12" in choice.obstacle("landlock")


def test_unknown_module_cannot_be_hidden():
    with pytest.raises(InputError, match="expected a module below mnist_course"):
        enclosure.Enclosure("bubblewrap", doctor.LIMITS, hide=("numpy",))


@pytest.fixture
def said(monkeypatch):
    def run(checks):
        monkeypatch.setattr(doctor, "report", lambda: iter(checks))
        return CliRunner().invoke(doctor.command)

    return run


def test_doctor_exits_with_0_when_everything_held(said):
    answer = said([Check("bubblewrap", "network: a server", True, "")])
    assert answer.exit_code == 0
    assert "grade uses bubblewrap" in answer.output


def test_doctor_exits_with_1_when_something_got_out(said):
    answer = said([Check("bubblewrap", "network: a server", False, "connected")])
    assert answer.exit_code == 1
    assert "BROKEN  bubblewrap  network: a server: connected" in answer.output


def test_doctor_exits_with_1_where_no_sandbox_works(said, monkeypatch):
    monkeypatch.setattr(doctor, "available", lambda: None)
    monkeypatch.setattr(doctor, "reason", lambda: "nothing is installed")
    answer = said([])
    assert answer.exit_code == 1
    assert "nothing is installed" in answer.output
