"""What fine-tuning wrote comes back as the same network, and nothing else comes back at all."""

import json
import pickle
import struct

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mnist_course import build
from mnist_course.data import ImageDataset
from mnist_course.errors import InputError
from mnist_course.finetuning import METHODS
from mnist_course.finetuning.methods import fine_tune
from mnist_course.finetuning.storage import KEY, Description, digest, load_adapter, load_merged
from mnist_course.pytorch import regularized
from mnist_course.pytorch.training import load_weights, predict_logits

SMALL = {"batch_size": 32, "seed": 3, "progress": False, "device": "cpu"}


@pytest.fixture(scope="module")
def two(train_digits):
    """Sixes and sevens."""
    chosen = train_digits.subset((train_digits.labels == 6) | (train_digits.labels == 7))
    return ImageDataset(chosen.images, chosen.labels - 6, ("six", "seven"))


@pytest.fixture(scope="module")
def tuned(two, tmp_path_factory):
    """A network, and for each method its fine-tuning and the folder with it."""
    model = build("lenet5", seed=1)
    found = {}
    for method in METHODS:
        folder = tmp_path_factory.mktemp(method)
        found[method] = fine_tune(model, two, method=method, epochs=2, rank=3, **SMALL), folder
        found[method][0].save(folder)
    return model, found


@pytest.mark.parametrize("method", METHODS)
def test_the_network_and_what_was_trained_give_the_fine_tuned_network(method, tuned, two):
    model, found = tuned
    result, folder = found[method]
    again = load_adapter(model, folder / "adapter.safetensors")
    assert (predict_logits(again, two.images) == predict_logits(result.model, two.images)).all()


@pytest.mark.parametrize("method", METHODS)
def test_the_merged_file_gives_the_merged_network(method, tuned, two):
    _, found = tuned
    result, folder = found[method]
    again, names = load_merged(build("lenet5", seed=9), folder / "weights.safetensors")
    logits = predict_logits(again, two.images)
    assert (logits == predict_logits(result.merged(), two.images)).all()
    # merging rounds W + BA once more
    np.testing.assert_allclose(logits, predict_logits(result.model, two.images), atol=1e-5)
    assert names == ("six", "seven")


@pytest.mark.parametrize("method", ["linear", "lora", "bias", "prompt", "adapter"])
def test_what_was_trained_is_smaller_than_the_network(method, tuned):
    _, found = tuned
    result, folder = found[method]
    assert (folder / "adapter.safetensors").stat().st_size == result.stored_bytes
    assert result.stored_bytes < (folder / "weights.safetensors").stat().st_size / 5


def test_a_merged_network_without_additions_is_an_ordinary_one(train_digits, tmp_path):
    result = fine_tune(build("simple_cnn"), train_digits, method="lora", epochs=1, **SMALL)
    result.save(tmp_path)
    plain = build("simple_cnn", seed=5)
    load_weights(plain, tmp_path / "weights.safetensors")
    logits = (predict_logits(network, train_digits.images) for network in (plain, result.merged()))
    assert (next(logits) == next(logits)).all()


def test_running_statistics_are_stored_with_what_was_trained(train_digits, tmp_path):
    model = regularized.build(batch_norm=True, seed=1)
    result = fine_tune(model, train_digits.subset(range(100)), method="full", epochs=1, **SMALL)
    result.save(tmp_path)
    again = load_adapter(model, tmp_path / "adapter.safetensors")
    assert torch.equal(again.norm1.running_mean, result.model.norm1.running_mean)
    assert not torch.equal(again.norm1.running_mean, model.norm1.running_mean)


def test_another_network_does_not_take_what_was_trained(tuned):
    _, found = tuned
    path = found["lora"][1] / "adapter.safetensors"
    for other in (build("lenet5", seed=2), build("simple_cnn", seed=1)):
        with pytest.raises(InputError, match="other weights, or another network"):
            load_adapter(other, path)


def test_another_architecture_does_not_take_the_merged_network(tuned):
    _, found = tuned
    for method in METHODS:
        with pytest.raises(InputError, match=r"does not fit|rank|width") as caught:
            load_merged(build("small_cnn"), found[method][1] / "weights.safetensors")
        assert "\n" not in str(caught.value)


def test_the_digest_tells_networks_apart_and_not_their_copies():
    assert digest(build("lenet5", seed=1)) == digest(build("lenet5", seed=1))
    assert digest(build("lenet5", seed=1)) != digest(build("lenet5", seed=2))


def description(**changed):
    return {
        "method": "full",
        "rank": 4,
        "class_names": ["a", "b"],
        "labels": None,
        "base": "",
        **changed,
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "[" * 100_000,
        json.dumps({"method": "full"}),
        json.dumps(description(more=1)),
        *(
            json.dumps(description(**changed))
            for changed in (
                {"method": "magic"}, {"method": ["full"]}, {"rank": 0}, {"rank": 10**9}, {"rank": "4"},
                {"class_names": []}, {"class_names": ["a"]}, {"class_names": ["a"] * 300},
                {"class_names": [1, 2]}, {"class_names": ["a", "\x1b[2J"]}, {"class_names": None},
                {"labels": [1]}, {"labels": ["x", "y"]}, {"labels": 3}, {"base": 7},
            )
        ),
    ],
    ids=lambda text: text[:60],
)  # fmt: skip
def test_a_description_that_is_none_is_refused(text, tmp_path):
    save_file({"x": torch.zeros(1)}, tmp_path / "w.safetensors", metadata={KEY: text})
    with pytest.raises(InputError, match=r"w.safetensors: .*description") as caught:
        load_merged(build("lenet5"), tmp_path / "w.safetensors")
    assert "\n" not in str(caught.value)


def test_a_description_comes_back():
    about = Description("prompt", 3, ("six", "seven"), (4, 1), "abc")
    assert Description.from_json(about.to_json()) == about


def test_weights_without_a_description_say_so(tmp_path):
    model = build("lenet5")
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="holds weights and no adapter"):
        load_adapter(model, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="does not say how it was fine-tuned"):
        load_merged(model, tmp_path / "w.safetensors")


class _Hostile:
    def __reduce__(self):
        return exec, ("raise SystemExit('a pickle was run')",)


def hostile(kind):
    """Return bytes that a careless reader would run, or that promise more than there is."""
    if kind == "pickle":
        return pickle.dumps(_Hostile())
    if kind == "endless header":
        return struct.pack("<Q", 2**62) + b"{"
    header = json.dumps({"x": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    return struct.pack("<Q", len(header)) + header


@pytest.mark.parametrize("kind", ["pickle", "endless header", "endless tensor"])
@pytest.mark.parametrize("load", [load_adapter, load_merged])
def test_hostile_files_are_refused_and_not_run(load, kind, tmp_path):
    path = tmp_path / "adapter.safetensors"
    path.write_bytes(hostile(kind))
    with pytest.raises(InputError, match=r"adapter.safetensors is no safetensors file"):
        load(build("lenet5"), path)


@pytest.mark.parametrize("load", [load_adapter, load_merged])
def test_files_that_are_not_there_are_named(load, tmp_path):
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(InputError, match="does not exist"):
            load(build("lenet5"), path)


def test_missing_and_foreign_tensors_are_named(tuned, tmp_path):
    from safetensors.torch import load_file

    model, found = tuned
    result, folder = found["linear"]
    state = load_file(folder / "adapter.safetensors")
    metadata = {KEY: result.about.to_json()}
    for changed, word in (
        ({"fc3.bias": state["fc3.bias"]}, "fc3.weight has shape none"),
        ({**state, "conv1.bias": torch.zeros(6)}, r"conv1.bias has shape \(6,\), expected none"),
        ({**state, "fc3.weight": torch.zeros(3, 84)}, r"fc3.weight has shape \(3, 84\), expected \(2"),
    ):
        save_file(changed, tmp_path / "a.safetensors", metadata=metadata)
        with pytest.raises(InputError, match=word):
            load_adapter(model, tmp_path / "a.safetensors")
