"""Every attempt to break out is made in a started kernel, in each sandbox, and as each kind of user.

Slow, because limits have to be reached: memory filled, a processor's seconds used up, a fork bomb grown.
"""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mnist_course.grading.sandbox.attempts import REACHING, TAKING
from mnist_course.grading.sandbox.doctor import LIMITS, allowed, examine

SOMEBODY = Path(__file__).with_name("somebody.py")
EXAMINE = """
import dataclasses, json, sys
from mnist_course.grading.sandbox import doctor
with doctor.things_to_reach() as target:
    checks = list(doctor.reach_and_take(sys.argv[1], target))
print(json.dumps([dataclasses.asdict(check) for check in checks]))
"""
UNCONFINED = """
import json, os, sys
from mnist_course.grading.sandbox.attempts import *
reaching, target, taking, allowance = json.loads(sys.argv[1])
held_open = os.open("/", os.O_RDONLY)
found = {name: REACHING[name](Target(**target)) for name in reaching}
found |= {name: TAKING[name](Allowance(**allowance)) for name in taking}
print(json.dumps(found))
"""


@pytest.mark.slow
def test_sandbox_stops_every_attempt(method, target):
    checks = list(examine(method, target))
    assert len(checks) > 30
    assert [check for check in checks if not check.held] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("somebody", "method"), [("user", "bubblewrap"), ("user", "landlock"), ("container", "landlock")]
)
def test_sandbox_of_somebody_without_root_stops_every_attempt(somebody, method):
    """What has namespaces by being root gets along without them, or with a user's."""
    command = [sys.executable, "-c", EXAMINE, method]
    if os.geteuid() == 0:
        command = [sys.executable, str(SOMEBODY), somebody, *command]
    before = set(Path("/tmp").glob("mnist-course-*"))
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert set(Path("/tmp").glob("mnist-course-*")) <= before  # where no tmpfs can be mounted
    checks = json.loads(done.stdout)
    assert {check["name"] for check in checks} == {*REACHING, *TAKING}
    assert [check for check in checks if not check["held"]] == []


@pytest.fixture(scope="module")
def unconfined(target, tmp_path_factory):
    """What the attempts reach without a sandbox."""
    allowance = dataclasses.replace(allowed(LIMITS), memory=64 << 20)
    plan = [list(REACHING), dataclasses.asdict(target), list(TAKING), dataclasses.asdict(allowance)]
    done = subprocess.run(
        [sys.executable, "-c", UNCONFINED, json.dumps(plan)],
        cwd=tmp_path_factory.mktemp("unconfined"),
        env={"MNIST_COURSE_SECRET": target.secret},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", [*REACHING, *TAKING])
def test_attempt_succeeds_without_a_sandbox(unconfined, name):
    """Else it would prove nothing about the sandbox."""
    assert unconfined[name]
