"""What the GPU benchmark computes and counts, and what it asks of CUDA.

What only CUDA has is called through stand-ins that refuse names and arguments that torch has not.
"""

import subprocess
from contextlib import nullcontext
from types import SimpleNamespace
from unittest import mock

import pytest
import torch
from gpu_parts import machine, profiling, roofline, training
from gpu_parts.machine import Kernel, Machine
from gpu_parts.training import FASTEST, Recipe, Resident, Run, Step, Way
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from mnist_course.data import load_mnist
from mnist_course.pytorch import execution


@pytest.fixture(scope="module")
def cpu():
    return Machine("cpu")


@pytest.fixture(scope="module")
def digits(cpu):
    return Resident.of(load_mnist("train").subset(range(256)), cpu)


# A training step


def weights(network):
    return torch.cat([value.flatten().float() for value in network.state_dict().values()])


def prepared(digits, cpu, recipe=None, way=FASTEST):
    made = training.run_of(recipe or Recipe(batch_size=32), digits, cpu, way)
    made.prepare()
    return made


def test_a_seed_gives_the_same_weights_however_much_was_trained_before(digits, cpu):
    made, recipe = prepared(digits, cpu), Recipe(batch_size=32)
    made.train(recipe, seed=3)
    first = weights(made.step.network)
    made.train(recipe, seed=4)
    other = weights(made.step.network)
    made.train(recipe, seed=3)
    assert torch.equal(weights(made.step.network), first)
    assert not torch.equal(other, first)


def test_a_run_is_the_plain_loop_over_its_order_and_its_rates(digits, cpu):
    recipe, way = Recipe(batch_size=32, epochs=2), Way(fused=True)
    made = prepared(digits, cpu, recipe, way)
    made.train(recipe, seed=5)

    theirs = training.build("fast", seed=5, channels=recipe.channels).train()
    optimizer = torch.optim.AdamW(theirs.parameters(), lr=1.0, weight_decay=recipe.weight_decay)
    generator = torch.Generator().manual_seed(5)
    rates = iter(made.rates)
    for _ in range(recipe.epochs):
        for batch in torch.randperm(256, generator=generator).split(32):
            optimizer.param_groups[0]["lr"] = float(next(rates))
            loss = F.cross_entropy(
                theirs(digits.images[batch]), digits.labels[batch], label_smoothing=0.1
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert next(rates, None) is None
    torch.testing.assert_close(weights(made.step.network), weights(theirs), rtol=1e-3, atol=1e-4)


def test_an_epoch_visits_no_example_twice_and_leaves_out_what_fills_no_batch(digits, cpu):
    made = Run(Step(training.build("lenet5", seed=0), cpu, Way()), digits, 60)
    made.prepare()
    made.epoch(torch.Generator().manual_seed(0))
    assert made.order.shape == (4, 60)
    assert len(made.order.unique()) == 240


class Readings(TorchDispatchMode):
    """Notes the operations that a host has to wait for, which no graph can hold."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket in (torch.ops.aten._local_scalar_dense, torch.ops.aten.nonzero):
            self.found.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("way", [FASTEST, Way(fused=True, compile=True)])
def test_a_step_reads_nothing_back_from_the_device(way, digits, cpu):
    made = prepared(digits, cpu, way=way)
    with Readings() as readings:
        made.advance()
    assert readings.found == []
    with Readings() as readings:
        made.position[0].item()
    assert readings.found == ["aten._local_scalar_dense.default"]


@pytest.mark.parametrize("precision", training.PRECISIONS)
def test_the_switches_of_the_process_are_put_back(precision):
    def switches():
        cudnn = torch.backends.cudnn
        return torch.get_float32_matmul_precision(), cudnn.allow_tf32, cudnn.benchmark

    before = switches()
    with training.float32_arithmetic(Way(precision=precision, autotune=True)):
        assert switches() == (
            "high" if precision == "TF32" else "highest",
            precision != "float32 without TF32",
            True,
        )
    assert switches() == before


@pytest.mark.parametrize("way", [Way(compile=True), Way(channels_last=True), Way(fused=True)])
def test_a_way_changes_how_a_step_is_computed_and_not_what(way, digits, cpu):
    def after_some_steps(way):
        made = Run(Step(training.build("lenet5", seed=0), cpu, way), digits, 32)
        made.prepare()
        return weights(made.step.network)

    torch.testing.assert_close(after_some_steps(way), after_some_steps(Way()), rtol=1e-3, atol=1e-4)


# What is counted


def test_overlapping_kernels_count_once():
    kernels = [
        Kernel("a", 0.0, 2.0),
        Kernel("b", 1.0, 3.0),
        Kernel("c", 5.0, 6.0),
        Kernel("d", 5.2, 5.5),
    ]
    assert machine.busy(kernels) == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("busy", "launching", "verdict"),
    [
        (0.95, 0.95, "device-bound"),
        (0.95, 0.1, "device-bound"),
        (0.3, 0.95, "launch-bound"),
        (0.6, 0.1, "latency-bound"),
    ],
)
def test_the_verdict(busy, launching, verdict):
    assert profiling.verdict(busy, launching) == verdict


def test_a_layers_operations_are_two_per_multiplication_and_thrice_with_its_gradients(cpu):
    network = training.build("lenet5", seed=0)
    shapes = roofline.input_shapes(network, 4)
    passes = [
        roofline.counted(roofline.layer_pass(cpu, layer, shape, Way(), inputs_too=index > 0))["flop"]
        for index, ((_, layer), shape) in enumerate(shapes.items())
    ]
    products = [28 * 28 * 6 * 25, 10 * 10 * 16 * 6 * 25, 400 * 120, 120 * 84, 84 * 10]
    expected = [2 * 4 * count * (3 if index else 2) for index, count in enumerate(products)]
    assert passes == expected


def bytes_of(action):
    with roofline.ByteCounter() as counter:
        action()
    return counter.bytes


def test_bytes_are_what_operations_read_and_write_and_views_are_free():
    a, b = torch.ones(100), torch.ones(100)
    assert bytes_of(lambda: a + b) == 3 * 400
    assert bytes_of(lambda: a.add_(b)) == 3 * 400
    assert bytes_of(lambda: a.view(10, 10).t()) == 0
    assert bytes_of(lambda: a.sum()) == 404


def test_a_point_under_the_roof():
    point = {"flop": 100, "bytes": 50, "seconds": 2.0}
    slope = roofline.under_roof(point, peak=1000.0, bandwidth=50.0)
    assert (slope["roof_flop_per_second"], slope["share_of_roof"], slope["below_ridge"]) == (
        100,
        0.5,
        True,
    )
    flat = roofline.under_roof(point, peak=60.0, bandwidth=50.0)
    assert (flat["roof_flop_per_second"], flat["below_ridge"]) == (60, False)


def test_float32_convolutions_are_held_against_tf32_and_products_are_not():
    assert roofline.roof_of("float32", "conv1 Conv2d") == "TF32"
    assert roofline.roof_of("float32", "fc1 Linear") == "float32 without TF32"
    assert roofline.roof_of("bf16", "fc1 Linear") == "bf16"


def test_a_profiler_that_sees_nothing_is_named(digits, cpu, monkeypatch):
    monkeypatch.setattr(Machine, "kernels", lambda self, action: [])
    found = profiling.profiled(cpu, "fast", 32, Way(), digits, seed=0)
    assert found["failed"] == "the profiler saw no work of the device"


# What only CUDA has


@pytest.fixture
def cuda(monkeypatch):
    """Return a machine that takes itself for a GPU, and the record of its calls to torch.cuda."""
    events = []
    fake = mock.create_autospec(torch.cuda)
    fake.graph.side_effect = lambda *_, **__: Capture(events)
    fake.stream.side_effect = lambda stream: nullcontext()
    fake.synchronize.side_effect = lambda *_: events.append("synchronize")
    fake.CUDAGraph.return_value.replay.side_effect = lambda: events.append("replay")
    fake.Event.return_value.elapsed_time.return_value = 250.0
    monkeypatch.setattr(torch, "cuda", fake)
    made = Machine("cuda")
    made.events = events
    return made


class Capture:
    def __init__(self, events):
        self.events = events

    def __enter__(self):
        self.events.append("capture")

    def __exit__(self, *_):
        self.events.append("captured")


def test_a_graph_is_captured_after_three_steps_and_then_replayed(cuda):
    graphed = cuda.graphed(lambda: cuda.events.append("step"))
    assert [event for event in cuda.events if event != "synchronize"] == [
        *["step"] * execution.WARM_UP, "capture", "step", "captured"
    ]  # fmt: skip
    cuda.events.clear()
    graphed.replay()
    assert cuda.events == ["replay"]


def test_the_clock_waits_for_the_device_before_and_after(cuda):
    host, device = cuda.timed(lambda: cuda.events.append("work"))
    assert cuda.events == ["synchronize", "work", "synchronize"]
    assert device == 0.25
    assert host > 0


def test_what_nvidia_smi_says_is_recorded(cuda, monkeypatch):
    answer = mock.Mock(stdout="580.1, 1980 MHz, 1980 MHz, 2619 MHz, 70.1 W, 30\n")
    asked = mock.create_autospec(subprocess.run, return_value=answer)
    monkeypatch.setattr(machine.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(machine.subprocess, "run", asked)
    assert cuda.state()["driver_version"] == "580.1"
    assert cuda.state()["temperature.gpu"] == "30"


def test_the_device_is_described(cuda, monkeypatch):
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91900)
    torch.cuda.get_device_properties.return_value = SimpleNamespace(
        name="GPU", major=9, minor=0, total_memory=80 * 2**30, multi_processor_count=132
    )
    described = cuda.describe()
    assert described.pop("cuda") == torch.version.cuda
    assert described == {
        "name": "GPU", "capability": "9.0", "memory_gib": 80.0, "multiprocessors": 132, "cudnn": 91900
    }  # fmt: skip
