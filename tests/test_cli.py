"""The command line as a user meets it: what it prints, where it writes, how it fails."""

import json
import os
import resource
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from mnist_course.data import load_mnist


def run(*arguments, cwd, limit=None, **environment):
    def lower():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        [sys.executable, "-m", "mnist_course", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "TQDM_DISABLE": "1", **environment},
        preexec_fn=lower if limit else None,
        check=False,
    )


def assert_one_line(result, *words):
    assert result.returncode == 2, result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    assert result.stderr.startswith("mnist-course: ")
    for word in words:
        assert word in result.stderr


def files_in(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in which each framework has trained for two epochs on the optical digits."""
    folder = tmp_path_factory.mktemp("trained")
    for framework in ("pytorch", "keras", "numpy"):
        options = ["--data", "optdigits", "--epochs", 2, "--validation", 0.1, "--batch-size", 32]
        result = run("train", "--framework", framework, *options, cwd=folder)
        assert result.returncode == 0, result.stderr
    return folder


@pytest.mark.parametrize(
    ("framework", "weights"),
    [("pytorch", "weights.safetensors"), ("keras", "weights.keras"), ("numpy", "weights.npz")],
)
def test_train_writes_weights_history_and_curve(framework, weights, trained):
    folder = trained / "runs" / f"lenet5-{framework}"
    assert {weights, "history.json", "learning_curve.png"} <= set(files_in(folder))
    history = json.loads((folder / "history.json").read_text())
    lengths = [
        len(history[k]) for k in ("train_loss", "train_accuracy", "validation_accuracy", "seconds")
    ]
    assert lengths == [2, 2, 2, 2]
    assert history["settings"]["model"] == "lenet5"
    with Image.open(folder / "learning_curve.png") as picture:
        assert min(picture.size) > 300
        assert len(np.unique(np.asarray(picture.convert("L")))) > 20


def test_train_can_augment(tmp_path):
    options = ["--model", "simple_cnn", "--data", "optdigits", "--epochs", 1, "--out", tmp_path / "run"]
    result = run("train", "--augment", *options, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    settings = json.loads((tmp_path / "run/history.json").read_text())["settings"]
    assert settings["augmentation"] == {"rotation": 10.0, "shift": 2.0, "zoom": 0.1, "elastic": None}


def test_train_says_where_and_takes_a_precision(tmp_path):
    options = ["--model", "simple_cnn", "--data", "optdigits", "--epochs", 1, "--out", tmp_path / "run"]
    result = run("train", "--precision", "bf16", "--device", "cpu", *options, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("training on cpu: ")
    settings = json.loads((tmp_path / "run/history.json").read_text())["settings"]
    assert settings["execution"]["precision"] == "bf16"


@pytest.mark.parametrize("framework", ["pytorch", "keras", "numpy"])
def test_evaluate_prints_interval_and_a_line_per_class(framework, trained):
    result = run("evaluate", "--from", f"runs/lenet5-{framework}", cwd=trained)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == f"lenet5 ({framework}) on optdigits test"
    assert "95 % interval" in lines[1]
    assert lines[3].split() == ["class", "precision", "recall", "F1", "images"]
    rows = [line.split() for line in lines[4:]]
    assert [row[0] for row in rows] == list("0123456789")
    assert sum(int(row[4]) for row in rows) == 600


def test_evaluate_writes_the_measures_it_prints_as_json(trained, tmp_path):
    file = tmp_path / "new" / "measures.json"
    result = run("evaluate", "--from", "runs/lenet5-numpy", "--json", file, cwd=trained)
    assert result.returncode == 0, result.stderr
    measures = json.loads(file.read_text())
    assert f"accuracy {measures['accuracy']:.4f} " in result.stdout
    assert sum(map(sum, measures["confusion"])) == measures["images"] == 600


def test_predict_classifies_files_with_the_newest_run(trained, tmp_path):
    test = load_mnist("test")
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path, image in zip(paths, test.images, strict=False):
        Image.fromarray(image).save(path)
    result = run("predict", *paths, cwd=trained)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert [line.split(": ")[0] for line in lines] == [str(path) for path in paths]
    assert all(line.split(": ")[1][0].isdigit() for line in lines)


def test_data_info_and_verify(tmp_path):
    assert "mnist      train   60000" in run("data", "info", cwd=tmp_path).stdout
    lines = run("data", "verify", cwd=tmp_path).stdout.splitlines()
    assert len(lines) == 8
    assert all(line.startswith("ok  ") for line in lines)


def test_help_needs_no_framework(tmp_path):
    code = (
        "import sys; sys.argv = ['mnist-course', '--help']\n"
        "from mnist_course.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'tensorflow', 'keras', 'sklearn', 'scipy', 'matplotlib'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["train", "--model", "alexnet"], "unknown model 'alexnet'"),
        (["train", "--framework", "caffe"], "unknown framework 'caffe'"),
        (["train", "--data", "cifar"], "unknown data set 'cifar'"),
        (["train", "--optimizer", "lion"], "unknown optimizer 'lion'"),
        (["train", "--device", "cuda:99"], "cuda:99"),
        (["train", "--precision", "int8"], "unknown precision 'int8'"),
        (["train", "--precision", "fp16", "--device", "cpu"], "fp16 needs a CUDA device"),
        (["train", "--precision", "bf16", "--framework", "numpy"], "numpy trains in float32"),
        (["train", "--epochs", "0"], "epochs is 0"),
        (["train", "--epochs", "many"], "--epochs"),
        (["train", "--validation", "1.5"], "fraction"),
        (["train", "--augment", "--framework", "numpy"], "numpy has no augmentation"),
        (["evaluate"], "run mnist-course train"),
        (["evaluate", "--from", "nowhere"], "nowhere"),
        (["predict", "none.png"], "none.png does not exist"),
        (["predict"], "IMAGE"),
        (["data", "export", "out", "--format", "zip"], "unknown format 'zip'"),
        (["dance"], "dance"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, word, tmp_path):
    assert_one_line(run(*arguments, cwd=tmp_path), word)
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "picture", "word"),
    [
        ("empty.png", b"", "is empty"),
        ("pixel.png", np.zeros((1, 1), np.uint8), "1×1"),
        ("float.tiff", np.zeros((28, 28), np.float32), "32 bits per pixel"),
        ("huge.png", np.zeros((8000, 8000), np.uint8), "8000×8000"),
        ("letter.pdf", b"%PDF-1.7", "not a picture"),
    ],
)
def test_bad_pictures_are_one_line_and_status_2(name, picture, word, tmp_path):
    path = tmp_path / name
    if isinstance(picture, bytes):
        path.write_bytes(picture)
    else:
        Image.fromarray(picture).save(path)
    assert_one_line(run("predict", path, cwd=tmp_path), word, name)


def test_a_full_disk_is_one_line_and_leaves_no_partial_file(tmp_path):
    # a limit on the size of files fails a write half-way, as a full disk does
    result = run("data", "export", "out", "--format", "torchvision", cwd=tmp_path, limit=9_000_000)
    assert_one_line(result, "File too large")
    assert files_in(tmp_path) == []  # the first file is the one that does not fit
    result = run(
        "train", "--data", "optdigits", "--epochs", 1, "--out", "out", cwd=tmp_path, limit=100_000
    )
    assert_one_line(result)
    assert files_in(tmp_path) == []


def test_wrong_folders_are_named(tmp_path):
    (tmp_path / "file").write_text("")
    assert_one_line(run("train", "--out", "file", cwd=tmp_path), "is a file")
    assert_one_line(run("data", "export", "file/deeper", cwd=tmp_path), "lies in one")
    assert_one_line(run("data", "info", cwd=tmp_path, MNIST_COURSE_DATA="/nowhere"), "MNIST_COURSE_DATA")


def test_damaged_results_are_named(trained, tmp_path):
    source = trained / "runs" / "lenet5-pytorch"
    for name in ("history.json", "weights.safetensors"):
        (tmp_path / name).write_bytes((source / name).read_bytes())
    (tmp_path / "weights.safetensors").write_bytes(b"not weights")
    assert_one_line(run("evaluate", "--from", tmp_path, cwd=tmp_path), "weights.safetensors")
    (tmp_path / "history.json").write_text("{")
    assert_one_line(run("evaluate", "--from", tmp_path, cwd=tmp_path), "history.json")
    (tmp_path / "history.json").write_text('{"settings": {"framework": "os", "model": "system"}}')
    assert_one_line(run("evaluate", "--from", tmp_path, cwd=tmp_path), "names no network")
