"""What is frozen does not move, what is not does, and both are said by name."""

import copy

import pytest
import torch
from torch import nn

from mnist_course import build
from mnist_course.errors import InputError
from mnist_course.finetuning.freezing import (
    freeze,
    head,
    layers,
    layerwise_learning_rates,
    linear_probe,
    replace_head,
    trainable,
    trained_state,
    unfreeze,
)
from mnist_course.models import MODELS
from mnist_course.pytorch import regularized
from mnist_course.pytorch.training import fit, predict_logits

SMALL = {"epochs": 1, "batch_size": 64, "seed": 3, "progress": False, "device": "cpu"}


def moved(before, after):
    """Return the names in the networks' states whose numbers differ."""
    states = before.state_dict(), after.state_dict()
    return {name for name in states[0] if not torch.equal(states[0][name], states[1][name])}


def trained(model, data, **options):
    other = copy.deepcopy(model)
    fit(other, data, **{**SMALL, **options})
    return other


def test_layers_stand_from_input_to_output():
    assert layers(build("lenet5")) == ["conv1", "conv2", "fc1", "fc2", "fc3"]


@pytest.mark.parametrize("name", MODELS)
def test_the_head_makes_the_logits(name):
    assert head(build(name)) == layers(build(name))[-1]


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("names", [("conv1",), ("conv1", "fc1"), ("fc2.bias",), ("conv2.weight", "fc3")])
def test_frozen_parameters_do_not_move_and_do_when_unfrozen(names, optimizer, train_digits):
    model = build("lenet5", seed=1)
    everything = set(model.state_dict())
    freeze(model, *names)
    still = {each for each in everything if any(f"{each}.".startswith(f"{name}.") for name in names)}
    assert moved(model, trained(model, train_digits, optimizer=optimizer)) == everything - still
    unfreeze(model, *names)
    assert moved(model, trained(model, train_digits, optimizer=optimizer)) == everything


def test_without_a_name_all_is_frozen_and_unfrozen():
    model = build("simple_cnn")
    freeze(model)
    assert trainable(model) == 0
    unfreeze(model)
    assert trainable(model) == 21_840


def test_a_name_is_no_beginning_of_another():
    model = nn.Sequential(*(nn.Linear(2, 2) for _ in range(11)))
    freeze(model, "1")
    assert [name for name, value in model.named_parameters() if not value.requires_grad] == [
        "1.weight",
        "1.bias",
    ]


def test_a_name_can_hold_several_layers():
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4)), nn.Linear(4, 1))
    freeze(model, "0")
    assert trainable(model) == 5


def test_a_linear_probe_trains_the_head_alone(train_digits):
    model = build("lenet5", seed=1)
    linear_probe(model)
    assert trainable(model) == 84 * 10 + 10
    assert moved(model, trained(model, train_digits)) == {"fc3.weight", "fc3.bias"}


def test_frozen_normalisation_keeps_its_statistics_and_other_normalisation_does_not(train_digits):
    model = regularized.build(batch_norm=True, seed=1)
    freeze(model, "norm1")
    changed = moved(model, trained(model, train_digits))
    assert not {name for name in changed if name.startswith("norm1.")}
    assert {"norm2.running_mean", "norm2.running_var", "norm2.num_batches_tracked"} <= changed


def test_normalisation_with_one_trained_parameter_follows_the_data(train_digits):
    model = regularized.build(batch_norm=True, seed=1)
    freeze(model, "norm1.weight")
    assert "norm1.running_mean" in moved(model, trained(model, train_digits))


def test_frozen_parameters_have_no_state_in_the_checkpoint(train_digits, tmp_path):
    from safetensors import safe_open

    model = build("lenet5", seed=1)
    linear_probe(model)
    fit(model, train_digits, checkpoint=tmp_path, **SMALL)
    with safe_open(tmp_path / "epoch-0001.safetensors", "pt") as file:
        shapes = {
            tuple(file.get_slice(key).get_shape())
            for key in file.keys()  # noqa: SIM118
            if key.startswith("optimizer.")
        }
    assert shapes == {(), (10, 84), (10,)}


def test_a_run_with_frozen_layers_resumes_to_the_same_bits(train_digits, tmp_path):
    def start():
        model = regularized.build(batch_norm=True, dropout=0.3, seed=1)
        freeze(model, "conv1", "norm1")
        return model

    whole, part, resumed = start(), start(), start()
    options = {**SMALL, "rate_factors": {"conv2": 0.1}}
    fit(whole, train_digits, **{**options, "epochs": 3})
    fit(part, train_digits, checkpoint=tmp_path, **options)
    fit(resumed, train_digits, checkpoint=tmp_path, resume=True, **{**options, "epochs": 3})
    assert not moved(whole, resumed)
    assert moved(whole, part)


def test_a_checkpoint_of_other_frozen_layers_is_refused(train_digits, tmp_path):
    model = build("simple_cnn")
    freeze(model, "conv1")
    fit(model, train_digits, checkpoint=tmp_path, **SMALL)
    unfreeze(model)
    with pytest.raises(InputError, match=r"frozen was \['conv1.weight', 'conv1.bias'\] and is None"):
        fit(model, train_digits, checkpoint=tmp_path, resume=True, **SMALL)


def test_what_trains_and_its_statistics_are_the_trained_state():
    model = regularized.build(batch_norm=True)
    freeze(model)
    assert trained_state(model) == {}
    unfreeze(model, "norm1.bias", "fc3")
    names = {"bias", "running_mean", "running_var", "num_batches_tracked"}
    assert set(trained_state(model)) == {"fc3.weight", "fc3.bias", *(f"norm1.{name}" for name in names)}


def test_the_trained_state_is_a_copy():
    model = build("simple_cnn")
    state = trained_state(model)
    with torch.no_grad():
        model.conv1.weight += 1
    assert not torch.equal(state["conv1.weight"], model.conv1.weight)


def test_the_statistics_of_normalisation_without_parameters_are_trained():
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2, affine=False))
    freeze(model)
    assert set(trained_state(model)) == {"1.running_mean", "1.running_var", "1.num_batches_tracked"}


def test_a_new_head_leaves_the_rest_and_the_random_state_alone():
    model = build("lenet5", seed=1)
    old, state = copy.deepcopy(model), torch.get_rng_state()
    replace_head(model, 3, seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.fc3.weight.shape == (3, 84)
    assert moved(nn.ModuleList([*old.children()][:-1]), nn.ModuleList([*model.children()][:-1])) == set()
    again = build("lenet5", seed=2)
    replace_head(again, 3, seed=5)
    assert torch.equal(again.fc3.weight, model.fc3.weight)
    assert not model.fc3.bias.any()


def test_a_new_heads_weights_lie_where_the_courses_networks_begin():
    model = build("dense_cnn")
    replace_head(model, 200)
    bound = (6 / (128 + 200)) ** 0.5  # Glorot and Bengio's
    assert 0.98 * bound < model.fc2.weight.abs().max() <= bound


def test_a_head_inside_another_module_is_replaced():
    model = nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(784, 5), nn.Linear(5, 10, bias=False)))
    replace_head(model, 4)
    assert model[1][1].weight.shape == (4, 5)
    assert model[1][1].bias is None


def test_learning_rates_fall_towards_the_input():
    assert layerwise_learning_rates(build("lenet5"), 0.5) == {
        "conv1": 0.0625, "conv2": 0.125, "fc1": 0.25, "fc2": 0.5, "fc3": 1.0,
    }  # fmt: skip


def test_a_factor_is_a_factor_on_the_step(train_digits):
    model = build("lenet5", seed=1)
    options = {"optimizer": "sgd", "batch_size": 600, "learning_rate": 0.1}  # one step
    plain = trained(model, train_digits, **options)
    scaled = trained(model, train_digits, **options, rate_factors={"conv1": 0.25, "fc2.bias": 3.0})
    factors = {"conv1.weight": 0.25, "conv1.bias": 0.25, "fc2.bias": 3.0}
    for name, start in model.state_dict().items():
        step, ours = (other.state_dict()[name] - start for other in (plain, scaled))
        torch.testing.assert_close(ours, factors.get(name, 1.0) * step, rtol=1e-3, atol=1e-7)


def test_factors_of_one_change_nothing(train_digits):
    model = build("simple_cnn", seed=1)
    ours = trained(model, train_digits, rate_factors=layerwise_learning_rates(model, 1.0))
    assert not moved(trained(model, train_digits), ours)


def test_the_longer_of_two_names_counts(train_digits):
    model = build("simple_cnn", seed=1)
    factors = {"fc1.bias": 0.5, "fc1": 0.25}
    options = {"optimizer": "sgd", "batch_size": 600}
    ours = trained(model, train_digits, **options, rate_factors=factors)
    half = trained(model, train_digits, **options, rate_factors={"fc1.bias": 0.5})
    assert torch.equal(ours.fc1.bias, half.fc1.bias)
    assert not torch.equal(ours.fc1.weight, half.fc1.weight)


def test_factors_are_kept_in_the_settings_where_there_are_any(train_digits):
    model = build("simple_cnn")
    assert not {"rate_factors", "frozen"} & set(fit(model, train_digits, **SMALL).settings)
    history = fit(model, train_digits, **SMALL, rate_factors={"conv1": 0.5})
    assert history.settings["rate_factors"] == {"conv1": 0.5}


def test_a_recorded_steps_groups_have_a_rate_of_their_own():
    from mnist_course.pytorch.execution import Execution

    model = build("simple_cnn")
    optimizer = Execution(cuda_graph=True).optimizer(
        torch.optim.SGD, model, 0.1, rate_factors={"conv1": 0.5}
    )
    rates = [group["lr"] for group in optimizer.param_groups]
    assert len({rate.data_ptr() for rate in rates}) == 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda model: freeze(model, "conv9"),
            "no parameters under the name 'conv9'.*conv1, conv2, fc1",
        ),
        (lambda model: unfreeze(model, "conv1", "fc"), "the name 'fc'"),
        (lambda model: replace_head(model, 1), "a head for 1 classes"),
        (lambda model: head(model.conv1), "Conv2d has no dense layer that could be its head"),
        (lambda model: head(nn.ReLU()), "its layers are none"),
        (lambda model: layerwise_learning_rates(model, 0.0), "decay is 0.0"),
        (lambda model: layerwise_learning_rates(model, 1.5), "decay is 1.5"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call(build("simple_cnn"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("factors", "message"),
    [({"conv7": 0.5}, "the name 'conv7'"), ({"conv1": 0.0}, "factor for 'conv1' is 0.0; .* or freeze")],
)
def test_unusable_factors_are_refused(factors, message, train_digits):
    with pytest.raises(InputError, match=message):
        fit(build("simple_cnn"), train_digits, **SMALL, rate_factors=factors)


def test_a_network_that_is_frozen_altogether_is_not_trained(train_digits):
    model = build("simple_cnn")
    freeze(model)
    with pytest.raises(InputError, match="every parameter of SimpleCNN is frozen; unfreeze"):
        fit(model, train_digits, **SMALL)


def test_frozen_features_are_the_same_after_training(train_digits, test_digits):
    model = build("lenet5", seed=1)
    linear_probe(model)
    other = trained(model, train_digits)
    other.fc3 = model.fc3
    assert (predict_logits(other, test_digits.images) == predict_logits(model, test_digits.images)).all()
