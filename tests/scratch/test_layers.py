"""Every layer's gradients agree with finite differences; batch normalisation with PyTorch."""

import numpy as np
import pytest
import torch

from mnist_course.scratch import (
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Layer,
    MaxPool2D,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
    check_gradients,
    numerical_gradient,
)

F64 = {"dtype": np.float64}
LAYERS = {
    "dense": (lambda: Dense(6, 4, rng=0, **F64), (5, 6)),
    "conv": (lambda: Conv2D(2, 3, 3, rng=0, padding="same", stride=2, **F64), (3, 7, 8, 2)),
    "dilated conv": (lambda: Conv2D(1, 2, (2, 3), rng=0, dilation=3, **F64), (2, 9, 9, 1)),
    "max pool": (lambda: MaxPool2D(3, 2), (2, 7, 7, 2)),
    "average pool": (lambda: AvgPool2D((2, 3)), (2, 5, 7, 2)),
    "flatten": (Flatten, (3, 2, 2, 3)),
    "relu": (ReLU, (4, 5)),
    "sigmoid": (Sigmoid, (4, 5)),
    "tanh": (Tanh, (2, 3, 3, 2)),
    "dropout": (lambda: Dropout(0.4, rng=0), (6, 7)),
    "batch norm of rows": (lambda: BatchNorm(4, **F64), (6, 4)),
    "batch norm of images": (lambda: BatchNorm(3, **F64), (2, 4, 3, 3)),
}
FUSED = {
    "conv, relu and pool in one": (
        lambda: Sequential([Conv2D(1, 2, 3, rng=0, **F64), ReLU(), MaxPool2D()]),
        (2, 8, 8, 1),
    )
}


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_agree_with_finite_differences(name):
    make, shape = LAYERS[name]
    x = np.random.default_rng(0).standard_normal(shape)
    layer = make()
    errors = check_gradients(layer, x)
    assert errors.keys() == {"input", *layer.parameters()}
    assert max(errors.values()) < 1e-6, errors


@pytest.mark.parametrize("name", LAYERS)
def test_output_shape_is_the_shape_that_comes_out(name):
    make, shape = LAYERS[name]
    layer = make()
    assert layer.forward(np.ones(shape)).shape == (shape[0], *layer.output_shape(shape[1:]))


@pytest.mark.parametrize("name", LAYERS)
def test_backward_without_a_training_forward_is_refused(name):
    make, shape = LAYERS[name]
    layer = make()
    out = layer.forward(np.ones(shape))
    with pytest.raises(ValueError, match=r"forward\(x, training=True\) first"):
        layer.backward(out)


@pytest.mark.parametrize("name", ["dense", "conv"])
def test_parameter_gradients_alone_are_the_same(name):
    make, shape = LAYERS[name]
    layer, x = make(), np.random.default_rng(0).standard_normal(shape)
    d_out = np.ones_like(layer.forward(x, training=True))
    layer.backward(d_out)
    expected = {key: value.copy() for key, value in layer.gradients().items()}
    layer.backward_parameters(2 * d_out)
    for key, value in layer.gradients().items():
        np.testing.assert_allclose(value, 2 * expected[key], rtol=1e-12)


def test_the_check_finds_a_wrong_derivative():
    class RectifiedTwice(ReLU):
        """The mistake: the derivative taken of the rectified output, and 1 wherever it is >= 0."""

        def backward(self, d_out):
            return d_out * (np.maximum(self._remembered(self._x), 0) >= 0)

    x = np.random.default_rng(0).standard_normal((4, 5))
    assert check_gradients(RectifiedTwice(), x)["input"] > 0.1


def test_the_check_finds_dropout_scaled_only_forward():
    class HalfScaled(Dropout):
        def backward(self, d_out):
            return d_out * (self._remembered(self._scale) > 0)

    x = np.random.default_rng(0).standard_normal((4, 5))
    assert check_gradients(HalfScaled(0.5, rng=0), x)["input"] > 0.1


def test_finite_differences_refuse_float32():
    with pytest.raises(ValueError, match="need float64"):
        check_gradients(Dense(2, 2, rng=0), np.ones((1, 2), np.float32))


def test_numerical_gradient_restores_the_array():
    x = np.array([1.0, 2.0])
    gradient = numerical_gradient(lambda: float(x @ x), x)
    np.testing.assert_allclose(gradient, [2, 4], rtol=1e-6)
    assert x.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("shape", [(6, 3), (4, 5, 2, 3)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_batch_norm_equals_pytorch_in_training_and_evaluation(shape, dtype):
    rng = np.random.default_rng(0)
    ours = BatchNorm(3, momentum=0.2, epsilon=1e-3, dtype=dtype)
    kind = torch.nn.BatchNorm1d if len(shape) == 2 else torch.nn.BatchNorm2d
    theirs = kind(3, eps=1e-3, momentum=0.2, dtype=getattr(torch, dtype))
    ours.gamma[...], ours.beta[...] = rng.uniform(0.5, 2, 3), rng.standard_normal(3)
    with torch.no_grad():
        theirs.weight.copy_(torch.tensor(ours.gamma))
        theirs.bias.copy_(torch.tensor(ours.beta))
    tolerance = {"float32": 1e-4, "float64": 1e-9}[dtype]

    def close(a, b):
        b = b.detach()
        assert a.dtype == dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)

    for _ in range(3):
        x = rng.normal(2, 3, shape).astype(dtype)
        tensor = torch.tensor(x, requires_grad=True)
        channels_first = tensor.movedim(-1, 1)
        expected = theirs(channels_first).movedim(1, -1)
        close(ours.forward(x, training=True), expected)
        d_out = rng.standard_normal(shape).astype(dtype)
        theirs.zero_grad()
        expected.backward(torch.tensor(d_out))
        close(ours.backward(d_out), tensor.grad)
        close(ours.d_gamma, theirs.weight.grad)
        close(ours.d_beta, theirs.bias.grad)
        close(ours.running_mean, theirs.running_mean)
        close(ours.running_variance, theirs.running_var)
    theirs.eval()
    close(ours.forward(x), theirs(torch.tensor(x).movedim(-1, 1)).movedim(1, -1))


def test_dropout_keeps_the_expected_value_and_is_off_in_evaluation():
    x = np.ones((200, 500), np.float32)
    out = Dropout(0.3, rng=0).forward(x, training=True)
    assert out.dtype == np.float32
    assert set(np.unique(out)) == {np.float32(0), np.float32(1 / 0.7)}
    assert out.mean() == pytest.approx(1, abs=0.01)
    assert (out == 0).mean() == pytest.approx(0.3, abs=0.01)
    assert (Dropout(0.3, rng=0).forward(x) == x).all()


def test_flatten_keeps_channels_fastest():
    x = np.arange(12.0).reshape(1, 2, 2, 3)
    assert Flatten().forward(x).tolist() == [list(range(12))]


def test_initial_weights_are_glorots_as_pytorch_draws_them():
    layer = Conv2D(4, 50, 5, rng=0)
    bound = (6 / (5 * 5 * (4 + 50))) ** 0.5
    values = layer.parameters()["kernels"]
    assert np.abs(values).max() <= bound
    assert values.std() == pytest.approx(bound / 3**0.5, rel=0.02)
    theirs = torch.nn.init.xavier_uniform_(torch.empty(50, 4, 5, 5)).numpy()
    assert np.abs(theirs).max() == pytest.approx(bound, rel=0.02)
    assert not layer.parameters()["bias"].any()


@pytest.mark.parametrize(
    ("make", "x", "message"),
    [
        (lambda: Dense(3, 2, rng=0), np.ones((4, 5), np.float32), "takes rows of 3 values"),
        (lambda: Dense(3, 2, rng=0), np.ones((4, 3)), "expected one dtype"),
        (lambda: Conv2D(3, 2, 3, rng=0), np.ones((1, 5, 5, 1), np.float32), "3 input channels"),
        (lambda: BatchNorm(3), np.ones((4, 2), np.float32), "BatchNorm has 3 channels"),
        (lambda: BatchNorm(3), np.ones((1, 3), np.float32), "more than one value per channel"),
        (lambda: Dropout(1.0), np.ones(3), "rate is 1.0"),
        (lambda: BatchNorm(3, momentum=0), np.ones(3), "momentum"),
        (lambda: Dense(0, 2), np.ones(3), "sizes >= 1"),
        (lambda: Dense(2, 2, dtype="int32"), np.ones(3), "dtype is int32"),
        (lambda: MaxPool2D(0), np.ones(3), "size is 0"),
    ],
)
def test_what_does_not_fit_is_refused(make, x, message):
    with pytest.raises(ValueError, match=message):
        make().forward(x, training=True)


def test_the_base_layer_promises_two_methods():
    with pytest.raises(NotImplementedError):
        Layer().forward(np.ones(1))
    with pytest.raises(NotImplementedError):
        Layer().backward(np.ones(1))


@pytest.mark.parametrize("name", [*LAYERS, *FUSED])
def test_what_one_call_returned_survives_the_next(name):
    make, shape = (LAYERS | FUSED)[name]
    layer, x = make(), np.random.default_rng(0).standard_normal(shape)
    out = layer.forward(x, training=True)
    d_x = layer.backward(np.ones_like(out))
    before = out.copy(), d_x.copy()
    layer.backward(2 * layer.forward(3 - x, training=True))
    np.testing.assert_array_equal(out, before[0])
    np.testing.assert_array_equal(d_x, before[1])
