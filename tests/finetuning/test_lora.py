"""LoRA from scratch computes what peft computes, and merges into plain weights."""

import copy
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, inject_adapter_in_model
from torch import nn

from mnist_course.errors import InputError
from mnist_course.finetuning.freezing import trainable
from mnist_course.finetuning.lora import LoRAConv2d, LoRALinear, add_lora, merge_lora
from mnist_course.models import build

EXACT = {"rtol": 1e-12, "atol": 1e-12}


def random(*shape):
    return torch.randn(shape, dtype=torch.float64)


def trained(layer):
    """Let `up` be anything but its start, zero."""
    nn.init.normal_(layer.up.weight)
    return layer


def by_peft(ours):
    """Return peft's layer with the weights of ours, in float64."""
    base, (rank, groups) = copy.deepcopy(ours.base), (ours.down.weight.shape[0], ours.groups)
    config = LoraConfig(r=rank, lora_alpha=ours.scale * rank, target_modules=["0"])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*groups > 1. Merging is not supported")
        theirs = inject_adapter_in_model(config, nn.Sequential(base))[0]
    down, up = theirs.lora_A.default, theirs.lora_B.default
    with torch.no_grad():
        up.weight.copy_(ours.up.weight)
        down.weight.zero_()
        for weight, own in blocks(down.weight, ours.down.weight, groups):
            weight.copy_(own)
    if isinstance(down, nn.Conv2d):
        down.dilation = base.dilation  # which peft 0.21 leaves at 1
    return theirs.double()


def blocks(dense, grouped, groups):
    """Yield peft's and our part of A for each group: peft lets all inputs into each."""
    for rows, own, inputs in zip(dense.chunk(groups), grouped.chunk(groups), range(groups), strict=True):
        yield rows.chunk(groups, dim=1)[inputs], own


def assert_equal_to_peft(ours, images):
    theirs = by_peft(ours)
    results = []
    for layer in (ours, theirs):
        x = images.clone().requires_grad_()
        y = layer(x)
        y.square().sum().backward()
        results.append((y.detach(), x.grad))
    torch.testing.assert_close(results[0], results[1], **EXACT)
    gradients = [part.weight.grad for part in (theirs.lora_A.default, theirs.lora_B.default)]
    torch.testing.assert_close(ours.up.weight.grad, gradients[1], **EXACT)
    for theirs_grad, own in blocks(gradients[0], ours.down.weight.grad, ours.groups):
        torch.testing.assert_close(own, theirs_grad, **EXACT)


dense_layers = st.fixed_dictionaries(
    {
        "inputs": st.integers(1, 9),
        "outputs": st.integers(1, 9),
        "bias": st.booleans(),
        "rank": st.integers(1, 5),
        "alpha": st.none() | st.floats(0.1, 10),
    }
)
convolutions = st.fixed_dictionaries(
    {
        "groups": st.integers(1, 3),
        "inputs": st.integers(1, 3),  # per group
        "outputs": st.integers(1, 3),
        "rank": st.integers(1, 3),
        "kernel": st.tuples(st.integers(1, 3), st.integers(1, 3)),
        "stride": st.tuples(st.integers(1, 3), st.integers(1, 2)),
        "padding": st.tuples(st.integers(0, 2), st.integers(0, 2)),
        "dilation": st.tuples(st.integers(1, 2), st.integers(1, 3)),
        "bias": st.booleans(),
        "alpha": st.none() | st.floats(0.1, 10),
    }
)


def dense(shape):
    torch.manual_seed(0)
    base = nn.Linear(shape["inputs"], shape["outputs"], bias=shape["bias"]).double()
    return trained(LoRALinear(base, shape["rank"], shape["alpha"])), random(4, shape["inputs"])


def convolution(shape):
    torch.manual_seed(0)
    groups = shape["groups"]
    base = nn.Conv2d(
        groups * shape["inputs"], groups * shape["outputs"], shape["kernel"], shape["stride"],
        shape["padding"], shape["dilation"], groups, bias=shape["bias"],
    ).double()  # fmt: skip
    layer = trained(LoRAConv2d(base, groups * shape["rank"], shape["alpha"]))
    return layer, random(2, groups * shape["inputs"], 9, 8)


@settings(max_examples=40)
@given(dense_layers)
def test_a_dense_layer_equals_pefts_in_value_and_gradient(shape):
    assert_equal_to_peft(*dense(shape))


@settings(max_examples=60)
@given(convolutions)
def test_a_convolution_equals_pefts_in_value_and_gradient(shape):
    assert_equal_to_peft(*convolution(shape))


@settings(max_examples=40)
@given(dense_layers)
def test_a_dense_layer_merges_exactly(shape):
    layer, x = dense(shape)
    torch.testing.assert_close(layer.merged()(x), layer(x), **EXACT)


@settings(max_examples=60)
@given(convolutions)
def test_a_convolution_merges_exactly(shape):
    layer, images = convolution(shape)
    torch.testing.assert_close(layer.merged()(images), layer(images), **EXACT)


@pytest.mark.parametrize("mode", ["reflect", "circular", "replicate"])
def test_the_change_sees_the_border_that_the_layer_sees(mode):
    base = nn.Conv2d(2, 3, 3, padding="same", padding_mode=mode).double()
    layer, images = trained(LoRAConv2d(base, 2)), random(1, 2, 5, 5)
    torch.testing.assert_close(layer.merged()(images), layer(images), **EXACT)


def few_images():
    return torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def network(**options):
    """LeNet-5 with LoRA that does something."""
    model = build("lenet5", seed=1)
    add_lora(model, **{"rank": 3, "alpha": 6, "seed": 2, **options})
    for part in model.modules():
        if isinstance(part, LoRALinear | LoRAConv2d):
            nn.init.normal_(part.up.weight, std=0.1)
    return model


def test_a_network_equals_pefts_before_and_after_merging():
    ours, names = network(), ["conv1", "conv2", "fc1", "fc2"]
    config = LoraConfig(r=3, lora_alpha=6, target_modules=names, modules_to_save=["fc3"])
    theirs = inject_adapter_in_model(config, build("lenet5", seed=1))
    for name in names:
        own, other = ours.get_submodule(name), theirs.get_submodule(name)
        other.lora_A.default.load_state_dict(own.down.state_dict())
        other.lora_B.default.load_state_dict(own.up.state_dict())
    assert trainable(ours) == trainable(theirs)
    torch.testing.assert_close(ours(few_images()), theirs(few_images()))
    merge_lora(ours)
    for name in names:
        other = theirs.get_submodule(name)
        other.merge()
        torch.testing.assert_close(ours.get_submodule(name).weight, other.get_base_layer().weight)


def test_merging_changes_logits_by_rounding_alone():
    model = network()
    before = model(few_images())
    merge_lora(model)
    torch.testing.assert_close(model(few_images()), before, rtol=1e-4, atol=1e-5)


def test_a_merged_network_is_the_plain_architecture():
    plain, model = build("lenet5"), network()
    merge_lora(model)
    plain.load_state_dict(model.state_dict())
    assert [type(part) for part in model.modules()] == [type(part) for part in plain.modules()]
    assert torch.equal(plain(few_images()), model(few_images()))


def test_weights_that_keep_their_channels_last_merge_too():
    model = network().to(memory_format=torch.channels_last)
    before = model(few_images())
    merge_lora(model)
    torch.testing.assert_close(model(few_images()), before, rtol=1e-4, atol=1e-5)


def test_alpha_scales_the_change():
    layer, x = trained(LoRALinear(nn.Linear(5, 4).double(), rank=2)), random(3, 5)
    change = layer(x) - layer.base(x)
    twice = LoRALinear(layer.base, rank=2, alpha=4)
    twice.load_state_dict(layer.state_dict())
    torch.testing.assert_close(twice(x) - layer.base(x), 2 * change, **EXACT)


def test_a_rank_costs_its_inputs_and_outputs():
    model = build("lenet5")
    add_lora(model, rank=3)
    head = 84 * 10 + 10
    assert trainable(model) == 3 * (25 + 6 + 150 + 16 + 400 + 120 + 120 + 84) + head


def test_only_named_layers_are_changed():
    model = build("lenet5")
    add_lora(model, rank=2, layers=["conv2", "fc3"])
    kinds = {name: type(part) for name, part in model.named_children()}
    assert kinds == {
        "conv1": nn.Conv2d, "conv2": LoRAConv2d, "fc1": nn.Linear, "fc2": nn.Linear, "fc3": LoRALinear,
    }  # fmt: skip
    assert trainable(model) == 2 * (150 + 16 + 84 + 10)


@pytest.mark.parametrize("rank", [0, -1, 2.0, True, None, "4"])
def test_a_rank_that_is_no_count_is_refused(rank):
    with pytest.raises(InputError, match="expected a whole number of at least 1"):
        add_lora(build("lenet5"), rank=rank)


def test_a_rank_that_no_weight_has_is_refused():
    with pytest.raises(InputError, match=r"rank is 121, but no weight of conv1, .* more than 120"):
        add_lora(build("lenet5"), rank=121)


def test_a_rank_that_groups_cannot_share_is_refused():
    with pytest.raises(InputError, match="rank is 3, but the convolution has 2 groups"):
        LoRAConv2d(nn.Conv2d(4, 4, 3, groups=2), rank=3)


@pytest.mark.parametrize("alpha", [0, -1, float("nan"), float("inf")])
def test_an_alpha_that_is_not_positive_is_refused(alpha):
    with pytest.raises(InputError, match=r"alpha is .*; expected a positive number"):
        add_lora(build("lenet5"), rank=2, alpha=alpha)


@pytest.mark.parametrize("name", ["conv9", "", "conv1.weight"])
def test_an_unknown_layer_is_refused(name):
    with pytest.raises(InputError, match="no convolution or dense layer; choose from conv1, conv2, fc1"):
        add_lora(build("lenet5"), rank=2, layers=["conv1", name])


def test_an_empty_choice_of_layers_is_refused():
    with pytest.raises(InputError, match="no layer is left to extend; choose from conv1"):
        add_lora(build("lenet5"), rank=2, layers=[])


def test_merging_what_has_no_lora_is_refused():
    with pytest.raises(InputError, match="LeNet5 has no LoRA layers to merge"):
        merge_lora(build("lenet5"))
