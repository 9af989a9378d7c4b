"""Tasks, scenarios and what is done against forgetting, each against numbers computed by hand."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mnist_course.data import ImageDataset
from mnist_course.errors import InputError
from mnist_course.finetuning.continual import (
    EWC,
    SCENARIOS,
    STRATEGIES,
    Distillation,
    Outputs,
    Replay,
    Task,
    dense_network,
    distillation_loss,
    ewc_penalty,
    fisher_information,
    forgetting,
    permuted_tasks,
    run,
    split_tasks,
)
from mnist_course.finetuning.continual.strategies import Examples, Learner
from mnist_course.pytorch.loaders import to_tensor


@pytest.fixture(scope="module")
def split(train_digits, test_digits):
    return split_tasks(train_digits, test_digits)


@pytest.fixture(scope="module")
def pair(split):
    """8 or 9, then 4 or 5: the 9 looks like the 4, and in the domain scenario answers otherwise."""
    return [split[4], split[2]]


def learner(scenario, newest=1, tasks=3, hidden=(8,), batch_size=6):
    """A small network that learns task number `newest`."""
    outputs = Outputs(scenario, tasks, 2)
    model = dense_network(outputs.count, hidden=hidden, seed=5)
    return Learner(model, outputs, np.random.default_rng(0), batch_size, newest)


def batch(dataset, count, task, outputs):
    part = dataset.subset(dataset.labels < 2).subset(range(count))
    return Examples(part.images, outputs.units(part.labels, task), np.full(count, task))


# tasks


def test_split_mnist_is_five_pairs_of_digits(split, train_digits):
    assert [task.train.class_names for task in split] == [
        ("0", "1"), ("2", "3"), ("4", "5"), ("6", "7"), ("8", "9")
    ]  # fmt: skip
    assert [len(task.train) for task in split] == [120] * 5
    np.testing.assert_array_equal(
        split[1].train.images, train_digits.images[np.isin(train_digits.labels, (2, 3))]
    )


def test_a_split_tasks_labels_name_the_digits_that_they_named_before(test_digits, train_digits):
    names = {image.tobytes(): str(label) for image, label in zip(*_parts(test_digits), strict=True)}
    for task in split_tasks(train_digits, test_digits, seed=3):
        for image, label in zip(*_parts(task.test), strict=True):
            assert task.test.class_names[label] == names[image.tobytes()]


def _parts(dataset):
    return dataset.images, dataset.labels


def test_a_seed_shuffles_the_digits(train_digits, test_digits):
    first, again, other = (
        [task.train.class_names for task in split_tasks(train_digits, test_digits, seed=seed)]
        for seed in (1, 1, 2)
    )
    assert first == again != other
    assert sorted(sum(first, ())) == list("0123456789")


def test_permuted_tasks_move_every_image_of_a_task_alike(train_digits, test_digits):
    first, second = permuted_tasks(train_digits, test_digits, count=2, seed=0)
    orders = []
    for task in (first, second):
        probe = np.arange(784)  # where does each pixel go? compare columns over all images
        before = train_digits.images.reshape(-1, 784)
        after = task.train.images.reshape(-1, 784)
        columns = {column.tobytes() for column in before.T}
        assert {column.tobytes() for column in after.T} == columns
        orders.append([after[:, i].tobytes() for i in probe])
        np.testing.assert_array_equal(
            np.sort(task.test.images.reshape(-1, 784)), np.sort(test_digits.images.reshape(-1, 784))
        )
        np.testing.assert_array_equal(task.train.labels, train_digits.labels)
    assert orders[0] != orders[1]


@pytest.mark.parametrize("count", [0, 3, 10, 11])
def test_tasks_of_unequal_or_single_classes_are_refused(count, train_digits, test_digits):
    with pytest.raises(InputError, match=f"10 classes cannot make {count} tasks"):
        split_tasks(train_digits, test_digits, count=count)


def test_a_task_that_is_tested_on_other_classes_or_on_nothing_is_refused(split):
    with pytest.raises(InputError, match="tested on 2, 3"):
        Task(split[0].train, split[1].test)
    with pytest.raises(InputError, match="no training or no test images"):
        Task(split[0].train, split[0].test.subset([]))


# scenarios


@pytest.mark.parametrize(
    ("scenario", "units", "of_task_0", "of_task_1"),
    [
        ("task", [2, 3], "110000", "001100"),
        ("domain", [0, 1], "11", "11"),
        ("class", [2, 3], "111100", "111100"),
    ],
)
def test_the_units_that_may_answer_while_task_1_of_3_is_learned(scenario, units, of_task_0, of_task_1):
    outputs = Outputs(scenario, tasks=3, classes=2)
    assert outputs.units(np.array([0, 1], np.uint8), task=1).tolist() == units
    active = outputs.active(torch.tensor([0, 1]), newest=1)
    assert active.shape == (2, outputs.count)
    assert ["".join(str(int(unit)) for unit in row) for row in active] == [of_task_0, of_task_1]


def test_an_unknown_scenario_is_refused():
    with pytest.raises(InputError, match="choose one of task, domain, class"):
        Outputs("online", 2, 2)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_loss_is_the_cross_entropy_over_those_units(scenario, train_digits):
    state = learner(scenario)
    examples = batch(train_digits, 7, 1, state.outputs)
    logits = state.model(state.images(examples))
    columns = {"task": slice(2, 4), "domain": slice(0, 2), "class": slice(0, 4)}[scenario]
    expected = F.cross_entropy(logits[:, columns], torch.from_numpy(examples.units - columns.start))
    torch.testing.assert_close(state.loss(examples), expected)
    state.loss(examples).backward()
    outside = np.delete(np.arange(state.outputs.count), np.arange(state.outputs.count)[columns])
    assert not state.model[-1].weight.grad[outside].any()


# EWC


def softmax_regression(weight):
    model = nn.Sequential(nn.Flatten(), nn.Linear(3, 2, bias=False))
    model[1].weight.data = torch.tensor(weight)
    return model


WEIGHT = [[0.5, -1.0, 0.2], [0.1, 0.3, -0.4]]
POINTS = torch.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, -1.0], [3.0, 0.5, 0.5]])


def test_the_fisher_information_of_softmax_regression_is_p_times_1_minus_p_times_x_squared():
    found = fisher_information(softmax_regression(WEIGHT), POINTS)["1.weight"]
    expected = np.zeros((2, 3))
    for x in POINTS.numpy():
        scores = np.exp(np.array(WEIGHT) @ x)
        p = scores / scores.sum()
        for k in range(2):
            expected[k] += p[k] * (1 - p[k]) * x**2 / 3
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


def test_the_fisher_information_is_the_hessian_of_softmax_regressions_loss():
    """Of a model whose logits are linear the two are the same, whatever the labels."""
    model = softmax_regression(WEIGHT)
    hessian = torch.autograd.functional.hessian(
        lambda w: F.cross_entropy(POINTS @ w.T, torch.tensor([0, 1, 1])), model[1].weight.detach()
    )
    diagonal = torch.diagonal(hessian.reshape(6, 6)).reshape(2, 3)
    torch.testing.assert_close(fisher_information(model, POINTS)["1.weight"], diagonal)


def test_the_fisher_information_is_not_the_batchs_gradient_squared():
    twice = torch.cat([POINTS[:1], -POINTS[:1]])  # whose gradients cancel
    found = fisher_information(softmax_regression([[0.0] * 3] * 2), twice)["1.weight"]
    torch.testing.assert_close(found, 0.25 * POINTS[:1].expand(2, 3) ** 2)


def test_units_that_may_not_answer_have_no_information(train_digits):
    model = dense_network(6, hidden=(4,), seed=0)
    found = fisher_information(model, to_tensor(train_digits.images[:3]), torch.tensor([2, 3]))
    assert not found["3.bias"][[0, 1, 4, 5]].any()
    assert (found["3.bias"][[2, 3]] > 0).all()


def test_frozen_parameters_have_no_entry_and_the_mode_comes_back():
    model = softmax_regression(WEIGHT).train()
    model.append(nn.Linear(2, 2)).requires_grad_(False)
    model[2].bias.requires_grad_(True)
    assert [*fisher_information(model, POINTS)] == ["2.bias"]
    assert model.training


def test_the_penalty_is_half_the_weighted_squared_distance():
    model = softmax_regression([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    importance = {"1.weight": torch.tensor([[1.0, 0.0, 2.0], [0.5, 0.0, 0.0]])}
    anchor = {"1.weight": torch.tensor([[0.0, 9.0, 2.0], [2.0, 9.0, 6.0]])}
    # ½ (1·1² + 2·1² + ½·2²)
    assert ewc_penalty(model, importance, anchor).item() == 2.5


def test_the_penaltys_gradient_is_importance_times_distance():
    model = softmax_regression([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    importance, anchor = torch.rand(2, 3), torch.rand(2, 3)
    ewc_penalty(model, {"1.weight": importance}, {"1.weight": anchor}).backward()
    torch.testing.assert_close(model[1].weight.grad, importance * (model[1].weight.detach() - anchor))


def test_ewc_adds_lambda_times_the_penalty_of_every_old_task(train_digits):
    state, strategy = learner("domain", newest=0), EWC(strength=7.0, examples=5)
    examples = batch(train_digits, 9, 0, state.outputs)
    anchors = []
    for newest in range(2):
        state.newest = newest
        strategy.finished(state, examples)
        anchors.append(copy.deepcopy(state.model.state_dict()))
        with torch.no_grad():
            for value in state.model.parameters():
                value += 0.1
    expected = state.loss(examples).item()
    for (importance, _), anchor in zip(strategy.memories, anchors, strict=True):
        for name, value in state.model.named_parameters():
            expected += 7 / 2 * (importance[name] * (value - anchor[name]) ** 2).sum().item()
    assert strategy.loss(state, examples).item() == pytest.approx(expected, rel=1e-5)


# replay


def test_the_store_holds_so_many_of_every_class_of_every_finished_task(pair):
    strategy, outputs = Replay(per_class=3), Outputs("class", 2, 2)
    state = learner("class", newest=0, tasks=2)
    for number, task in enumerate(pair):
        examples = Examples(
            task.train.images, outputs.units(task.train.labels, number), np.full(len(task.train), number)
        )
        strategy.finished(state, examples)
    stored = strategy.stored
    assert np.bincount(stored.units).tolist() == [3] * 4
    assert stored.tasks.tolist() == [0] * 6 + [1] * 6
    assert len({image.tobytes() for image in stored.images}) == 12
    for number, task in enumerate(pair):
        known = {image.tobytes(): label for image, label in zip(*_parts(task.train), strict=True)}
        for image, unit in zip(
            stored.images[stored.tasks == number], stored.units[stored.tasks == number], strict=True
        ):
            assert known[image.tobytes()] == unit - 2 * number


def test_with_t_tasks_the_new_one_counts_1_over_t(train_digits):
    state, strategy = learner("task", newest=2, batch_size=1), Replay(per_class=1)
    old = batch(train_digits, 1, 0, state.outputs)
    strategy.finished(state, old)
    new = batch(train_digits, 5, 2, state.outputs)
    expected = state.loss(new) / 3 + state.loss(old) * 2 / 3
    torch.testing.assert_close(strategy.loss(state, new), expected)


# distillation


def test_the_distillation_loss_of_two_rows_by_hand():
    found = distillation_loss(
        torch.tensor([[2.0, 0.0], [0.0, 0.0]]), torch.tensor([[0.0, 4.0], [1.0, 1.0]]), 2.0
    )
    # p = softmax([1, 0]), q = softmax([0, 2]); the second row is half and half
    p, q = 1 / (1 + np.exp(-1)), 1 / (1 + np.exp(2))
    first = -(q * np.log(p) + (1 - q) * np.log(1 - p))
    assert found.item() == pytest.approx((first + np.log(2)) / 2, rel=1e-6)


def test_a_class_that_the_teacher_does_not_know_has_target_zero():
    logits = torch.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    loss = distillation_loss(logits, torch.tensor([[0.0, 0.0, -torch.inf]]), 1.0)
    expected = -logits.detach().log_softmax(1)[0, :2].mean()
    torch.testing.assert_close(loss.detach(), expected)
    loss.backward()
    assert logits.grad[0, 2] > 0  # it is pushed down
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_lwf_holds_the_old_answers_on_the_new_images(scenario, train_digits):
    state, strategy = learner(scenario, newest=1), Distillation(temperature=2.0)
    new = batch(train_digits, 6, 2, state.outputs)
    strategy.finished(state, new)
    state.newest = 2
    with torch.no_grad():
        state.model[-1].weight += torch.randn_like(state.model[-1].weight)
        before = strategy.teacher(state.images(new)) / 2
        now = state.model(state.images(new)) / 2
    groups = {
        # old units of the teacher, the network's units that take part
        "task": [([0, 1], [0, 1]), ([2, 3], [2, 3])],
        "domain": [([0, 1], [0, 1])],
        "class": [([0, 1, 2, 3], [0, 1, 2, 3, 4, 5])],
    }[scenario]
    held = [
        -(before[:, old].softmax(1) * now[:, units].log_softmax(1)[:, : len(old)]).sum(1).mean()
        for old, units in groups
    ]
    expected = state.loss(new) / 3 + 2 / 3 * sum(held) / len(held)
    torch.testing.assert_close(strategy.loss(state, new), expected)


def test_the_teacher_does_not_learn(train_digits):
    state, strategy = learner("domain", newest=0), Distillation()
    examples = batch(train_digits, 6, 0, state.outputs)
    strategy.finished(state, examples)
    before = copy.deepcopy(strategy.teacher.state_dict())
    state.newest = 1
    optimizer = torch.optim.SGD(state.model.parameters(), lr=0.1)
    strategy.loss(state, examples).backward()
    optimizer.step()
    assert all(value.equal(before[name]) for name, value in strategy.teacher.state_dict().items())
    assert not state.model[1].weight.equal(before["1.weight"])


# learning


SHORT = {"iterations": 60, "batch_size": 32, "progress": False}


def short(pair, strategy, scenario, **settings):
    outputs = Outputs(scenario, len(pair), 2)
    model = dense_network(outputs.count, hidden=(32,), seed=0)
    return run(pair, strategy, scenario, model=model, **SHORT, **settings), model


@pytest.fixture(scope="module")
def untreated(pair):
    """Accuracies where the tasks share their units and nothing is done against forgetting."""
    return short(pair, "none", "domain")[0]


def test_row_t_tests_all_tasks_up_to_t(untreated):
    assert np.isnan(untreated).tolist() == [[False, True], [False, False]]


def test_untreated_the_newest_task_is_learned_and_the_one_before_forgotten(untreated):
    assert untreated.diagonal().min() > 0.85
    assert untreated[1, 0] < 0.65


@pytest.mark.parametrize(
    "strategy", ["joint", EWC(strength=1e3, examples=50), Replay(per_class=20), "lwf"]
)
def test_every_strategy_keeps_more_than_none(strategy, pair, untreated):
    accuracies, _ = short(pair, strategy, "domain")
    assert accuracies[1, 0] > untreated[1, 0] + 0.1
    assert accuracies[1, 1] > 0.7


def test_without_replay_the_class_scenario_ends_with_the_last_task_alone(pair):
    accuracies, _ = short(pair, "none", "class")
    assert accuracies[1, 0] < 0.1
    assert accuracies[1, 1] > 0.85


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_strategy_learns_the_first_task_in_every_scenario(name, scenario, pair):
    accuracies, _ = short(pair, name, scenario)
    assert accuracies[0, 0] > 0.85


@pytest.mark.parametrize("name", ["replay", "ewc"])
def test_the_seed_fixes_a_run(name, pair):
    (first, one), (again, two), (_, other) = (
        short(pair, name, "class", seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert one[-1].weight.equal(two[-1].weight)
    assert not one[-1].weight.equal(other[-1].weight)


def test_a_strategy_can_be_used_again(pair):
    strategy = Replay(per_class=2)
    short(pair, strategy, "domain")
    assert strategy.stored is None


def test_forgetting_is_the_mean_fall_from_the_best():
    nan = np.nan
    accuracies = np.array([[0.9, nan, nan], [0.95, 0.8, nan], [0.45, 0.7, 1.0]])
    assert forgetting(accuracies) == pytest.approx((0.5 + 0.1) / 2)


def test_a_default_network_has_two_layers_of_400_and_a_unit_per_class():
    shapes = [tuple(value.shape) for value in dense_network(6).parameters() if value.ndim == 2]
    assert shapes == [(400, 784), (400, 400), (6, 400)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tasks": []}, "at least one"),
        ({"strategy": "hope"}, "choose one of none, joint, ewc, replay, lwf"),
        ({"scenario": "online"}, "choose one of task, domain, class"),
        ({"iterations": 0}, "iterations is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"learning_rate": 0.0}, "learning_rate is 0"),
        ({"model": dense_network(3, hidden=())}, "the model has 3 logits; 2 tasks of 2 classes need 4"),
    ],
)
def test_unusable_settings_are_refused(change, message, pair):
    settings = {"tasks": pair, "strategy": "none", "scenario": "class", **SHORT, **change}
    with pytest.raises(InputError, match=message):
        run(**settings)


def test_tasks_of_different_sizes_are_refused(pair, train_digits, test_digits):
    with pytest.raises(InputError, match=r"the tasks have \[2, 10\] classes"):
        run([pair[0], Task(train_digits, test_digits)], "none", "task", **SHORT)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EWC(strength=-1.0), "strength -1.0"),
        (lambda: EWC(examples=0), "0 examples"),
        (lambda: Replay(per_class=0), "per_class is 0"),
        (lambda: Distillation(temperature=0.0), "the temperature is 0"),
        (lambda: fisher_information(softmax_regression(WEIGHT), POINTS[:0]), "no images"),
        (
            lambda: permuted_tasks(
                *[ImageDataset(np.zeros((1, 28, 28), np.uint8), np.zeros(1, np.uint8))] * 2, count=0
            ),
            "count is 0",
        ),
    ],
)
def test_settings_without_sense_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
