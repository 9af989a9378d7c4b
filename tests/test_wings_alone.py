"""Each wing works where the other framework is not installed."""

import subprocess
import sys

import pytest

BLOCKED = """
import sys

from importlib.machinery import PathFinder

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name == {missing!r} else PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Without
from mnist_course import build
from mnist_course.data import load_optdigits
from mnist_course.models import wing
train = load_optdigits("train").subset(range(64))
history = wing({framework!r}, "training").fit(build("simple_cnn", {framework!r}), train, epochs=1)
assert len(history) == 1
assert {missing!r} not in sys.modules
"""


@pytest.mark.parametrize(
    ("framework", "missing"), [("pytorch", "tensorflow"), ("keras", "torch"), ("numpy", "torch")]
)
def test_a_wing_trains_without_the_other_framework(framework, missing):
    code = BLOCKED.format(framework=framework, missing=missing)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
