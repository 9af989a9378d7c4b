"""What the epoch loop promises, in each of the three wings, on 600 real digits."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from scipy.special import softmax

import mnist_course.training
from mnist_course import build
from mnist_course.errors import InputError
from mnist_course.history import History
from mnist_course.models import FRAMEWORKS, wing

SMALL = {"batch_size": 32, "seed": 3, "progress": False}


@pytest.fixture(params=FRAMEWORKS)
def framework(request):
    return request.param


def outputs(model, framework, images):
    return wing(framework, "training").predict_logits(model, images)


def test_training_learns_and_reports_every_epoch(framework, train_digits, test_digits):
    training = wing(framework, "training")
    model = build("simple_cnn", framework, seed=1)
    history = training.fit(model, train_digits, test_digits, epochs=8, learning_rate=3e-3, **SMALL)
    lists = history.train_loss, history.train_accuracy, history.validation_loss, history.seconds
    assert [len(values) for values in lists] == [8, 8, 8, 8]
    assert history.train_loss[-1] < 0.5 * history.train_loss[0]
    result = training.evaluate(model, test_digits)
    assert result.accuracy == history.validation_accuracy[-1]
    assert result.loss == pytest.approx(history.validation_loss[-1])
    assert result.accuracy > 0.7
    assert history.settings["framework"] == framework


def test_probabilities_are_the_softmax_of_the_logits(framework, test_digits):
    training, model = wing(framework, "training"), build("lenet5", framework, seed=1)
    probabilities = training.predict_probabilities(model, test_digits.images)
    assert probabilities.shape == (len(test_digits), 10)
    assert probabilities.dtype == np.float32
    expected = softmax(training.predict_logits(model, test_digits.images), axis=1)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("optimizer", "schedule"), [("sgd", "constant"), ("adam", "cosine"), ("adamw", "one_cycle")]
)
def test_a_resumed_run_equals_an_uninterrupted_one(
    framework, optimizer, schedule, train_digits, test_digits, tmp_path, monkeypatch
):
    training = wing(framework, "training")
    options = {
        "optimizer": optimizer, "schedule": schedule, "learning_rate": 2e-3, "epochs": 3,
        "checkpoint": tmp_path / "run", **SMALL,
    }  # fmt: skip
    whole = build("simple_cnn", framework, seed=1)
    expected = training.fit(whole, train_digits, **{**options, "checkpoint": None})

    saved = mnist_course.training._State.save

    def save_and_interrupt(state, history, *, best):
        saved(state, history, best=best)
        if len(history) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(mnist_course.training._State, "save", save_and_interrupt)
        training.fit(build("simple_cnn", framework, seed=1), train_digits, **options)
    resumed = build("simple_cnn", framework, seed=99)  # other weights, which the checkpoint replaces
    history = training.fit(resumed, train_digits, resume=True, **options)
    assert len(history) == 3
    assert history.train_loss == pytest.approx(expected.train_loss, rel=1e-5)
    ours, theirs = (outputs(m, framework, test_digits.images) for m in (resumed, whole))
    if framework == "keras":  # TensorFlow's thread pool sums in no fixed order
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)
    else:
        assert (ours == theirs).all()


def test_the_same_seed_trains_the_same_network(framework, train_digits, test_digits):
    def run(seed):
        model = build("simple_cnn", framework, seed=1)
        wing(framework, "training").fit(model, train_digits, epochs=1, **{**SMALL, "seed": seed})
        return outputs(model, framework, test_digits.images)

    first, again, other = run(0), run(0), run(1)
    np.testing.assert_allclose(first, again, rtol=1e-3, atol=1e-4)
    assert np.abs(first - other).max() > 1e-2


def test_early_stopping_returns_to_the_best_epoch(framework, train_digits, test_digits):
    training = wing(framework, "training")
    model = build("simple_cnn", framework, seed=1)
    # a rate so high that the validation loss soon rises
    history = training.fit(
        model, train_digits, test_digits, epochs=40, learning_rate=0.01, patience=2, **SMALL
    )
    best = int(np.argmin(history.validation_loss))
    assert history.best_epoch == best + 1
    assert len(history) == best + 3 < 40
    assert training.evaluate(model, test_digits).loss == pytest.approx(history.validation_loss[best])


def test_early_stopping_survives_an_interruption(train_digits, test_digits, tmp_path):
    training = wing("pytorch", "training")
    options = {"learning_rate": 0.01, "patience": 2, "checkpoint": tmp_path / "run", **SMALL}
    whole, parts = (build("simple_cnn", "pytorch", seed=1) for _ in range(2))
    expected = training.fit(
        whole, train_digits, test_digits, epochs=40, **{**options, "checkpoint": None}
    )
    for epochs in (1, expected.best_epoch + 1, 40):
        history = training.fit(parts, train_digits, test_digits, epochs=epochs, resume=True, **options)
        parts = build("simple_cnn", "pytorch", seed=7) if epochs < 40 else parts
    assert history.validation_loss == expected.validation_loss
    assert training.evaluate(parts, test_digits).loss == training.evaluate(whole, test_digits).loss


def test_a_function_sees_every_epoch_and_can_end_the_run(framework, train_digits):
    class Enough(Exception):
        pass

    seen = []

    def watch(history):
        seen.append(len(history))
        if len(history) == 2:
            raise Enough

    model = build("simple_cnn", framework)
    with pytest.raises(Enough):
        wing(framework, "training").fit(model, train_digits, epochs=5, after_epoch=watch, **SMALL)
    assert seen == [1, 2]


def test_another_runs_checkpoint_is_refused(framework, train_digits, tmp_path):
    training = wing(framework, "training")
    options = {"epochs": 1, "checkpoint": tmp_path, **SMALL}
    training.fit(build("simple_cnn", framework), train_digits, **options)
    with pytest.raises(InputError, match=r"learning_rate was 0\.001 and is 0\.5"):
        training.fit(
            build("simple_cnn", framework), train_digits, learning_rate=0.5, resume=True, **options
        )
    files = sorted(path.name for path in tmp_path.iterdir())
    assert len(files) == 2
    assert files[0] == "checkpoint.json"


def test_a_constant_rate_can_train_on_and_a_schedule_cannot(train_digits, tmp_path):
    training = wing("pytorch", "training")
    for schedule in ("constant", "cosine"):
        options = {"schedule": schedule, "checkpoint": tmp_path / schedule, "resume": True, **SMALL}
        model = build("simple_cnn", "pytorch")
        training.fit(model, train_digits, epochs=1, **options)
        if schedule == "constant":
            assert len(training.fit(model, train_digits, epochs=2, **options)) == 2
        else:
            with pytest.raises(InputError, match="epochs was 1 and is 2"):
                training.fit(model, train_digits, epochs=2, **options)


def test_a_schedule_changes_what_is_learnt(framework, train_digits, test_digits):
    def run(schedule):
        model = build("simple_cnn", framework, seed=1)
        fit = wing(framework, "training").fit
        fit(model, train_digits, epochs=2, schedule=schedule, **SMALL)
        return outputs(model, framework, test_digits.images)

    assert np.abs(run("constant") - run("cosine")).max() > 1e-2


def test_damaged_checkpoints_are_refused(framework, train_digits, tmp_path):
    training = wing(framework, "training")
    options = {"checkpoint": tmp_path, "resume": True, **SMALL}
    training.fit(build("simple_cnn", framework), train_digits, epochs=1, **options)
    (weights,) = tmp_path.glob("epoch-0001*")
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(InputError, match="epoch-0001"):
        training.fit(build("simple_cnn", framework), train_digits, epochs=2, **options)
    weights.unlink()
    with pytest.raises(InputError, match="is missing"):
        training.fit(build("simple_cnn", framework), train_digits, epochs=2, **options)


def test_weights_of_another_network_are_refused(framework, tmp_path):
    training = wing(framework, "training")
    path = tmp_path / {"numpy": "w.npz", "keras": "w.keras", "pytorch": "w.safetensors"}[framework]
    training.save_weights(build("small_cnn", framework), path)
    with pytest.raises(InputError, match="fit"):
        training.load_weights(build("lenet5", framework), path)
    with pytest.raises(InputError, match="does not exist"):
        training.load_weights(build("lenet5", framework), path.with_stem("none"))
    path.write_bytes(b"cposix\nsystem\n(S'echo hostile'\ntR.")
    with pytest.raises(InputError):
        training.load_weights(build("lenet5", framework), path)


def test_saved_weights_give_the_same_outputs(framework, test_digits, tmp_path):
    training = wing(framework, "training")
    path = tmp_path / {"numpy": "w.npz", "keras": "w.keras", "pytorch": "w.safetensors"}[framework]
    model, other = build("lenet5", framework, seed=1), build("lenet5", framework, seed=2)
    training.save_weights(model, path)
    training.load_weights(other, path)
    ours, theirs = (outputs(m, framework, test_digits.images) for m in (model, other))
    assert (ours == theirs).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"optimizer": "lion"}, "unknown optimizer 'lion'"),
        ({"schedule": "saw"}, "unknown schedule 'saw'"),
        ({"optimizer": "adamw", "weight_decay": -0.1}, "weight_decay is -0.1"),
        ({"optimizer": "adam", "weight_decay": 0.1}, "it is for 'adamw'"),
        ({"patience": 2}, "early stopping needs validation data"),
        ({"resume": True}, "resume needs the checkpoint folder"),
    ],
)
def test_unusable_settings_are_refused(framework, options, message, train_digits):
    with pytest.raises(InputError, match=message):
        wing(framework, "training").fit(
            build("simple_cnn", framework), train_digits, **{"epochs": 1, **SMALL, **options}
        )


def test_a_diverging_run_says_so(framework, train_digits):
    with pytest.raises(InputError, match="lower the learning rate"), np.errstate(all="ignore"):
        wing(framework, "training").fit(
            build("simple_cnn", framework),
            train_digits,
            epochs=20,
            **{**SMALL, "optimizer": "sgd", "learning_rate": 1e18},
        )


def test_no_data_is_refused(framework, train_digits):
    empty = train_digits.subset([])
    fit, model = wing(framework, "training").fit, build("simple_cnn", framework)
    with pytest.raises(InputError, match="training data are empty"):
        fit(model, empty, epochs=1)
    with pytest.raises(InputError, match="validation data are empty"):
        fit(model, train_digits, empty, epochs=1)


def command(folder, *options):
    return [
        sys.executable, "-m", "mnist_course", "train", "--model", "simple_cnn", "--data", "optdigits",
        "--out", str(folder), *options,
    ]  # fmt: skip


def wait_for_epochs(folder, count, process):
    path = folder / "checkpoint" / "checkpoint.json"
    deadline = time.monotonic() + 120
    while not path.exists() or len(History.load(path)) < count:
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("framework", ["pytorch", "numpy"])
def test_a_killed_run_loses_at_most_the_epoch_in_progress(framework, tmp_path):
    options = ["--framework", framework, "--epochs", "25"]
    subprocess.run(command(tmp_path / "whole", *options), check=True, capture_output=True)
    process = subprocess.Popen(command(tmp_path / "killed", *options), stderr=subprocess.DEVNULL)
    wait_for_epochs(tmp_path / "killed", 3, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(History.load(tmp_path / "killed" / "checkpoint" / "checkpoint.json"))
    assert 3 <= done < 25
    subprocess.run(command(tmp_path / "killed", *options, "--resume"), check=True, capture_output=True)
    ours, theirs = (History.load(tmp_path / name / "history.json") for name in ("killed", "whole"))
    assert ours.train_loss == theirs.train_loss
    assert len(ours) == 25
    names = {path.name for path in (tmp_path / "killed").rglob("*") if path.is_file()}
    assert not [name for name in names if name.startswith(".")]


def test_ctrl_c_is_one_line_status_130_and_resumable(tmp_path):
    options = ["--framework", "pytorch", "--epochs", "1000"]
    environment = {**os.environ, "TQDM_DISABLE": "1"}
    process = subprocess.Popen(
        command(tmp_path / "run", *options), stderr=subprocess.PIPE, text=True, env=environment
    )
    wait_for_epochs(tmp_path / "run", 2, process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert len(stderr.splitlines()) == 1
    assert "--resume" in stderr
    files = {path.name for path in (tmp_path / "run").rglob("*") if path.is_file()}
    done = len(json.loads((tmp_path / "run/checkpoint/checkpoint.json").read_text())["train_loss"])
    # whole files only; the signal may come before the previous epoch's weights are removed
    assert {"checkpoint.json", f"epoch-{done:04d}.safetensors"} <= files
    assert files <= {"checkpoint.json", *(f"epoch-{done + i:04d}.safetensors" for i in (-1, 0, 1))}
