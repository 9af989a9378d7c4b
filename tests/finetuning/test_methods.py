"""Fine-tuning by name: what trains in which phase, and that an interruption changes nothing."""

import copy
import json

import numpy as np
import pytest
import torch

import mnist_course.training
from mnist_course import build
from mnist_course.data import ImageDataset
from mnist_course.errors import InputError
from mnist_course.finetuning import METHODS
from mnist_course.finetuning.freezing import layers
from mnist_course.finetuning.methods import fine_tune
from mnist_course.finetuning.phases import LEARNING_RATES, phases, prepare
from mnist_course.pytorch import regularized
from mnist_course.pytorch.training import predict_logits

SMALL = {"batch_size": 32, "seed": 3, "progress": False, "device": "cpu"}


@pytest.fixture(scope="module")
def digits(train_digits):
    """120 digits."""
    return train_digits.subset(range(120))


def states_equal(first, second):
    ours, theirs = first.state_dict(), second.state_dict()
    return list(ours) == list(theirs) and all(torch.equal(ours[name], theirs[name]) for name in ours)


def of_classes(dataset, names):
    """Return the images of these classes alone, numbered among them."""
    chosen = dataset.subset(np.isin(dataset.labels, [int(name) for name in names]))
    labels = np.array([names.index(str(label)) for label in chosen.labels], np.uint8)
    return ImageDataset(chosen.images, labels, tuple(names))


@pytest.mark.parametrize("method", METHODS)
def test_a_network_begins_a_method_with_what_it_knows(method, digits):
    model = build("lenet5", seed=1)
    network = prepare(model, method, classes=10).eval()
    np.testing.assert_allclose(
        predict_logits(network, digits.images), predict_logits(model, digits.images), atol=1e-6
    )


@pytest.mark.parametrize("method", METHODS)
def test_the_network_to_begin_with_stays_as_it_is(method, digits):
    model = build("simple_cnn", seed=1)
    model.conv1.weight.requires_grad_(False)
    before = copy.deepcopy(model)
    result = fine_tune(model, digits, method=method, epochs=4, **SMALL)
    assert states_equal(model, before)
    assert [value.requires_grad for value in model.parameters()] == [
        value.requires_grad for value in before.parameters()
    ]
    assert not np.array_equal(
        predict_logits(result.model, digits.images), predict_logits(model, digits.images)
    )


TRAINED = {  # of SimpleCNN's layers conv1 (1→10, 5×5), conv2 (10→20, 5×5), fc1 (320→50), fc2 (50→10)
    "linear": 510,
    "full": 21_840,
    "lpft": 21_840,
    "gradual": 21_840,
    "layerwise": 21_840,
    # 2 (inputs · kernel + outputs) of each layer but the head, which trains itself
    "lora": 2 * (25 + 10) + 2 * (250 + 20) + 2 * (320 + 50) + 510,
    # 2 m d + m + d with m = 2
    "adapter": (4 * 10 + 12) + (4 * 20 + 22) + (4 * 50 + 52) + 510,
    "bias": 10 + 20 + 50 + 510,
    "prompt": 28 * 28 - 24 * 24,
}


@pytest.mark.parametrize("method", METHODS)
def test_what_trained_is_counted_and_stored(method, digits):
    result = fine_tune(build("simple_cnn"), digits, method=method, epochs=4, rank=2, **SMALL)
    assert result.trained_parameters == TRAINED[method]
    # four bytes per number and a header of names
    assert 4 * TRAINED[method] < result.stored_bytes < 4 * TRAINED[method] + 2000
    assert sum(len(history) for history in result.histories) == 4
    assert result.seconds == sum(sum(history.seconds) for history in result.histories)


@pytest.mark.parametrize("method", METHODS)
def test_an_interrupted_fine_tune_resumes_to_the_same_bits(method, digits, tmp_path, monkeypatch):
    model = regularized.build(batch_norm=True, dropout=0.2, seed=1)
    options = {"method": method, "epochs": 4, "rank": 2, "replay": digits.subset(range(10)), **SMALL}
    whole = fine_tune(model, digits, **options)

    for stop in (1, 3):  # after its first epoch, and within the later phases of those that have them
        saved, done = mnist_course.training._State.save, []

        def save_and_interrupt(state, history, *, best, saved=saved, done=done, stop=stop):
            saved(state, history, best=best)
            done.append(len(history))
            if len(done) == stop:
                raise KeyboardInterrupt

        folder = tmp_path / str(stop)
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(mnist_course.training._State, "save", save_and_interrupt)
            fine_tune(model, digits, checkpoint=folder, **options)
        resumed = fine_tune(model, digits, checkpoint=folder, resume=True, **options)
        assert states_equal(resumed.model, whole.model)
        assert [h.train_loss for h in resumed.histories] == [h.train_loss for h in whole.histories]


def test_a_later_phase_of_an_earlier_run_is_not_resumed(digits, tmp_path):
    model, other = build("simple_cnn", seed=1), build("simple_cnn", seed=2)
    options = {"method": "lpft", "epochs": 2, "checkpoint": tmp_path, **SMALL}
    fine_tune(other, digits, **options)
    with pytest.raises(KeyboardInterrupt):
        fine_tune(model, digits, after_epoch=_interrupt, **options)
    resumed = fine_tune(model, digits, resume=True, **options)
    assert states_equal(resumed.model, fine_tune(model, digits, **options).model)


def _interrupt(history):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"seed": 4}, "these differ: seed"),
        ({"epochs": 3}, "phases"),
        ({"learning_rate": 1e-4}, "phases"),
        ({"optimizer": "sgd"}, "optimizer"),
        ({"method": "linear"}, "method"),
        ({"replay": True}, "the training images"),
        ({"model": True}, "the network to begin with"),
    ],
)
def test_the_checkpoint_of_another_fine_tuning_is_refused(changed, words, digits, tmp_path):
    options = {"method": "full", "epochs": 2, "checkpoint": tmp_path, **SMALL}
    fine_tune(build("simple_cnn", seed=1), digits, **options)
    model = build("simple_cnn", seed=2 if changed.pop("model", None) else 1)
    if changed.get("replay"):
        changed = {"replay": digits.subset([0])}
    with pytest.raises(InputError, match=words):
        fine_tune(model, digits, resume=True, **{**options, **changed})


def test_a_damaged_record_is_refused(digits, tmp_path):
    options = {"method": "full", "epochs": 1, "checkpoint": tmp_path, **SMALL}
    fine_tune(build("simple_cnn"), digits, **options)
    for content in ("{", "[]", "[" * 100_000):
        (tmp_path / "fine_tuning.json").write_text(content)
        with pytest.raises(InputError, match=r"fine_tuning.json is damaged"):
            fine_tune(build("simple_cnn"), digits, resume=True, **options)


def test_refused_settings_leave_no_file(digits, tmp_path):
    with pytest.raises(InputError, match="batch_size is 0"):
        fine_tune(
            build("simple_cnn"), digits, method="full", epochs=1, checkpoint=tmp_path,
            **{**SMALL, "batch_size": 0},
        )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_lpft_trains_the_head_and_then_everything(digits):
    model = build("simple_cnn", seed=1)
    first, second = phases(prepare(model, "lpft", classes=10), "lpft", epochs=5)
    assert (first.epochs, first.trained) == (2, ("fc2",))
    assert first.learning_rate == LEARNING_RATES["linear"]
    assert (second.epochs, second.trained) == (3, ("conv1", "conv2", "fc1", "fc2"))
    seen = []
    result = fine_tune(
        model, digits, method="lpft", epochs=2, after_epoch=lambda h: seen.append(h.settings), **SMALL
    )
    assert [len(settings.get("frozen", [])) for settings in seen] == [6, 0]
    assert len(result.histories) == 2


def test_gradual_unfreezing_opens_a_layer_at_a_time_from_the_head():
    network = prepare(build("lenet5"), "gradual", classes=10)
    plan = phases(network, "gradual", epochs=12)
    assert [phase.trained for phase in plan] == [
        tuple(reversed(layers(network)))[: count + 1] for count in range(5)
    ]
    assert [phase.epochs for phase in plan] == [2, 2, 2, 2, 4]


@pytest.mark.parametrize("epochs", [1, 2, 3, 7])
def test_gradual_unfreezing_ends_with_every_layer_however_few_the_epochs(epochs):
    network = prepare(build("lenet5"), "gradual", classes=10)
    plan = phases(network, "gradual", epochs=epochs)
    assert sum(phase.epochs for phase in plan) == epochs
    assert set(plan[-1].trained) == set(layers(network))
    assert all(phase.epochs for phase in plan)


def test_layerwise_rates_reach_the_optimizer(digits):
    result = fine_tune(build("simple_cnn"), digits, method="layerwise", epochs=1, **SMALL)
    factors = result.histories[0].settings["rate_factors"]
    assert factors["fc2"] == 1
    assert factors["conv1"] == pytest.approx(2.6**-3)


def test_other_classes_bring_a_new_head(train_digits):
    model = build("simple_cnn", seed=1)
    three = of_classes(train_digits, ["2", "5", "7"])
    result = fine_tune(model, three, method="linear", epochs=1, **SMALL)
    assert predict_logits(result.model, three.images).shape == (len(three), 3)
    assert result.about.class_names == ("2", "5", "7")


def test_a_new_head_can_be_asked_for(digits):
    model = build("simple_cnn", seed=1)
    options = {"method": "linear", "epochs": 1, "learning_rate": 1e-9, **SMALL}
    kept = fine_tune(model, digits, **options).model.fc2
    new = fine_tune(model, digits, new_head=True, **options).model.fc2
    assert (kept.weight - model.fc2.weight).abs().max() < 1e-6
    assert (new.weight - model.fc2.weight).abs().max() > 0.1


def test_a_prompt_for_other_classes_chooses_among_the_old_outputs(train_digits):
    three = of_classes(train_digits, ["2", "5", "7"])
    model = build("simple_cnn", seed=1)
    result = fine_tune(model, three, method="prompt", epochs=1, **SMALL)
    assert predict_logits(result.model, three.images).shape == (len(three), 3)
    assert len(set(result.about.labels)) == 3
    same = fine_tune(model, train_digits, method="prompt", epochs=1, **SMALL)
    assert same.about.labels is None


def test_replay_keeps_what_training_on_new_data_alone_forgets(train_digits, test_digits):
    model = build("simple_cnn", seed=1)
    low, high = (
        of_classes(train_digits, list(names)).renumbered(train_digits.class_names)
        for names in ("01234", "56789")
    )
    start = fine_tune(model, low, method="full", epochs=8, learning_rate=3e-3, **SMALL).model
    old = of_classes(test_digits, list("01234")).renumbered(test_digits.class_names)

    def accuracy(network):
        return (predict_logits(network, old.images).argmax(1) == old.labels).mean()

    options = {"method": "full", "epochs": 3, "learning_rate": 3e-3, **SMALL}
    forgetting = accuracy(fine_tune(start, high, **options).model)
    keeping = accuracy(fine_tune(start, high, replay=low.subset(range(0, 300, 5)), **options).model)
    assert accuracy(start) > 0.8
    assert forgetting < 0.3
    assert keeping > forgetting + 0.3


def test_phases_make_one_history(digits):
    result = fine_tune(build("simple_cnn"), digits, digits, method="lpft", epochs=3, **SMALL)
    whole = result.history()
    assert len(whole) == 3
    assert whole.validation_loss == [x for h in result.histories for x in h.validation_loss]


def test_early_stopping_holds_for_a_fine_tuning(digits):
    result = fine_tune(
        build("simple_cnn", seed=1), digits, digits.subset(range(20)),
        method="full", epochs=40, learning_rate=0.02, patience=1, **SMALL,
    )  # fmt: skip
    assert len(result.histories[0]) < 40
    assert result.histories[0].best_epoch is not None


def test_settings_are_those_of_fit(digits):
    result = fine_tune(
        build("simple_cnn"),
        digits,
        method="full",
        epochs=1,
        optimizer="adamw",
        weight_decay=0.1,
        **SMALL,
    )
    settings = result.histories[0].settings
    assert (settings["optimizer"], settings["weight_decay"]) == ("adamw", 0.1)
    assert settings["learning_rate"] == LEARNING_RATES["full"]
    assert json.loads(result.about.to_json())["method"] == "full"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "magic"}, "unknown method 'magic'; choose one of linear, full, lpft"),
        ({"epochs": 0}, "epochs is 0; expected at least 1"),
        ({"method": "lpft", "epochs": 1}, "epochs is 1; expected at least 2 for the method 'lpft'"),
        ({"method": "lora", "rank": 0}, "rank is 0"),
        ({"method": "lora", "rank": 1000}, "rank is 1000"),
        ({"method": "adapter", "rank": 1000}, "width is 1000"),
        ({"method": "prompt", "rank": 15}, "border is 15"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0"),
        ({"resume": True}, "resume needs the checkpoint folder"),
        ({"patience": 1}, "early stopping needs validation data"),
    ],
)
def test_unusable_settings_are_one_line(options, message, digits):
    with pytest.raises(InputError, match=message) as caught:
        fine_tune(build("simple_cnn"), digits, **{"method": "full", "epochs": 1, **SMALL, **options})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("which", ["validation", "replay"])
def test_classes_that_do_not_match_are_one_line(which, digits, train_digits):
    other = of_classes(train_digits, ["1", "2"])
    with pytest.raises(InputError, match=rf"do not match: those of the {which} images are 1, 2; expec"):
        fine_tune(build("simple_cnn"), digits, method="full", epochs=1, **{which: other}, **SMALL)


def test_arrays_are_no_data(digits):
    with pytest.raises(InputError, match="expected an ImageDataset"):
        fine_tune(build("simple_cnn"), digits.images, method="full", epochs=1, **SMALL)


def test_a_network_with_adapters_is_no_beginning(digits):
    adapted = fine_tune(build("simple_cnn"), digits, method="adapter", epochs=1, **SMALL).model
    with pytest.raises(InputError, match="start from the plain network"):
        fine_tune(adapted, digits, method="full", epochs=1, **SMALL)
