"""What is accepted as an exported network."""

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from mnist_course.deployment.network import OnnxNetwork
from mnist_course.errors import InputError


def changed(model_file, change):
    proto = onnx.load(model_file)
    change({one.key: one for one in proto.metadata_props}, proto)
    return proto.SerializeToString()


def without_names(texts, proto):
    proto.metadata_props.remove(texts["class_names"])


def other_kind():
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "g",
        [value("x", TensorProto.FLOAT, [1])],
        [value("y", TensorProto.FLOAT, [1])],
    )
    opset = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no ONNX file"),
        (b"PK\x03\x04 not a network", "no ONNX file"),
        (other_kind(), "ONNX file of another kind"),
    ],
    ids=["empty", "a zip", "another network"],
)
def test_other_files_are_refused_in_one_line(content, message, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        OnnxNetwork.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_names, "does not say what its outputs mean"),
        (lambda t, _: setattr(t["class_names"], "value", "["), "does not say what its outputs mean"),
        (lambda t, _: setattr(t["class_names"], "value", '["a", "b"]'), "2 classes for its 10 outputs"),
        (lambda t, _: setattr(t["class_names"], "value", json.dumps([1] * 10)), "names 10 classes"),
        (lambda t, _: setattr(t["reference"], "value", '{"ink": 3}'), "does not say what its outputs"),
    ],
)
def test_damaged_metadata_are_refused(change, message, model_file):
    with pytest.raises(InputError, match=message):
        OnnxNetwork(changed(model_file, change))


def test_a_missing_or_oversized_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.onnx is no file"):
        OnnxNetwork.load(tmp_path / "none.onnx")
    with (tmp_path / "large.onnx").open("wb") as file:
        file.truncate(1 << 30)  # of no blocks
    with pytest.raises(InputError, match="has 1024 MiB"):
        OnnxNetwork.load(tmp_path / "large.onnx")


def test_threads_may_share_a_network(network, test_digits):
    from concurrent.futures import ThreadPoolExecutor

    expected = network.predict(test_digits.images)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: network.predict(test_digits.images[i : i + 1])[0], range(200)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_the_service_needs_no_framework(model_file):
    code = (
        "import sys; import mnist_course.deployment.server as server;"
        "from mnist_course.deployment.service import create_app;"
        "from mnist_course.deployment.network import OnnxNetwork;"
        f"create_app(OnnxNetwork.load({str(model_file)!r}));"
        "heavy = {'torch', 'tensorflow', 'keras', 'sklearn', 'matplotlib', 'onnx', 'onnxscript'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
