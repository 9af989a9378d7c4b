"""The benchmarks of fine-tuning, gone through with a few images and steps."""

import json

import backbone
import backbone_choices
import choices
import measure
import out_of_distribution
import pytest
import transfer
import transfer_choices

from mnist_course.data import load
from mnist_course.finetuning import METHODS

FEW = {"mnist": 500, "fashion": 100, "optdigits": 10}
"""One of so many images is enough here."""


@pytest.fixture
def opened(monkeypatch):
    """Let the scripts work on few images and two steps; return the splits that they load."""
    splits = []

    def load_few(name, split):
        splits.append(split)
        data = load(name, split)
        return data.subset(range(0, len(data), FEW[name]))

    for script in (transfer, transfer_choices, out_of_distribution, backbone, backbone_choices):
        monkeypatch.setattr(script, "load", load_few)
    monkeypatch.setitem(transfer.PRETRAINING, "epochs", 1)
    monkeypatch.setitem(transfer.COMMON, "steps", 2)
    monkeypatch.setattr(transfer_choices, "IMAGES", 20)
    monkeypatch.setitem(backbone.COMMON, "size", 32)
    monkeypatch.setitem(backbone.COMMON, "epochs", 1)
    monkeypatch.setitem(backbone.COMMON, "examples", 1)
    monkeypatch.setattr(backbone_choices, "VALIDATION_IMAGES", 10)
    for function in (transfer.pretrained, out_of_distribution.outside):
        function.cache_clear()
    yield splits
    for function in (transfer.pretrained, out_of_distribution.outside):
        function.cache_clear()


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Keep what a script writes in a folder of the test."""
    monkeypatch.setattr(measure, "RESULTS", tmp_path)
    return tmp_path


@pytest.fixture
def any_rate(monkeypatch):
    """Stand in for the chosen learning rates."""
    monkeypatch.setattr(choices, "best", lambda name, choice: {"learning_rate": 1e-3})


def recipes(method):
    settings = {**transfer.COMMON, "method": method, "examples": 1, "learning_rate": 1e-3}
    return [{**settings, **task} for task in transfer_choices.PATHS.values()]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_tested_on_every_task(method, opened):
    for recipe in recipes(method):
        found = transfer.train_and_test(recipe, seed=0)
        assert 0 <= found["test_correct"] <= found["test_images"] in (20, 60)
        assert found["train_images"] == 10
        assert found["trained_parameters"] > 0


def test_the_untouched_network_is_tested_and_every_combination_once(opened, any_rate):
    variants = transfer.variants()
    sizes = {"optdigits": 4, "fashion": 5}
    assert len(variants) == 1 + sum(2 * len(METHODS) * count for count in sizes.values())
    untouched, *others = variants.values()
    assert transfer.train_and_test(untouched, seed=0)["test_images"] == 60
    assert len({json.dumps(recipe, sort_keys=True) for recipe in others}) == len(others)


@pytest.mark.parametrize("examples", [10, 50, 100, 500, None])
def test_any_number_of_examples_gets_about_the_same_number_of_steps(examples, monkeypatch):
    asked = {}
    monkeypatch.setattr(transfer, "fine_tune", lambda start, data, **options: asked.update(options))
    data = load("fashion", "train").subset(range(6000 if examples is None else 10 * examples))
    recipe = {**transfer.COMMON, "start": "random", "method": "full", "new_head": True}
    transfer.tuned({**recipe, "learning_rate": 1e-3}, data, seed=0)
    batches = -(-len(data) // recipe["batch_size"])
    assert asked["epochs"] * batches == pytest.approx(recipe["steps"], rel=0.1)


def test_fine_tuning_leaves_the_pretrained_network_as_it_is(opened):
    before = {name: value.clone() for name, value in transfer.pretrained(0).state_dict().items()}
    transfer.train_and_test(recipes("full")[0], seed=0)
    after = transfer.pretrained(0).state_dict()
    assert all((after[name] == value).all() for name, value in before.items())


def test_out_of_distribution_the_labels_are_those_of_other_images(opened):
    test = load("optdigits", "test").subset(range(0, 600, FEW["optdigits"]))
    mnist, *altered = out_of_distribution.outside().values()
    assert len(mnist) == 20
    for data in altered:
        assert (data.labels == test.labels).all()
        assert (data.images != test.images).any(axis=(1, 2)).all()


def test_every_way_is_tested_out_of_distribution(opened, any_rate):
    assert len(out_of_distribution.variants()) == 13
    recipe = {**recipes("lpft")[-1], "probe_learning_rate": 1e-3}
    for one in (out_of_distribution.variants()["before"], recipe):
        found = out_of_distribution.train_and_test(one, seed=0)
        assert found["test_images"] == 60
        assert [each["images"] for each in found["outside"].values()] == [20, 60, 60, 60]


def test_every_backbone_is_tested(opened, any_rate):
    assert len(backbone.variants()) == 8
    for recipe in [*backbone.variants().values()][:4]:
        found = backbone.train_and_test(recipe, seed=0)
        assert found["test_images"] == 20


def one_seed_each(script, monkeypatch):
    """Two rates per method, one seed, no options."""
    monkeypatch.setattr(choices, "SEEDS", (100,))
    monkeypatch.setattr(script, "RATES", dict.fromkeys(script.RATES, (0.001, 0.01)))
    monkeypatch.setattr("sys.argv", [script.__name__])


def test_rates_are_chosen_on_training_images_only(opened, results, monkeypatch):
    one_seed_each(transfer_choices, monkeypatch)
    monkeypatch.setattr(transfer_choices, "METHODS", transfer_choices.FEW)
    transfer_choices.main()
    assert {*opened} == {"train"}
    for task in transfer_choices.PATHS:
        rates = {method: transfer.chosen_rates(task, method) for method in transfer_choices.FEW}
        assert {rate["learning_rate"] for rate in rates.values()} <= {1e-3, 1e-2}
        assert rates["lpft"]["probe_learning_rate"] == rates["linear"]["learning_rate"]


def test_rates_of_a_backbone_are_chosen_on_training_images_only(opened, results, monkeypatch):
    one_seed_each(backbone_choices, monkeypatch)
    choices.main(
        "backbone_choices",
        backbone_choices.variants(),
        packages=["numpy"],
        run=backbone_choices.validate,
    )
    assert {*opened} == {"train"}
    assert {recipe["learning_rate"] for recipe in backbone.variants().values()} <= {1e-3, 1e-2}


def written(results, means):
    variants = {
        f"task, method: {value}": {
            "recipe": {"value": value}, "validation_accuracy": {"mean": mean}, "runs": [{"seed": 100}]
        }
        for value, mean in means.items()
    }  # fmt: skip
    (results / "some_choices.json").write_text(json.dumps({"variants": variants}))
    return variants


def test_the_best_candidate_has_the_highest_mean_and_is_the_first_of_equals(results):
    written(results, {0.01: 0.8, 0.03: 0.9, 0.1: 0.9})
    assert choices.best("some_choices", "task, method") == {"value": 0.03}


def test_candidates_with_different_seeds_are_not_compared(results):
    variants = written(results, {0.01: 0.8, 0.03: 0.9})
    variants["task, method: 0.01"]["runs"].append({"seed": 101})
    (results / "some_choices.json").write_text(json.dumps({"variants": variants}))
    with pytest.raises(SystemExit, match=r"equal seeds for 'task, method'; run: python benchmarks/some"):
        choices.best("some_choices", "task, method")


def test_a_choice_without_candidates_is_named(results):
    written(results, {0.01: 0.8})
    with pytest.raises(SystemExit, match="no candidates with equal seeds for 'task, other'"):
        choices.best("some_choices", "task, other")


def test_without_choices_the_script_that_makes_them_is_named(results):
    with pytest.raises(SystemExit, match=r"run first: python benchmarks/transfer_choices\.py"):
        transfer.variants()
