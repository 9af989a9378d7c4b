"""A whole network: equal to PyTorch's, deterministic, saved and loaded safely."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mnist_course.scratch import (
    Adam,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    MaxPool2D,
    ReLU,
    Sequential,
    check_gradients,
    cross_entropy_and_gradient,
    lenet5,
    simple_cnn,
)


def torch_lenet5(network, dtype):
    """PyTorch's LeNet-5 with the same weights; the first dense layer reads (h, w, c) order."""
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    ).to(dtype)  # fmt: skip
    arrays = iter(network.parameters().values())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.tensor(to_torch(next(arrays))))
    return model


def to_torch(array):
    if array.ndim == 4:
        return array.transpose(3, 2, 0, 1)
    if array.shape[0] == 400:  # rows h, w, c -> columns c, h, w
        return array.reshape(5, 5, 16, -1).transpose(3, 2, 0, 1).reshape(-1, 400)
    return array.T


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-9), ("float32", 1e-4)])
@pytest.mark.parametrize("batch", [1, 7])
def test_lenet5_equals_pytorch_in_logits_loss_and_every_gradient(dtype, tolerance, batch):
    rng = np.random.default_rng(0)
    images = rng.random((batch, 28, 28, 1)).astype(dtype)
    images[:, :, :7] = 0  # flat borders make ties in pooling
    labels = rng.integers(0, 10, batch)
    ours = lenet5(seed=3, dtype=dtype)
    theirs = torch_lenet5(ours, getattr(torch, dtype))
    logits = ours.forward(images, training=True)
    loss, d_logits = cross_entropy_and_gradient(logits, labels)
    d_images = ours.backward(d_logits)
    tensor = torch.tensor(images.transpose(0, 3, 1, 2), requires_grad=True)
    expected = theirs(tensor)
    expected_loss = F.cross_entropy(expected, torch.tensor(labels))
    expected_loss.backward()

    def close(a, b):
        np.testing.assert_allclose(a, b.detach(), rtol=tolerance, atol=tolerance)

    close(logits, expected)
    close(loss, expected_loss)
    close(d_images.transpose(0, 3, 1, 2), tensor.grad)
    for gradient, parameter in zip(ours.gradients().values(), theirs.parameters(), strict=True):
        close(to_torch(gradient), parameter.grad)


def test_lenet5_passes_the_gradient_check():
    rng = np.random.default_rng(0)
    images = rng.standard_normal((3, 28, 28, 1))
    errors = check_gradients(lenet5(1, dtype=np.float64), images, rng.integers(0, 10, 3), samples=20)
    assert max(errors.values()) < 1e-5, errors


def small_network(seed=0):
    return Sequential(
        [
            Conv2D(1, 4, 3, rng=seed),
            BatchNorm(4),
            ReLU(),
            MaxPool2D(2),
            Flatten(),
            Dropout(0.2, rng=seed),
            Dense(4 * 13 * 13, 10, rng=seed),
        ],
        (28, 28, 1),
    )


def trained(network, steps=8):
    rng = np.random.default_rng(5)
    optimizer = Adam(network.parameters(), 0.01)
    losses = []
    for _ in range(steps):
        images = rng.random((16, 28, 28, 1), dtype=np.float32)
        labels = (images[:, :14].mean(axis=(1, 2, 3)) > 0.5).astype(int)
        logits = network.forward(images, training=True)
        loss, d_logits = cross_entropy_and_gradient(logits, labels)
        network.backward_parameters(d_logits)
        optimizer.step(network.gradients())
        losses.append(loss)
    return losses


@pytest.mark.parametrize("make", [small_network, lenet5])
def test_two_runs_give_the_same_bits(make):
    first, again = make(), make()
    assert trained(first) == trained(again)
    for a, b in zip(first.state().values(), again.state().values(), strict=True):
        assert a.tobytes() == b.tobytes()


def test_training_lowers_the_loss():
    losses = trained(small_network(), steps=30)
    assert np.mean(losses[-5:]) < 0.5 * losses[0]


def test_fit_and_evaluate_on_real_digits(train_digits, test_digits):
    network = simple_cnn(0)
    history = network.fit(
        train_digits, test_digits, epochs=4, batch_size=32, learning_rate=3e-3, progress=False
    )
    assert history.train_loss[-1] < history.train_loss[0]
    assert network.evaluate(test_digits).accuracy == history.validation_accuracy[-1]


def test_saved_and_loaded_networks_are_equal(tmp_path):
    network, other = small_network(), small_network(seed=9)
    trained(network)
    network.save(tmp_path / "w.npz")
    other.load(tmp_path / "w.npz")
    images = np.random.default_rng(1).random((3, 28, 28, 1), dtype=np.float32)
    assert network.forward(images).tobytes() == other.forward(images).tobytes()
    assert "1.running_mean" in other.state()


def spoil_pickle(path, arrays):
    np.savez(path, **arrays | {"0.bias": np.array([{"a": 1}], dtype=object)})


def spoil_shape(path, arrays):
    np.savez(path, **arrays | {"0.bias": np.zeros(5, np.float32)})


def spoil_name(path, arrays):
    np.savez(path, **arrays, surprise=np.zeros(1))


def spoil_missing(path, arrays):
    np.savez(path, **{name: array for name, array in arrays.items() if name != "0.bias"})


def spoil_nan(path, arrays):
    np.savez(path, **arrays | {"0.bias": np.full(4, np.nan, np.float32)})


def spoil_dtype(path, arrays):
    np.savez(path, **arrays | {"0.bias": np.array(list("abcd"))})


def spoil_length(path, arrays):
    np.savez(path, **arrays)
    path.write_bytes(path.read_bytes()[:-200])


def spoil_bits(path, arrays):
    np.savez(path, **arrays)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def spoil_kind(path, arrays):
    with path.open("wb") as file:
        np.save(file, arrays["0.bias"])


def spoil_all(path, arrays):
    path.write_bytes(b"\x80\x04not an archive")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_pickle, "not a complete .npz file of plain arrays"),
        (spoil_shape, r"does not fit sequential: 0.bias has shape \(5,\), expected \(4,\)"),
        (spoil_name, "surprise has shape .* expected none"),
        (spoil_missing, "0.bias has shape none"),
        (spoil_nan, "0.bias holds float32 values, expected finite"),
        (spoil_dtype, "0.bias holds <U1 values"),
        (spoil_length, "not a complete .npz file"),
        (spoil_bits, "not a complete .npz file"),
        (spoil_kind, "it holds a single array"),
        (spoil_all, "not a complete .npz file"),
    ],
)
def test_a_spoiled_file_is_refused_and_changes_nothing(spoil, message, tmp_path):
    network = small_network()
    before = {name: array.copy() for name, array in network.state().items()}
    spoil(tmp_path / "w.npz", before)
    with pytest.raises(ValueError, match=message) as caught:
        network.load(tmp_path / "w.npz")
    assert "\n" not in str(caught.value)
    for name, array in network.state().items():
        assert (array == before[name]).all()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"none.npz does not exist"):
        small_network().load(tmp_path / "none.npz")


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 28, 28), np.float32), r"shape \(2, 28, 28\), expected \(N, 28, 28, 1\)"),
        (np.zeros((2, 28, 28, 3), np.float32), r"expected \(N, 28, 28, 1\)"),
        (np.zeros((2, 28, 28, 1), np.uint8), r"dtype uint8"),
        (np.full((2, 28, 28, 1), np.nan, np.float32), r"images contains 1568 values that are NaN"),
        (np.full((1, 28, 28, 1), np.inf, np.float32), r"NaN or infinite"),
        (np.zeros((2, 28, 28, 1)), r"expected one dtype"),
    ],
)
def test_unusable_images_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        lenet5().forward(images)


def test_large_finite_images_are_not_called_infinite():
    network = Sequential([Flatten()], (2, 2, 1))
    huge = np.full((3, 2, 2, 1), np.finfo(np.float32).max)
    with np.errstate(over="ignore"):
        assert network.forward(huge).shape == (3, 4)


def test_layers_that_do_not_fit_are_refused_when_building():
    with pytest.raises(ValueError, match=r"layer 1: Dense takes rows of 99 values"):
        Sequential([Flatten(), Dense(99, 10)], (28, 28, 1))
    with pytest.raises(ValueError, match="at least one layer"):
        Sequential([])


def test_summary_counts():
    table = lenet5().summary()
    lines = table.splitlines()
    assert lines[0].split() == ["layer", "output", "shape", "parameters", "multiply-adds"]
    assert lines[-1].split() == ["lenet5", "61,706", "416,520"]
    assert "(10, 10, 16)       2,416        240,000" in table
    with pytest.raises(ValueError, match="input_shape"):
        Sequential([Flatten()]).summary()


def test_importing_the_wing_imports_numpy_and_no_framework():
    heavy = {"torch", "tensorflow", "keras", "scipy", "sklearn", "matplotlib", "pandas", "tqdm"}
    code = (
        "import sys, mnist_course.scratch; "
        f"loaded = {heavy!r} & set(sys.modules); assert not loaded, loaded; "
        "assert 'numpy' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
