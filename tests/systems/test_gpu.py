"""The benchmark that needs a GPU, gone through on the CPU: every part runs, and resumes."""

import itertools
import json
import os
import subprocess
import sys
from dataclasses import replace
from unittest import mock

import gpu
import gpu_recipe
import measure
import pytest
import torch
from gpu_parts import accuracy, keras_backend, profiling, techniques
from gpu_parts.machine import Machine
from gpu_parts.training import Recipe, Way

from mnist_course.pytorch import devices

HERE = ("accuracy", "profile", "roofline", "techniques")
"""The parts that can share this process; Keras's backend is chosen once per process."""

SEEDS = ["--seeds", "0", "1"]


def run(*words):
    """Run the script in this process and return its exit status."""
    with pytest.raises(SystemExit) as ended:
        gpu.main([str(word) for word in words])
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def cpu():
    return Machine("cpu")


@pytest.fixture(scope="module")
def dry(tmp_path_factory):
    """Return the path of a dry run's results, all parts but Keras's."""
    path = tmp_path_factory.mktemp("gpu") / "gpu.json"
    for part in HERE:
        assert run("--part", part, "--dry-run", *SEEDS, "--out", path) == 0
    return path


@pytest.fixture
def parts(dry):
    return json.loads(dry.read_text())["parts"]


@pytest.mark.slow  # five processes' worth of training, compiling and profiling
def test_every_part_is_completed(parts):
    assert {name: part["done"] for name, part in parts.items()} == dict.fromkeys(HERE, True)


@pytest.mark.slow  # the same runs
def test_a_dry_run_says_that_it_is_one(dry):
    result = json.loads(dry.read_text())
    assert result["dry_run"] is True
    assert result["device"]["name"] == "CPU"
    assert "--dry-run" in result["command"]
    assert result["wall_seconds"] > 0


@pytest.mark.slow  # the same runs
def test_training_is_timed_for_every_seed_apart_from_its_preparation(parts):
    assert list(parts["accuracy"]["targets"]) == ["99.0 %", "99.2 %"]
    for target in parts["accuracy"]["targets"].values():
        assert [one["seed"] for one in target["runs"]] == [0, 1]
        assert target["training_seconds"]["values"] == [
            one["training_seconds"] for one in target["runs"]
        ]
        assert min(target["training_seconds"]["values"]) > 0
        assert "capture" in target["preparation_seconds"]
        assert target["reached"] is (target["test_accuracy"]["mean"] >= target["target"])


@pytest.mark.slow  # the same runs
def test_every_technique_is_measured_with_both_networks(parts):
    rows = parts["techniques"]["rows"]
    ways = [*techniques.HOST_WAYS, *techniques.FIT_WAYS, *techniques.RESIDENT_WAYS]
    expected = set(itertools.product(("lenet5", "fast"), (32,), ways))
    assert {(row["network"], row["batch"], row["way"]) for row in rows} == expected
    assert [row for row in rows if "failed" in row] == []
    for row in rows:
        same = {
            other["way"]: other["images_per_second"]
            for other in rows
            if (other["network"], other["batch"]) == (row["network"], row["batch"])
        }
        ratio = row["images_per_second"] / same["data on the device"]
        assert row["ratio_to"]["data on the device"] == pytest.approx(ratio)


@pytest.mark.slow  # the same runs
def test_the_profile_counts_kernels_and_passes_its_verdict_by_the_rule(parts):
    for row in parts["profile"]["rows"]:
        assert row["kernels"] > 10
        assert 0 < row["busy_share"] <= 1
        assert row["verdict"] == profiling.verdict(row["busy_share"], row["launch_share"])


@pytest.mark.slow  # the same runs
def test_the_roofline_has_the_step_and_every_layer_with_weights(parts):
    points = parts["roofline"]["points"]
    of_lenet = [point["part"] for point in points if point["network"] == "lenet5"][:6]
    layers = ["conv1 Conv2d", "conv2 Conv2d", "fc1 Linear", "fc2 Linear", "fc3 Linear"]
    assert of_lenet == ["step", *layers]
    for point in points:
        peak = parts["roofline"]["peak_flops"][point["peak_of"]]
        roof = min(peak, point["flop"] / point["bytes"] * parts["roofline"]["bandwidth"])
        assert point["roof_flop_per_second"] == pytest.approx(roof)
        assert point["share_of_roof"] == pytest.approx(point["flop"] / point["seconds"] / roof)


@pytest.mark.slow  # the same runs
def test_a_run_goes_on_where_it_was_stopped(dry, tmp_path, monkeypatch):
    whole = json.loads(dry.read_text())
    stopped = json.loads(dry.read_text())
    lost = stopped["parts"]["techniques"]["rows"].pop()
    stopped["parts"]["techniques"]["done"] = False
    path = tmp_path / "gpu.json"
    path.write_text(json.dumps(stopped))
    assert run("--part", "techniques", "--dry-run", *SEEDS, "--out", path) == 0
    rows = json.loads(path.read_text())["parts"]["techniques"]["rows"]
    assert rows[:-1] == whole["parts"]["techniques"]["rows"][:-1]
    assert [rows[-1][key] for key in ("network", "batch", "way")] == [
        lost[key] for key in ("network", "batch", "way")
    ]
    monkeypatch.setattr(techniques, "part", mock.Mock(side_effect=AssertionError("measured again")))
    assert run("--part", "techniques", "--dry-run", *SEEDS, "--out", path) == 0


@pytest.mark.slow  # starts two processes that import torch, one of them Keras too
def test_the_command_runs_parts_in_their_own_processes_and_keras_on_torch(tmp_path):
    path = tmp_path / "gpu.json"
    command = [sys.executable, gpu.__file__, "--dry-run", "--only", "keras", *SEEDS, "--out", path]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert ended.returncode == 0, ended.stderr
    part = json.loads(path.read_text())["parts"]["keras"]
    assert part["done"] is True
    assert part["backend"] == "torch"
    assert [row["framework"] for row in part["rows"]] == ["pytorch", "keras"] * 2


def test_where_keras_is_missing_its_part_says_so(cpu, monkeypatch):
    monkeypatch.setattr(keras_backend, "find_spec", lambda name: None)
    found = []
    keras_backend.part(cpu, [0], True, found.append, {})
    assert found == [{"absent": "keras is not installed"}]


def test_without_a_gpu_nothing_is_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(devices, "choose", lambda: torch.device("cpu"))
    assert run("--out", tmp_path / "gpu.json") == 2
    assert "no CUDA device" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_installed_is_named(monkeypatch, capsys):
    monkeypatch.setattr(gpu, "find_spec", lambda name: None if name == "tqdm" else name)
    assert run("--dry-run", "--out", "x.json") == 2
    assert "not installed here: tqdm" in capsys.readouterr().err


@pytest.mark.parametrize("script", [gpu, gpu_recipe])
def test_a_dry_run_is_kept_out_of_the_results(script, capsys):
    with pytest.raises(SystemExit) as ended:
        script.main(["--dry-run"])
    assert ended.value.code == 2
    assert "a dry run is no result" in capsys.readouterr().err


def test_a_file_of_another_run_is_left_alone(tmp_path, capsys):
    path = tmp_path / "gpu.json"
    path.write_text('{"dry_run": false, "seeds": [0]}')
    assert run("--part", "accuracy", "--dry-run", *SEEDS, "--out", path) == 2
    assert "another run" in capsys.readouterr().err
    assert path.read_text() == '{"dry_run": false, "seeds": [0]}'


def test_a_part_that_fails_says_so_and_keeps_what_it_had(tmp_path, monkeypatch, capsys):
    def failing(device, seeds, dry, save, before):
        save({"rows": [1]})
        raise RuntimeError("out of memory")

    monkeypatch.setattr(profiling, "part", failing)
    path = tmp_path / "gpu.json"
    assert run("--part", "profile", "--dry-run", *SEEDS, "--out", path) == 1
    part = json.loads(path.read_text())["parts"]["profile"]
    assert part["failed"] == "RuntimeError: out of memory"
    assert part["rows"] == [1]
    assert part["done"] is False


def test_one_way_that_fails_does_not_cost_the_others(cpu, monkeypatch):
    monkeypatch.setattr(techniques, "RESIDENT_WAYS", {"a": Way(), "b": Way(fused=True)})
    monkeypatch.setattr(techniques, "HOST_WAYS", {})
    monkeypatch.setattr(techniques, "FIT_WAYS", {})

    def measured(device, network, batch, data, way, seed):
        if not way.fused:
            raise RuntimeError("no such kernel")
        return {"images_per_second": 1.0}

    monkeypatch.setattr(techniques, "on_device", measured)
    found = []
    techniques.part(cpu, [0], True, found.append, {})
    rows = found[-1]["rows"]
    assert [row.get("failed") for row in rows] == ["RuntimeError: no such kernel"] * 2 + [None] * 2


# The choice of recipes


def row(mean, **recipe):
    recipe = replace(Recipe(), **recipe)
    return {
        "recipe": gpu_recipe.as_json(recipe),
        "steps": gpu_recipe.steps(recipe),
        "validation_accuracy": {"mean": mean},
    }


def test_the_least_training_that_reaches_the_accuracy_is_chosen():
    rows = [row(0.993, epochs=4), row(0.992, epochs=2), row(0.9921, epochs=3), row(0.985, epochs=1)]
    assert gpu_recipe.choice(rows, 0.992)["epochs"] == 2
    assert gpu_recipe.choice(rows, 0.98)["epochs"] == 1


def test_where_no_recipe_reaches_the_accuracy_the_best_is_chosen():
    assert gpu_recipe.choice([row(0.9, epochs=1), row(0.98, epochs=2)], 0.99)["epochs"] == 2


def test_recipes_are_tried_on_images_that_were_held_out(tmp_path):
    path = tmp_path / "recipe.json"
    gpu_recipe.main(["--dry-run", "--seeds", "0", "--out", str(path)])
    found = json.loads(path.read_text())
    assert len(found["candidates"]) == 2
    assert set(found["chosen"]) == set(accuracy.TARGETS)
    before = path.read_bytes()
    gpu_recipe.main(["--dry-run", "--seeds", "0", "--out", str(path)])
    assert path.read_bytes() == before


def test_the_measured_recipes_are_the_chosen_ones():
    found = json.loads((measure.RESULTS / "gpu_recipe.json").read_text())
    assert {label: gpu_recipe.as_json(recipe) for label, recipe in accuracy.chosen().items()} == (
        found["chosen"]
    )
    for label, target in accuracy.TARGETS.items():
        assert found["chosen"][label] == gpu_recipe.choice(found["candidates"], target)
