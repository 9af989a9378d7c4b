"""Things outside to reach, and a running sandbox of each kind to share."""

import pytest

from mnist_course.grading.limits import Limits
from mnist_course.grading.sandbox import METHODS, kernel_spec
from mnist_course.grading.sandbox.doctor import things_to_reach
from mnist_course.grading.sandbox.trial import Trial


@pytest.fixture(scope="module")
def target():
    with things_to_reach() as things:
        yield things


@pytest.fixture(params=METHODS)
def method(request):
    return request.param


@pytest.fixture(scope="module", params=METHODS)
def trial(request):
    """A kernel with the limits that a submission has."""
    with Trial(request.param, Limits(), hide=("mnist_course.scratch",)) as running:
        yield running


@pytest.fixture
def specs(method):
    """A kernel spec manager that knows the sandboxed kernel only."""
    from jupyter_client.kernelspec import KernelSpecManager

    class OneSpec(KernelSpecManager):
        def get_kernel_spec(self, kernel_name):
            return kernel_spec(method, limits=Limits())

    return OneSpec()
