"""What LoRA, adapters and prompts promise alike, and what training the biases alone does too."""

import copy

import pytest
import torch
from torch import nn

from mnist_course.errors import InputError
from mnist_course.finetuning.adapters import add_adapters, bias_only
from mnist_course.finetuning.extending import extendable
from mnist_course.finetuning.freezing import freeze, linear_probe, trainable
from mnist_course.finetuning.lora import add_lora, merge_lora
from mnist_course.finetuning.prompts import Prompted
from mnist_course.models import build
from mnist_course.pytorch.training import evaluate, fit, load_weights, predict_logits, save_weights


def lora(model, seed=0):
    add_lora(model, rank=2, seed=seed)
    return model


def adapters(model, seed=0):
    add_adapters(model, width=3, seed=seed)
    return model


def prompt(model):
    return Prompted(model)


def biases(model):
    bias_only(model)
    return model


ALL = pytest.mark.parametrize("change", [lora, adapters, prompt, biases])
ADDING = pytest.mark.parametrize("change", [lora, adapters, prompt])
DRAWING = pytest.mark.parametrize("change", [lora, adapters])


def trained(model, data):
    fit(model, data, epochs=1, batch_size=50, learning_rate=3e-3, progress=False, device="cpu")
    return model


def unfrozen(model):
    return {name for name, value in model.named_parameters() if value.requires_grad}


@ALL
def test_it_starts_out_unchanged(change, test_digits):
    plain = build("lenet5", seed=1)
    before = predict_logits(plain, test_digits.images)
    assert (predict_logits(change(plain), test_digits.images) == before).all()


@ALL
def test_what_is_frozen_stays_and_all_else_moves(change, train_digits):
    model = change(build("lenet5", seed=1))
    before = copy.deepcopy(model.state_dict())
    after = trained(model, train_digits).state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == unfrozen(model)


@ALL
def test_it_learns(change, train_digits):
    model = build("lenet5", seed=1)
    model = change(trained(model, train_digits))
    before = evaluate(model, train_digits).loss
    assert evaluate(trained(model, train_digits), train_digits).loss < before


@ALL
def test_its_state_survives_a_file(change, train_digits, test_digits, tmp_path):
    model = trained(change(build("lenet5", seed=1)), train_digits)
    save_weights(model, tmp_path / "weights.safetensors")
    other = change(build("lenet5", seed=2))
    load_weights(other, tmp_path / "weights.safetensors")
    images = test_digits.images
    assert (predict_logits(other, images) == predict_logits(model, images)).all()


@ALL
def test_an_interrupted_run_ends_like_an_uninterrupted_one(change, train_digits, tmp_path):
    def run(epochs, **options):
        model = change(build("lenet5", seed=1))
        fit(model, train_digits, epochs=epochs, progress=False, device="cpu", **options)
        return model.state_dict()

    run(1, checkpoint=tmp_path)
    resumed, whole = run(2, checkpoint=tmp_path, resume=True), run(2)
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


@ALL
def test_it_trains_far_fewer_numbers(change):
    assert trainable(change(build("lenet5"))) < 61_706 / 8


@DRAWING
def test_the_seed_alone_decides_what_is_drawn(change):
    def drawn(seed):
        state = change(build("lenet5"), seed).state_dict()
        return torch.cat([value.flatten() for name, value in state.items() if "down" in name])

    torch.manual_seed(5)
    first = drawn(0)
    torch.manual_seed(6)
    before = torch.get_rng_state()
    assert torch.equal(drawn(0), first)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(drawn(1), first)


@ADDING
@pytest.mark.parametrize("again", [lora, adapters, prompt, biases])
def test_a_second_change_is_refused(change, again):
    model = change(build("lenet5"))
    before = unfrozen(model), [type(part) for part in model.modules()]
    with pytest.raises(InputError, match="already; start from the plain network") as error:
        again(model)
    assert "\n" not in str(error.value)
    assert (unfrozen(model), [type(part) for part in model.modules()]) == before


@ALL
def test_a_network_without_a_head_is_refused(change):
    with pytest.raises(InputError, match="no dense layer that could be its head"):
        change(nn.Sequential(nn.Conv2d(1, 10, 28), nn.Flatten()))


@DRAWING
def test_a_network_of_nothing_but_a_head_is_refused(change):
    with pytest.raises(InputError, match="no layer is left to extend"):
        change(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)))


@pytest.mark.parametrize(
    "change",
    [
        lambda model: add_lora(model, rank=0),
        lambda model: add_lora(model, rank=500),
        lambda model: add_lora(model, rank=2, layers=["conv1", "conv9"]),
        lambda model: add_adapters(model, width=0),
        lambda model: add_adapters(model, width=500),
        lambda model: Prompted(model, border=0),
        lambda model: Prompted(model, labels=[0, 99]),
    ],
)
def test_a_refused_change_changes_nothing(change):
    model = build("lenet5")
    linear_probe(model)
    with pytest.raises(InputError):
        change(model)
    assert unfrozen(model) == {"fc3.weight", "fc3.bias"}
    assert [type(part) for part in model.children()] == [
        type(part) for part in build("lenet5").children()
    ]


@pytest.mark.parametrize("change", [lora, adapters])
def test_the_head_trains_also_where_it_was_frozen(change):
    model = build("lenet5")
    freeze(model)
    assert {"fc3.weight", "fc3.bias"} <= unfrozen(change(model))


def test_a_merged_network_can_be_extended_again():
    model = lora(build("lenet5"))
    merge_lora(model)
    assert list(extendable(model)) == ["conv1", "conv2", "fc1", "fc2"]
