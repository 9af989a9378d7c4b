"""Twenty steps of every optimizer and schedule, beside those of `torch.optim`."""

import numpy as np
import pytest
import torch

from mnist_course.scratch import SGD, Adam, AdamW, cosine, one_cycle, step_decay

CASES = [
    (SGD, torch.optim.SGD, {}),
    (SGD, torch.optim.SGD, {"momentum": 0.9}),
    (SGD, torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    (SGD, torch.optim.SGD, {"momentum": 0.5, "nesterov": True, "weight_decay": 0.1}),
    (SGD, torch.optim.SGD, {"weight_decay": 0.1}),
    (Adam, torch.optim.Adam, {}),
    (Adam, torch.optim.Adam, {"betas": (0.8, 0.9), "weight_decay": 0.1}),
    (AdamW, torch.optim.AdamW, {}),
    (AdamW, torch.optim.AdamW, {"weight_decay": 0.3}),
]
SHAPES = {"a": (4, 3), "b": (3,), "c": (2, 1, 2)}


@pytest.mark.parametrize(("ours", "theirs", "options"), CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_steps_equal_torch(ours, theirs, options, dtype):
    rng = np.random.default_rng(0)
    parameters = {name: rng.standard_normal(shape).astype(dtype) for name, shape in SHAPES.items()}
    tensors = [torch.tensor(array) for array in parameters.values()]
    mine = ours(parameters, 0.05, **options)
    reference = theirs(tensors, lr=0.05, **options)
    tolerance = {"float32": 1e-5, "float64": 1e-12}[dtype]
    for step in range(20):
        gradients = {name: rng.standard_normal(shape).astype(dtype) for name, shape in SHAPES.items()}
        for tensor, gradient in zip(tensors, gradients.values(), strict=True):
            tensor.grad = torch.tensor(gradient)
        if step == 10:  # a schedule's doing
            mine.learning_rate = reference.param_groups[0]["lr"] = 0.01
        mine.step(gradients)
        reference.step()
        for array, tensor in zip(parameters.values(), tensors, strict=True):
            assert array.dtype == dtype
            np.testing.assert_allclose(array, tensor, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("kind", "_", "options"), CASES)
def test_a_restored_optimizer_continues_bit_for_bit(kind, _, options):
    rng = np.random.default_rng(0)
    gradients = [{"w": rng.standard_normal(5)} for _ in range(6)]
    whole = {"w": np.ones(5)}
    optimizer = kind(whole, 0.1, **options)
    for gradient in gradients[:3]:
        optimizer.step(gradient)
    half, state = {"w": whole["w"].copy()}, optimizer.state()
    restored = kind(half, 0.1, **options)
    restored.load_state(state)
    for gradient in gradients[3:]:
        optimizer.step(gradient)
        restored.step(gradient)
    assert whole["w"].tobytes() == half["w"].tobytes()


def test_gradients_are_left_as_they_were():
    gradients = {"w": np.ones(3)}
    optimizer = AdamW({"w": np.ones(3)}, 0.1)
    optimizer.step(gradients)
    assert gradients["w"].tolist() == [1, 1, 1]


SCHEDULES = {
    "step": (
        step_decay(0.1, every=7, factor=0.5),
        lambda o: torch.optim.lr_scheduler.StepLR(o, 7, gamma=0.5),
    ),
    "cosine": (
        cosine(0.1, 40, final=0.01),
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 40, eta_min=0.01),
    ),
    "one cycle": (
        one_cycle(0.1, 40),
        lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=40, cycle_momentum=False),
    ),
    "one cycle in straight lines": (
        one_cycle(0.1, 40, rising=0.2, final_factor=4, straight=True),
        lambda o: torch.optim.lr_scheduler.OneCycleLR(
            o, 0.1, total_steps=40, pct_start=0.2, final_div_factor=4, anneal_strategy="linear"
        ),
    ),
    "one cycle with options": (
        one_cycle(0.1, 40, rising=0.1, start_factor=10, final_factor=100),
        lambda o: torch.optim.lr_scheduler.OneCycleLR(
            o, 0.1, total_steps=40, pct_start=0.1, div_factor=10, final_div_factor=100
        ),
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_equal_torch(name):
    ours, theirs = SCHEDULES[name]
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1, momentum=0.9)
    scheduler = theirs(optimizer)
    for step in range(40):
        assert ours(step) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        optimizer.step()
        if step < 39:
            scheduler.step()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD({"w": np.ones(1)}, -1), "learning_rate is -1"),
        (lambda: SGD({"w": np.ones(1)}, float("nan")), "learning_rate is nan"),
        (lambda: SGD({"w": np.ones(1)}, 1, nesterov=True), "above 0 for Nesterov"),
        (lambda: SGD({"w": np.ones(1)}, 1, momentum=1), "momentum is 1"),
        (lambda: Adam({"w": np.ones(1)}, betas=(0.9, 1.0)), "betas are"),
        (lambda: AdamW({"w": np.ones(1)}, weight_decay=-1), "weight_decay"),
        (lambda: Adam({}), "no parameters"),
        (lambda: Adam({"w": np.ones(2)}).step({"v": np.ones(2)}), "gradients are named"),
        (lambda: Adam({"w": np.ones(2)}).step({"w": np.ones(3)}), "gradient of w has shape"),
        (lambda: Adam({"w": np.ones(2)}).load_state({}), "saved by another optimizer"),
        (lambda: cosine(0.1, 0), "0 steps"),
        (lambda: one_cycle(0.1, 10, rising=1.0), "rising is 1.0"),
    ],
)
def test_unusable_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
