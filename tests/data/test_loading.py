import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

from mnist_course.data import (
    load,
    load_fashion_mnist,
    load_mnist,
    load_optdigits,
    loading,
    read_idx,
    write_idx,
)
from mnist_course.data.export import export_mnist
from mnist_course.data.loading import ARCHIVES, SHA256
from mnist_course.errors import InputError


@pytest.mark.parametrize(
    ("name", "split", "count"),
    [
        ("mnist", "train", 60_000),
        ("mnist", "test", 10_000),
        ("fashion", "train", 6_000),
        ("fashion", "test", 2_000),
        ("optdigits", "train", 1_197),
        ("optdigits", "test", 600),
    ],
)
def test_every_data_set_loads(name, split, count):
    dataset = load(name, split)
    assert len(dataset) == count
    assert (dataset.counts() > 0).all()
    assert dataset.images.max() > 200


def test_mnist_has_the_published_class_counts_and_first_labels():
    train = load_mnist("train")
    assert train.counts().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]


def test_embedded_archives_are_at_most_ten_megabytes():
    assert sum(path.stat().st_size for path in (ARCHIVES / "mnist").iterdir()) <= 10_000_000


def test_fashion_subset_is_balanced_and_named():
    test = load_fashion_mnist("test")
    assert test.counts().tolist() == [200] * 10
    assert test.class_names[9] == "ankle boot"


def test_optical_digits_are_centred_and_keep_their_ink():
    from sklearn.datasets import load_digits

    dataset = load_optdigits("test")
    images = dataset.images.astype(float)
    mass = images.sum((1, 2))
    rows = (images.sum(2) @ np.arange(28)) / mass
    columns = (images.sum(1) @ np.arange(28)) / mass
    # a centre can miss 13.5 by half a pixel of rounding, and by more where the box hits the border
    assert np.quantile(np.abs(rows - 13.5), 0.95) <= 0.51
    assert np.quantile(np.abs(columns - 13.5), 0.95) <= 0.51
    source = load_digits().images[1197:]
    np.testing.assert_allclose(mass, source.sum((1, 2)) * (255 / 16) * (20 / 8) ** 2, rtol=0.05)
    assert dataset.labels.tolist() == load_digits().target[1197:].tolist()


def test_second_load_is_the_same_object():
    assert load_mnist("train") is load_mnist("train")


@pytest.mark.parametrize("call", [lambda: load("emnist", "train"), lambda: load_mnist("validation")])
def test_unknown_names_are_refused(call):
    with pytest.raises(InputError, match="unknown"):
        call()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """MNIST_COURSE_DATA with twelve own images per split."""
    for prefix in ("train", "t10k"):
        write_idx(tmp_path / f"{prefix}-images-idx3-ubyte", np.full((12, 28, 28), 7, np.uint8))
        write_idx(tmp_path / f"{prefix}-labels-idx1-ubyte.gz", np.arange(12, dtype=np.uint8) % 10)
    monkeypatch.setenv("MNIST_COURSE_DATA", str(tmp_path))
    return tmp_path


def test_a_folder_of_idx_files_replaces_the_embedded_data(folder):
    dataset = load_mnist("train")
    assert len(dataset) == 12
    assert dataset.images[0, 0, 0] == 7


def test_a_wrong_folder_is_named(folder, monkeypatch):
    monkeypatch.setenv("MNIST_COURSE_DATA", str(folder / "nowhere"))
    with pytest.raises(InputError, match="holds no train-images-idx3-ubyte"):
        load_mnist("train")


def test_swapped_files_are_recognised(folder):
    images, labels = folder / "train-images-idx3-ubyte", folder / "train-labels-idx1-ubyte.gz"
    other = folder / "other"
    images.rename(other), labels.rename(images), other.rename(folder / "train-labels-idx1-ubyte")
    with pytest.raises(InputError, match="swapped"):
        load_mnist("train")


def test_truncated_files_are_recognised(folder):
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="truncated"):
        load_mnist("train")


def test_one_flipped_bit_in_mnist_is_recognised(folder, monkeypatch):
    monkeypatch.delenv("MNIST_COURSE_DATA")
    export_mnist(folder / "full", "idx")
    monkeypatch.setenv("MNIST_COURSE_DATA", str(folder / "full"))
    read = []
    with monkeypatch.context() as patch:
        patch.setattr(loading, "read_idx", lambda path: read.append(path.name) or read_idx(path))
        assert load_mnist("test").counts().sum() == 10_000
    assert read == ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"], "each once"
    path = folder / "full" / "t10k-images-idx3-ubyte"
    data = bytearray(path.read_bytes())
    data[4_000_000] ^= 4
    path.write_bytes(data)
    monkeypatch.setenv("MNIST_COURSE_DATA", f"{folder}/full/")  # another spelling: not the cached load
    with pytest.raises(InputError, match="SHA-256"):
        load_mnist("test")
    monkeypatch.setenv("MNIST_COURSE_UNVERIFIED", "1")
    assert len(load_mnist("test")) == 10_000


def test_a_damaged_archive_is_recognised(tmp_path):
    name = "mnist/t10k-labels-idx1-ubyte"
    data = bytearray((ARCHIVES / f"{name}.xz").read_bytes())
    data[2000] ^= 1
    (tmp_path / "labels.xz").write_bytes(data)
    with pytest.raises(InputError, match="damaged"):
        read_idx(tmp_path / "labels.xz", sha256=SHA256[name])


@pytest.mark.parametrize("layout", ["idx", "torchvision"])
def test_exported_files_are_the_original_ones(layout, tmp_path):
    for path in export_mnist(tmp_path, layout):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == SHA256[f"mnist/{path.name}"]


def test_torchvision_reads_its_export_without_download(tmp_path):
    from torchvision.datasets import MNIST

    export_mnist(tmp_path, "torchvision")
    for split in ("train", "test"):
        theirs, ours = MNIST(tmp_path, train=split == "train", download=False), load_mnist(split)
        assert (theirs.data.numpy() == ours.images).all()
        assert (theirs.targets.numpy() == ours.labels).all()


def test_npz_export_is_what_keras_expects(tmp_path):
    (path,) = export_mnist(tmp_path, "npz")
    with np.load(path, allow_pickle=False) as arrays:
        assert (arrays["x_test"] == load_mnist("test").images).all()
        assert (arrays["y_train"] == load_mnist("train").labels).all()


def test_unknown_layout_and_target_are_refused(tmp_path):
    with pytest.raises(InputError, match="unknown format"):
        export_mnist(tmp_path, "csv")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        export_mnist(tmp_path / "file", "idx")


def test_importing_the_package_imports_numpy_only():
    code = "import sys, json, mnist_course, mnist_course.data; print(json.dumps(sorted(sys.modules)))"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in json.loads(modules.stdout)}
    assert "numpy" in loaded
    heavy = {"torch", "tensorflow", "keras", "sklearn", "scipy", "matplotlib", "PIL", "click", "tqdm"}
    assert not loaded & heavy
