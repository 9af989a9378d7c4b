"""One network in three frameworks: the same function, the same gradients, the same training."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from mnist_course import build, scratch
from mnist_course.data import scale
from mnist_course.equivalence import convert, flatten_order, framework_of, gradients, logits
from mnist_course.errors import InputError
from mnist_course.models import FRAMEWORKS, MODELS, wing

TOLERANCE = {"float32": 1e-5, "float64": 1e-10}


def relative(ours, theirs):
    """The largest difference as a fraction of the largest value."""
    return np.abs(ours - theirs).max() / max(np.abs(theirs).max(), np.finfo(float).tiny)


def assert_same_gradients(ours, theirs, tolerance, *, normed=False):
    """With `normed`, a layer's arrays share a scale: a bias that batch normalisation undoes has none."""
    assert ours.parameters.keys() == theirs.parameters.keys()
    assert relative(ours.logits, theirs.logits) < tolerance
    assert abs(ours.loss - theirs.loss) < tolerance * theirs.loss
    for name, gradient in theirs.parameters.items():
        layer = name.partition(".")[0] + "." if normed else name
        scale_of = [array for other, array in theirs.parameters.items() if other.startswith(layer)]
        difference = np.abs(ours.parameters[name] - gradient).max()
        assert ours.parameters[name].shape == gradient.shape
        assert difference < tolerance * max(np.abs(array).max() for array in scale_of), name


def assert_same_state(ours, theirs):
    """Every weight and statistic, bit for bit."""
    ours, theirs = convert(ours, "numpy").state(), convert(theirs, "numpy").state()
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_array_equal(ours[name], array, err_msg=name)


def every_layer(dtype="float32"):
    """A network with each layer there is, and padding that no framework has by itself."""
    options = {"rng": np.random.default_rng(3), "dtype": dtype}
    network = scratch.Sequential(
        [
            scratch.Conv2D(1, 4, 5, stride=2, padding="same", **options),  # (14, 14): pads (1, 2)
            scratch.BatchNorm(4, momentum=0.2, epsilon=1e-3, dtype=dtype),
            scratch.ReLU(),
            scratch.Dropout(0.3, rng=1),
            scratch.AvgPool2D(2),  # (7, 7)
            scratch.Conv2D(
                4, 6, (3, 2), padding=((0, 2), (3, 1)), dilation=(2, 1), **options
            ),  # (5, 10)
            scratch.Tanh(),
            scratch.MaxPool2D((2, 3), (1, 2)),  # (4, 4)
            scratch.Flatten(),
            scratch.BatchNorm(96, epsilon=0.01, dtype=dtype),
            scratch.Dense(96, 12, **options),
            scratch.Sigmoid(),
            scratch.Dense(12, 10, **options),
        ],
        (28, 28, 1),
    )
    rng = np.random.default_rng(5)
    for name, array in network.state().items():  # no statistic and no bias at its starting value
        if name.endswith("bias"):
            array += rng.uniform(-0.1, 0.1, array.shape)
        elif not name.endswith(("kernels", "weights")):
            array += rng.uniform(0.1, 0.9, array.shape)
    return network


@pytest.fixture(scope="module")
def trained(train_digits):
    """Every network of the course after 38 steps of training, in NumPy."""
    networks = {name: build(name, "numpy", seed=2) for name in MODELS}
    for network in networks.values():
        network.fit(train_digits, epochs=1, batch_size=16, progress=False)
    return networks


def test_importing_it_loads_no_framework():
    code = (
        "import sys, mnist_course.equivalence;"
        "print(sorted({'torch', 'keras', 'tensorflow', 'sklearn'} & sys.modules.keys()))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", MODELS)
def test_random_networks_of_each_framework_agree_in_every_direction(name, dtype, train_digits):
    batch = train_digits.subset(range(0, 600, 90))  # 7 images
    for source in FRAMEWORKS:
        original = convert(build(name, source, seed=4), source, dtype=dtype)
        expected = gradients(original, batch.images, batch.labels)
        assert expected.logits.dtype == dtype
        for target in FRAMEWORKS:
            copied = convert(original, target)
            assert framework_of(copied) == target
            found = gradients(copied, batch.images, batch.labels)
            assert_same_gradients(found, expected, TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", MODELS)
def test_trained_networks_agree_in_every_direction(name, dtype, trained, train_digits):
    batch = train_digits.subset(range(0, 600, 50))
    original = convert(trained[name], "numpy", dtype=dtype)
    expected = gradients(original, batch.images, batch.labels)
    for first in FRAMEWORKS:
        passed_on = convert(original, first)
        for second in FRAMEWORKS:
            found = gradients(convert(passed_on, second), batch.images, batch.labels)
            assert_same_gradients(found, expected, TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("count", [7, 13])
def test_every_layer_agrees_in_training(count, dtype, train_digits):
    """In float32 within 2e-4: statistics are long sums, in which TensorFlow loses digits."""
    tolerance = {"float32": 2e-4, "float64": 1e-10}[dtype]
    batch = train_digits.subset(range(count))
    network = every_layer(dtype)
    expected = gradients(network, batch.images, batch.labels)
    for first in FRAMEWORKS:
        for second in FRAMEWORKS:
            found = gradients(convert(convert(network, first), second), batch.images, batch.labels)
            assert_same_gradients(found, expected, tolerance, normed=True)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_every_layer_agrees_in_evaluation(dtype, train_digits):
    network = every_layer(dtype)
    expected = network.forward(scale(train_digits.images[:5])[..., np.newaxis].astype(dtype))
    for framework in FRAMEWORKS:
        found = logits(convert(network, framework), train_digits.images[:5])
        assert found.dtype == dtype
        assert relative(found, expected) < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_a_batch_of_one_agrees(dtype, trained, train_digits):
    network = convert(trained["lenet5"], "numpy", dtype=dtype)
    expected = gradients(network, train_digits.images[:1], train_digits.labels[:1])
    for framework in ("keras", "pytorch"):
        found = gradients(convert(network, framework), train_digits.images[:1], train_digits.labels[:1])
        assert_same_gradients(found, expected, TOLERANCE[dtype])


def test_gradients_are_those_of_finite_differences(train_digits):
    network = every_layer("float64")
    network.layers[3].rate = 0.0
    images = scale(train_digits.images[:3])[..., np.newaxis].astype(float)
    labels = train_digits.labels[:3].astype(int)
    found = gradients(convert(network, "pytorch"), images, labels).parameters["5.kernels"]
    chosen = np.array([0, 31, 70, 143])

    def loss():
        return scratch.cross_entropy(network.forward(images, training=True), labels)

    numeric = scratch.numerical_gradient(loss, network.layers[5].weight, indices=chosen)
    assert relative(found.ravel()[chosen], numeric) < 1e-6


@pytest.mark.parametrize("via", ["keras", "pytorch"])
@pytest.mark.parametrize("name", [*MODELS, "every_layer"])
def test_a_round_trip_returns_the_same_bits(name, via, trained):
    network = every_layer() if name == "every_layer" else trained[name]
    back = convert(convert(network, via), "numpy")
    assert [type(layer) for layer in back.layers] == [type(layer) for layer in network.layers]
    assert back.name == network.name
    assert_same_state(back, network)


def test_a_round_trip_keeps_options():
    for via in ("keras", "pytorch"):
        back = convert(convert(every_layer(), via), "numpy")
        assert (back.layers[1].momentum, back.layers[1].epsilon) == (0.2, 1e-3)
        assert (back.layers[9].momentum, back.layers[9].epsilon) == (0.1, 0.01)
        assert back.layers[3].rate == 0.3
        assert back.layers[7].stride == (1, 2)


def test_networks_of_the_course_stay_networks_of_the_course(trained):
    for name, network in trained.items():
        module = convert(network, "pytorch")
        own = build(name, "pytorch")
        assert type(module) is type(own)
        assert module.state_dict().keys() == own.state_dict().keys()
        model = convert(module, "keras")
        own = build(name, "keras")
        assert model.name == name
        assert [type(layer) for layer in model.layers] == [type(layer) for layer in own.layers]


def test_a_namesake_with_other_layers_is_not_taken_for_the_courses_network():
    layers = [scratch.Flatten(), scratch.Dense(784, 10, rng=0)]
    module = convert(scratch.Sequential(layers, (28, 28, 1), name="lenet5"), "pytorch")
    assert type(module).__name__ == "Sequential"


def test_predictions_on_real_digits_are_the_same(trained, test_digits):
    for name, network in trained.items():
        expected = wing("numpy", "training").evaluate(network, test_digits)
        assert expected.accuracy > 0.3, name
        for framework in ("keras", "pytorch"):
            found = wing(framework, "training").evaluate(convert(network, framework), test_digits)
            np.testing.assert_array_equal(found.predictions, expected.predictions)


def test_a_copy_shares_no_memory():
    for framework in FRAMEWORKS:
        original = build("lenet5", framework)
        before = convert(original, "numpy")
        copied = convert(original, framework)
        if framework == "numpy":
            for array in copied.parameters().values():
                array += 1
        elif framework == "keras":
            copied.set_weights([weight + 1 for weight in copied.get_weights()])
        else:
            for parameter in copied.parameters():
                parameter.data += 1
        assert_same_state(original, before)


def of_kind(model, framework, name):
    """The layers of a model whose class has this name."""
    layers = model.modules() if framework == "pytorch" else model.layers
    return [layer for layer in layers if type(layer).__name__ == name]


def test_gradients_leave_the_model_as_it_was(train_digits):
    batch = train_digits.subset(range(9))
    for framework in FRAMEWORKS:
        model = convert(every_layer(), framework)
        (dropout,) = of_kind(model, framework, "Dropout")
        if framework == "pytorch":
            model.eval()
            dropout.train()
        before = convert(model, "numpy")
        gradients(model, batch.images, batch.labels)
        logits(model, batch.images)
        assert_same_state(model, before)
        if framework == "pytorch":
            assert [module for module in model.modules() if module.training] == [dropout]
            assert all(parameter.grad is None for parameter in model.parameters())
            assert dropout.p == 0.3
        else:
            assert dropout.rate == 0.3


def test_running_variances_differ_by_the_divisor_and_nothing_else_does(train_digits):
    """Keras averages the biased variance of a batch, PyTorch and the NumPy wing the unbiased one."""
    import torch

    start = every_layer("float64")
    start.layers[3].rate = 0.0
    images = scale(train_digits.images[:6])[..., np.newaxis].astype(float)  # (6, 28, 28, 1)
    models = {framework: convert(start, framework) for framework in FRAMEWORKS}
    models["numpy"].forward(images, training=True)
    models["keras"](images, training=True)
    models["pytorch"].train()(torch.from_numpy(np.moveaxis(images, -1, 1).copy()))
    after = {framework: convert(model, "numpy").buffers() for framework, model in models.items()}
    for name, array in after["numpy"].items():
        assert relative(after["pytorch"][name], array) < 1e-12, name
    for name in ("1.running_mean", "9.running_mean"):
        assert relative(after["keras"][name], after["numpy"][name]) < 1e-12, name
    for index, momentum, count in ((1, 0.2, 6 * 14 * 14), (9, 0.1, 6)):
        kept = (1 - momentum) * start.layers[index].running_variance
        biased, unbiased = (
            after[framework][f"{index}.running_variance"] - kept for framework in ("keras", "numpy")
        )
        np.testing.assert_allclose(biased, unbiased * (count - 1) / count, rtol=1e-9, atol=1e-15)


@given(rows=st.integers(1, 6), columns=st.integers(1, 6), channels=st.integers(1, 6))
def test_flatten_order_says_where_each_value_went(rows, columns, channels):
    last = np.random.default_rng(0).random((rows, columns, channels))
    first = np.moveaxis(last, -1, 0)
    order = flatten_order((rows, columns, channels))
    np.testing.assert_array_equal(first.reshape(-1)[order], last.reshape(-1))


@settings(max_examples=30)
@given(
    size=st.tuples(st.integers(5, 9), st.integers(5, 9)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    padding=st.one_of(
        st.sampled_from(["same", "valid", 0, 2]),
        st.tuples(*[st.tuples(st.integers(0, 3), st.integers(0, 3))] * 2),
    ),
)
def test_convolutions_agree_whatever_their_geometry(size, kernel, stride, dilation, padding):
    rng = np.random.default_rng(7)
    dilation = 1 if stride > 1 else dilation  # Keras cannot combine them
    options = {"stride": stride, "dilation": dilation, "padding": padding}
    layer = scratch.Conv2D(2, 3, kernel, **options, rng=rng, dtype="float64")
    layer.bias += rng.random(3)
    try:
        network = scratch.Sequential([layer], (*size, 2))
    except ValueError:
        reject()  # the kernel does not fit
    images = rng.random((3, *size, 2))
    expected = network.forward(images)  # (N, H', W', O)
    in_keras, in_pytorch = convert(network, "keras"), convert(network, "pytorch")
    assert relative(logits(in_keras, images), expected) < 1e-12
    assert relative(np.moveaxis(logits(in_pytorch, images), 1, -1), expected) < 1e-12
    for model in (in_keras, in_pytorch):
        back = convert(model, "numpy", input_shape=(*size, 2))
        np.testing.assert_array_equal(back.forward(images), expected)


LEARNING_RATE = 2.0**-9
HYPERPARAMETERS = {
    "sgd": {"momentum": 0.875, "nesterov": True},
    "adam": {"betas": (0.875, 1 - 2.0**-10), "epsilon": 1e-8},
    "adamw": {"betas": (0.875, 1 - 2.0**-10), "epsilon": 1e-8, "weight_decay": 2.0**-6},
}
"""Sums of few powers of two, because Keras rounds hyperparameters to float32 in a float64 model too."""


def ten_steps_in_numpy(model, rule, images, labels):
    kind = {"sgd": scratch.SGD, "adam": scratch.Adam, "adamw": scratch.AdamW}[rule]
    optimizer = kind(model.parameters(), LEARNING_RATE, **HYPERPARAMETERS[rule])
    for x, y in zip(np.split(images, 10), np.split(labels, 10), strict=True):
        _, d_logits = scratch.cross_entropy_and_gradient(model.forward(x, training=True), y)
        model.backward_parameters(d_logits)
        optimizer.step(model.gradients())


def ten_steps_in_pytorch(model, rule, images, labels):
    import torch

    from mnist_course.pytorch.training import OPTIMIZERS

    options = {{"epsilon": "eps"}.get(name, name): v for name, v in HYPERPARAMETERS[rule].items()}
    optimizer = OPTIMIZERS[rule](model.parameters(), lr=LEARNING_RATE, **options)
    inputs = torch.from_numpy(np.moveaxis(images, -1, 1).copy())
    for x, y in zip(inputs.chunk(10), torch.from_numpy(labels).chunk(10), strict=True):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()


def ten_steps_in_keras(model, rule, images, labels, *, move_epsilon=True):
    """Adam divides by √(v/(1-β₂ᵗ)) + ε; Keras by √v + ε, so its ε counts √(1-β₂ᵗ) times less."""
    import keras

    from mnist_course.keras.training import OPTIMIZERS

    options = dict(HYPERPARAMETERS[rule])
    betas = options.pop("betas", None)
    if betas:
        options |= {"beta_1": betas[0], "beta_2": betas[1]}
    optimizer = OPTIMIZERS[rule](learning_rate=LEARNING_RATE, **options)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype=images.dtype.name)
    model.compile(optimizer=optimizer, loss=loss, run_eagerly=True)
    batches = zip(np.split(images, 10), np.split(labels, 10), strict=True)
    for step, (x, y) in enumerate(batches, start=1):
        if betas and move_epsilon:
            optimizer.epsilon = options["epsilon"] * (1 - betas[1] ** step) ** 0.5
        model.train_on_batch(x, y)


TEN_STEPS = {"keras": ten_steps_in_keras, "pytorch": ten_steps_in_pytorch}


@pytest.fixture(scope="module")
def distances(trained, train_digits):
    """A function: how far ten steps in two frameworks end apart, as a share of the way they went."""
    images = scale(train_digits.images[:320])[..., np.newaxis]
    labels = train_digits.labels[:320].astype(np.int64)

    def measure(rule, dtype, framework, **options):
        start = convert(trained["lenet5"], "numpy", dtype=dtype)
        ours, theirs = convert(start, "numpy"), convert(start, framework)
        ten_steps_in_numpy(ours, rule, images.astype(dtype), labels)
        TEN_STEPS[framework](theirs, rule, images.astype(dtype), labels, **options)
        ours, theirs = (convert(model, "numpy").parameters() for model in (ours, theirs))
        return [
            np.linalg.norm(theirs[name] - ours[name]) / np.linalg.norm(ours[name] - parameter)
            for name, parameter in start.parameters().items()
        ]

    return measure


@pytest.mark.parametrize("framework", TEN_STEPS)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("rule", HYPERPARAMETERS)
def test_ten_optimizer_steps_stay_together(rule, dtype, framework, distances):
    """Within 1e-9 of the way in float64; in float32 Adam magnifies the rounding of small gradients."""
    rounding = 1e-4 if rule == "sgd" else 1e-3
    assert max(distances(rule, dtype, framework)) < {"float32": rounding, "float64": 1e-9}[dtype]


@pytest.mark.parametrize("rule", ["adam", "adamw"])
def test_the_place_of_epsilon_is_all_that_separates_keras_adam(rule, distances):
    """With equal ε, and β₂ close to 1, the two end up to a tenth of the way apart after ten steps."""
    apart = max(distances(rule, "float64", "keras", move_epsilon=False))
    assert 1e-3 < apart < 0.2


ON_PYTORCH = """
import sys

import keras
import numpy as np

from mnist_course import build
from mnist_course.data import load_mnist
from mnist_course.equivalence import convert, gradients

digits = load_mnist("train").subset(range(7))
for name in ("lenet5", "simple_cnn", "dense_cnn", "small_cnn", "single_conv_cnn"):
    for dtype, tolerance in (("float32", 1e-5), ("float64", 1e-10)):
        for source in ("numpy", "keras", "pytorch"):
            original = convert(build(name, source, seed=3), "numpy", dtype=dtype)
            expected = gradients(original, digits.images, digits.labels)
            model = convert(convert(build(name, source, seed=3), source, dtype=dtype), "keras")
            for copied, tolerance in ((model, 1e-5), (convert(model, "pytorch"), tolerance)):
                found = gradients(copied, digits.images, digits.labels)
                assert abs(found.loss - expected.loss) < tolerance * expected.loss
                pairs = [(found.logits, expected.logits)]
                pairs += [(found.parameters[key], g) for key, g in expected.parameters.items()]
                for one, other in pairs:
                    assert np.abs(one - other).max() < tolerance * np.abs(other).max()
print(keras.backend.backend(), "tensorflow" in sys.modules)
"""


def test_keras_on_pytorch_agrees_as_well():
    """A process of its own, as a process has one backend.

    The Keras model agrees within 1e-5 in float64 too: on PyTorch, Keras multiplies matrices in float32.
    """
    run = subprocess.run(
        [sys.executable, "-c", ON_PYTORCH],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"KERAS_BACKEND": "torch"},
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["torch", "False"]


def keras_model(*layers):
    import keras

    return keras.Sequential([keras.Input((28, 28, 1)), *layers])


def test_a_functional_keras_model_is_a_chain_too(train_digits):
    import keras

    images = keras.Input((28, 28, 1))
    x = keras.layers.ZeroPadding2D(((0, 1), (2, 0)))(images)
    x = keras.layers.ReLU()(keras.layers.Conv2D(3, 5, strides=2)(x))
    x = keras.layers.Dense(10)(keras.layers.Flatten()(x))
    model = keras.Model(images, x)
    expected = logits(model, train_digits.images[:4])
    for framework in ("numpy", "pytorch"):
        found = logits(convert(model, framework), train_digits.images[:4])
        assert relative(found, expected) < 1e-5


def test_a_keras_model_inside_another_is_read_through(train_digits):
    import keras

    inner = keras_model(keras.layers.Conv2D(2, 3), keras.layers.Flatten())
    model = keras_model(inner, keras.layers.Dense(10))
    expected = logits(model, train_digits.images[:4])
    assert relative(logits(convert(model, "pytorch"), train_digits.images[:4]), expected) < 1e-5


def test_a_forward_method_of_functions_is_followed(train_digits):
    import torch
    from torch import nn
    from torch.nn import functional as F

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.start = nn.Sequential(nn.Conv2d(1, 2, 3, padding="same"), nn.Identity())
            self.hidden = nn.Linear(2 * 13 * 6, 8)
            self.end = nn.Linear(8, 10)

        def forward(self, x):
            x = F.avg_pool2d(torch.tanh(self.start(x)), (2, 4), stride=(2, 4))  # (14, 7)
            x = F.max_pool2d(x.relu(), 2, 1)  # (13, 6)
            x = torch.sigmoid(self.hidden(x.view(-1, 2 * 13 * 6)))
            return self.end(F.relu(x))

    model = Own()
    expected = logits(model, train_digits.images[:4])
    kinds = [type(layer).__name__ for layer in convert(model, "numpy").layers]
    assert kinds == [
        "Conv2D", "Tanh", "AvgPool2D", "ReLU", "MaxPool2D", "Flatten",
        "Dense", "Sigmoid", "ReLU", "Dense",
    ]  # fmt: skip
    for framework in ("numpy", "keras"):
        found = logits(convert(model, framework), train_digits.images[:4])
        assert relative(found, expected) < 1e-5


def test_the_regularized_lenet5_is_carried_over(train_digits):
    from mnist_course.pytorch.regularized import build as regularized

    model = regularized(dropout=0.4, batch_norm=True, seed=1)
    expected = logits(model, train_digits.images[:4])
    for framework in ("numpy", "keras"):
        found = logits(convert(model, framework), train_digits.images[:4])
        assert relative(found, expected) < 1e-5


def branching():
    import keras

    images = keras.Input((28, 28, 1))
    x = keras.layers.Flatten()(images)
    return keras.Model(
        images, keras.layers.Add()([keras.layers.Dense(10)(x), keras.layers.Dense(10)(x)])
    )


def skipping():
    from torch import nn

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = nn.Conv2d(1, 1, 3, padding=1)

        def forward(self, x):
            return x + self.convolution(x)

    return Residual()


def conditional():
    from torch import nn

    class Conditional(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    return Conditional()


def repeating():
    from torch import nn

    layer = nn.Linear(784, 784)
    return nn.Sequential(nn.Flatten(), layer, layer)


def of_torch(name, *arguments, **options):
    def make():
        from torch import nn

        return nn.Sequential(getattr(nn, name)(*arguments, **options))

    return make


def of_keras(name, *arguments, **options):
    def make():
        import keras

        return keras_model(getattr(keras.layers, name)(*arguments, **options))

    return make


class OwnLayer(scratch.ReLU):
    """Computes who knows what."""


UNSUPPORTED = {
    "layer 0, OwnLayer, is none": lambda: scratch.Sequential([OwnLayer()], (4,)),
    "layer '0', PReLU,": of_torch("PReLU"),
    "layer '0', Conv2d, has no bias": of_torch("Conv2d", 1, 2, 3, bias=False),
    "layer '0', Conv2d, has no counterpart": of_torch(
        "Conv2d", 1, 2, 3, padding=1, padding_mode="reflect"
    ),
    "layer '0', MaxPool2d, has no counterpart": of_torch("MaxPool2d", 3, padding=1),
    "layer '0', BatchNorm2d, has no weights": of_torch("BatchNorm2d", 1, affine=False),
    "layer '0', Flatten, has no counterpart": of_torch("Flatten", 0),
    "does not end with a layer": of_torch("ZeroPad2d", 1),
    "is called twice": repeating,
    "is not simply followed by the next step": skipping,
    "cannot be followed": conditional,
    "SpatialDropout2D, has no counterpart": of_keras("SpatialDropout2D", 0.5),
    "Conv2D, has no bias": of_keras("Conv2D", 2, 3, use_bias=False),
    "MaxPooling2D, pads its input": of_keras("MaxPooling2D", 3, padding="same"),
    "BatchNormalization, has no center": of_keras("BatchNormalization", scale=False),
    "ReLU, has no counterpart": of_keras("ReLU", max_value=6),
    "ends in softmax, where": of_keras("Conv2D", 2, 3, activation="softmax"),
    "has the activation gelu": of_keras("Conv2D", 2, 3, activation="gelu"),
    "Dense takes rows of 1 values": of_keras("Dense", 3),
    "is not one layer after the other": branching,
}


@pytest.mark.parametrize("message", UNSUPPORTED)
def test_a_layer_without_counterpart_is_named(message):
    with pytest.raises(InputError, match=message):
        convert(UNSUPPORTED[message](), "numpy")


def test_unusable_arguments_are_refused_with_what_to_do():
    network = scratch.Sequential([scratch.Flatten(), scratch.Dense(784, 10)])
    with pytest.raises(InputError, match="unknown framework 'jax'; choose one of numpy, keras, pytorch"):
        convert(network, "jax")
    with pytest.raises(InputError, match="a list came; expected"):
        convert([], "numpy")
    with pytest.raises(InputError, match="dtype is float16, expected float32 or float64"):
        convert(network, "numpy", dtype="float16")
    with pytest.raises(InputError, match=r"does not take examples of shape \(10, 10, 1\).*input_shape"):
        convert(network, "numpy", input_shape=(10, 10, 1))
    with pytest.raises(InputError, match=r"computes in bfloat16.*cast the model first"):
        convert(build("lenet5", "pytorch").bfloat16(), "numpy")
    with pytest.raises(InputError, match="ends with flattened images"):
        convert(build_flat(), "pytorch")
    with pytest.raises(InputError, match="images have dtype int64, expected uint8 or floats"):
        logits(network, np.zeros((1, 28, 28, 1), np.int64))
    with pytest.raises(InputError, match="2 images came with 1 labels"):
        gradients(network, np.zeros((2, 28, 28), np.uint8), np.zeros(1, int))


def build_flat():
    return scratch.Sequential([scratch.Conv2D(1, 2, 3), scratch.Flatten()], (28, 28, 1))


def test_a_keras_model_without_input_is_refused():
    import keras

    with pytest.raises(InputError, match=r"begin it with keras.Input"):
        convert(keras.Sequential([keras.layers.Dense(10)]), "numpy")


def test_a_frozen_keras_layer_has_no_gradient(train_digits):
    model = build("lenet5", "keras")
    model.layers[0].trainable = False
    with pytest.raises(InputError, match=r"\['conv2d.*'\] is frozen and has no gradients"):
        gradients(model, train_digits.images[:2], train_digits.labels[:2])


def test_a_convolution_that_keras_lacks_is_refused():
    layer = scratch.Conv2D(1, 2, 3, stride=2, dilation=2)
    with pytest.raises(
        InputError, match=r"stride \(2, 2\) and dilation \(2, 2\), which Keras cannot combine"
    ):
        convert(scratch.Sequential([layer], (28, 28, 1)), "keras")
