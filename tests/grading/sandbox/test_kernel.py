"""A kernel in a sandbox is a kernel like any other."""

import json
import threading
import time
from textwrap import dedent

import nbformat
import pytest
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

from mnist_course.grading.limits import Limits
from mnist_course.grading.sandbox import METHODS, kernel_spec
from mnist_course.grading.sandbox.trial import AttemptError, Trial


def test_package_can_be_imported(trial):
    assert trial.call("__import__('mnist_course').__version__")


def test_training_images_can_be_loaded(trial):
    assert trial.call("len(__import__('mnist_course.data').data.load_mnist('train'))") == 60_000


def test_test_images_cannot_be_loaded(trial):
    with pytest.raises(AttemptError, match="Error"):
        trial.call("len(__import__('mnist_course.data').data.load_mnist('test'))")


def test_hidden_module_cannot_be_imported(trial):
    with pytest.raises(AttemptError, match="Error"):
        trial.call("''", setup="from mnist_course.scratch import conv2d")


def test_working_directory_is_empty_and_writable(trial):
    setup = """
        import os, pathlib
        before = [name for name in os.listdir() if name[0] != "."]
        pathlib.Path("x").touch()
    """
    assert trial.call("[before, os.path.exists('x')]", setup=dedent(setup)) == [[], True]


def test_temporary_directory_can_be_used(trial):
    setup = """
        import pathlib, tempfile
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "x").touch()
    """
    assert trial.call("pathlib.Path(folder).exists()", setup=dedent(setup)) is False


def test_standard_input_of_the_process_is_empty(trial):
    assert trial.call("os.readlink('/proc/self/fd/0')", setup="import os") == "/dev/null"


def test_environment_holds_nothing_of_the_grader(trial):
    ours = trial.call("sorted(os.environ)", setup="import os")
    assert {"HOME", "PATH", "USER"} <= set(ours)
    assert {"JPY_PARENT_PID", "PYTEST_CURRENT_TEST", "SSH_AUTH_SOCK", "OLDPWD"} & set(ours) == set()


def test_kernel_outlives_two_looks_for_its_parent(trial):
    """With JPY_PARENT_PID set, ipykernel ends itself where it cannot see that process."""
    assert trial.call("time.sleep(2.1) or 'alive'", setup="import time") == "alive"


REMOVE = """
import os, pathlib
sockets = list(pathlib.Path(FOLDER).glob("s-*"))
for path in sockets:
    path.unlink()
"""


def test_grader_stays_connected_when_the_student_removes_the_sockets(method):
    with Trial(method, Limits()) as running:
        setup = REMOVE.replace("FOLDER", repr(running.provisioner.enclosure.inside))
        assert running.call("len(sockets)", setup=setup) == 5


def test_sealed_sockets_cannot_be_removed(method):
    """As root, that is; an ordinary user's sandbox has the user's own id."""
    with Trial(method, Limits()) as running:
        running.provisioner.seal()
        setup = REMOVE.replace("FOLDER", repr(running.provisioner.enclosure.inside))
        if running.user is None:
            assert running.call("len(sockets)", setup=setup) == 5
        else:
            with pytest.raises(AttemptError, match="PermissionError"):
                running.call("''", setup=setup)
        assert running.call("'still here'") == "still here"


def test_interrupt_stops_the_cell_and_not_the_kernel(trial):
    timer = threading.Timer(0.5, trial.manager.interrupt_kernel)
    timer.start()
    start = time.monotonic()
    with pytest.raises(AttemptError, match="KeyboardInterrupt"):
        trial.call("''", setup="import time\ntime.sleep(30)")
    timer.join()
    assert time.monotonic() - start < 20
    assert trial.call("'again'") == "again"


def test_pytorch_fits_into_the_default_limits(trial):
    """It maps 3 GB of libraries when it is imported."""
    setup = "import torch\nimages, kernels = torch.ones(64, 1, 28, 28), torch.ones(8, 1, 3, 3)"
    shape = trial.call("list(torch.nn.functional.conv2d(images, kernels).shape)", setup=setup)
    assert shape == [64, 8, 26, 26]


def test_socket_paths_fit_into_a_socket_address(trial):
    """107 bytes, whatever the process id (at most 7 digits) and the port (5)."""
    assert len(trial.manager.ip) + 7 + 6 <= 107


def test_nbclient_needs_no_change(method, specs):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")])
    manager = KernelManager(kernel_name="any", kernel_spec_manager=specs)
    NotebookClient(notebook, km=manager).execute()
    assert notebook.cells[0].outputs[0].data["text/plain"] == "2"


@pytest.mark.parametrize("method", METHODS)
def test_specification_of_a_kernel_is_json(method):
    spec = kernel_spec(method, limits=Limits(), hide=("mnist_course.scratch",))
    assert json.loads(json.dumps(spec.to_dict())) == spec.to_dict()


def test_modules_beside_a_hidden_one_can_be_imported(method):
    with Trial(method, Limits(), hide=("mnist_course.data.corruption",)) as running:
        assert (
            running.call("__import__('mnist_course.data').data.idx.__name__") == "mnist_course.data.idx"
        )
        with pytest.raises(AttemptError, match="Error"):
            running.call("''", setup="import mnist_course.data.corruption")
