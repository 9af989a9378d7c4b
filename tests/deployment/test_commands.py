"""From a trained network to an answered request, as a user types it."""

import json
import re
import signal
import subprocess
import sys
import urllib.request

import numpy as np
import onnx
import pytest
from hostile import as_file

from mnist_course.deployment.network import OnnxNetwork
from mnist_course.equivalence import convert
from mnist_course.history import History
from mnist_course.models import wing
from mnist_course.runs import WEIGHTS


def run(*arguments, cwd):
    command = [sys.executable, "-m", "mnist_course", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


@pytest.fixture(params=["pytorch", "numpy"])
def folder(request, module, tmp_path):
    """What `mnist-course train` leaves."""
    path, framework = tmp_path / "runs" / "lenet5", request.param
    wing(framework, "training").save_weights(convert(module, to=framework), path / WEIGHTS[framework])
    settings = {"model": "lenet5", "framework": framework, "data": "optdigits"}
    History(settings=settings).save(path / "history.json")
    return path


def test_export_writes_the_network_of_a_run(folder, network, test_digits):
    result = run("export", "--to", "new/digits.onnx", cwd=folder.parents[1])
    assert result.returncode == 0, result.stderr
    first, second = result.stdout.splitlines()
    assert first.startswith("wrote new/digits.onnx: lenet5, opset 18, uint8 images (N, 28, 28) in")
    assert float(re.findall(r"by (\S+) at most", second)[0]) <= 1e-5
    path = folder.parents[1] / "new/digits.onnx"
    onnx.checker.check_model(onnx.load(path))
    found = OnnxNetwork.load(path)
    expected = network.predict(test_digits.images)
    np.testing.assert_allclose(found.predict(test_digits.images), expected, rtol=0, atol=1e-5)
    assert found.class_names == tuple("0123456789")
    assert len(found.reference.ink) == 1000  # optical digits that it was trained on


def test_serve_answers_and_ends_with_control_c(model_file, network, test_digits, tmp_path):
    command = [sys.executable, "-m", "mnist_course", "serve", "--model", str(model_file)]
    options = ["--port", "0", "--seconds", "60", "--corrections", str(tmp_path / "kept")]
    with subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as service:
        try:
            assert "are kept in" in service.stdout.readline()
            address = re.findall(
                r"lenet5 answers at (http://127\.0\.0\.1:\d+/predict)", service.stdout.readline()
            )
            request = urllib.request.Request(
                address[0], as_file(test_digits.images[3]), {"Content-Type": "image/png"}
            )
            answer = json.loads(urllib.request.urlopen(request, timeout=60).read())
            expected = network.predict(test_digits.images[3:4])[0]
            assert answer["digit"] == str(expected.argmax())
            assert re.fullmatch("[0-9a-f]{32}", answer["id"])
        finally:
            service.send_signal(signal.SIGINT)
        _, errors = service.communicate(timeout=60)
    assert (service.returncode, errors.strip()) == (130, "")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["export"], "run mnist-course train"),
        (["export", "--from", "nowhere"], "nowhere"),
        (["serve"], "model.onnx is no file"),
        (["serve", "--model", "text.onnx"], "text.onnx is no ONNX file"),
        (["serve", "--port", "70000"], "--port"),
        (["serve", "--rate", "-1"], "rate is -1"),
        (["serve", "--model", "digits.onnx", "--host", "192.0.2.1"], "cannot listen at 192.0.2.1"),
        (["serve", "--model", "digits.onnx", "--corrections", "text.onnx"], "text.onnx is a file"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, word, model_file, tmp_path):
    (tmp_path / "text.onnx").write_text("no network")
    (tmp_path / "digits.onnx").write_bytes(model_file.read_bytes())
    result = run(*arguments, cwd=tmp_path)
    assert (result.returncode, len(result.stderr.splitlines())) == (2, 1), result.stderr
    assert result.stderr.startswith("mnist-course: ")
    assert word in result.stderr
