"""`mnist-course finetune` as a user meets it: what it reports and writes, and how it fails."""

import json
import pickle
import sys

import numpy as np
import pytest
from PIL import Image

import mnist_course.training
from mnist_course import build, cli
from mnist_course.data import load_optdigits
from mnist_course.data.pictures import read_picture
from mnist_course.finetuning.storage import load_adapter
from mnist_course.history import History
from mnist_course.pytorch.training import evaluate, fit, load_weights, predict_logits, save_weights
from mnist_course.runs import images, opened

LOW, HIGH = tuple("01234"), tuple("56789")


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Return a function that runs the command and returns its exit status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TQDM_DISABLE", "1")

    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["mnist-course", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code, *capsys.readouterr()

    return command


def succeed(result):
    status, stdout, stderr = result
    assert status == 0, stderr
    return stdout


def refused(result, *words):
    status, stdout, stderr = result
    assert status == 2, stdout + stderr
    assert len(stderr.strip().splitlines()) == 1, stderr
    assert stderr.startswith("mnist-course: ")
    for word in words:
        assert word in stderr


def files_in(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def pictures(folder, dataset, classes):
    """Write the images of these classes, {name: label}, into class-named folders; return the folder."""
    for name, label in classes.items():
        (folder / name).mkdir(parents=True)
        for index in np.flatnonzero(dataset.labels == label):
            Image.fromarray(dataset.images[index]).save(folder / name / f"{index}.png")
    return folder


def keep(folder, network, **settings):
    """Write the folder that `train` would have."""
    save_weights(network, folder / "weights.safetensors")
    fields = {"framework": "pytorch", "model": "simple_cnn", "data": "optdigits", **settings}
    History(settings=fields).save(folder / "history.json")
    return folder


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The folder of a SimpleCNN that has learned the optical digits a little."""
    network = build("simple_cnn", seed=1)
    fit(
        network, load_optdigits("train"),
        epochs=4, batch_size=32, learning_rate=3e-3, device="cpu", progress=False,
    )  # fmt: skip
    return keep(tmp_path_factory.mktemp("source"), network)


@pytest.fixture(scope="module")
def digits(tmp_path_factory, test_digits):
    """A folder with 20 of MNIST's test images of each digit."""
    return pictures(
        tmp_path_factory.mktemp("digits"), test_digits, {str(label): label for label in range(10)}
    )


@pytest.fixture(scope="module")
def garments(tmp_path_factory):
    """A folder of two classes that no network of these tests knows."""
    from mnist_course.data import load_fashion_mnist

    whole = load_fashion_mnist("test")
    some = whole.subset(np.concatenate([np.flatnonzero(whole.labels == n)[:50] for n in (1, 8)]))
    return pictures(tmp_path_factory.mktemp("garments"), some, {"trouser": 1, "bag": 8})


def test_before_and_after_are_reported_with_their_intervals(run, source, digits, tmp_path):
    stdout = succeed(
        run("finetune", "--from", source, "--data", digits, "--method", "lora", "--epochs", 3,
            "--learning-rate", 0.01, "--out", "out")
    )  # fmt: skip
    report = json.loads((tmp_path / "out/report.json").read_text())
    network, _, _ = opened(source)
    known = evaluate(network, images(str(digits), "test"))
    before, after = (report[when][str(digits)] for when in ("before", "after"))
    assert before["accuracy"] == known.accuracy
    assert before["images"] == 40
    assert after["accuracy"] > before["accuracy"]
    low, high = after["interval"]["low"], after["interval"]["high"]
    assert f"after   {after['accuracy']:.4f} ({low:.4f} to {high:.4f}, 40 test images)" in stdout
    old = report["after"]["optdigits"]
    assert old["images"] == 600
    assert f"optdigits after   {old['accuracy']:.4f} " in stdout
    assert (
        report["before"]["optdigits"]["accuracy"] == evaluate(network, load_optdigits("test")).accuracy
    )


def test_trained_numbers_stored_bytes_and_time_are_reported(run, source, digits, tmp_path):
    stdout = succeed(
        run("finetune", "--from", source, "--data", digits, "--method", "linear", "--epochs", 1,
            "--out", "out")
    )  # fmt: skip
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["trained_parameters"] == 510
    assert report["parameters"] == 21_840
    alone, whole = (
        (tmp_path / "out" / f"{n}.safetensors").stat().st_size for n in ("adapter", "weights")
    )
    assert (report["stored_bytes"], report["network_bytes"]) == (alone, whole)
    assert f"trained 510 of 21,840 numbers in {report['seconds']:.1f} s; {alone:,} bytes" in stdout
    assert report["seconds"] == sum(History.load(tmp_path / "out/history.json").seconds)


def test_the_files_are_the_network_that_was_measured(run, source, digits, tmp_path):
    succeed(
        run("finetune", "--from", source, "--data", digits, "--method", "bias", "--epochs", 1,
            "--out", "out")
    )  # fmt: skip
    assert {"adapter.safetensors", "weights.safetensors", "history.json", "report.json",
            "learning_curve.png"} <= set(files_in(tmp_path / "out"))  # fmt: skip
    test = images(str(digits), "test")
    merged, _, _ = opened(tmp_path / "out")
    base = build("simple_cnn")
    load_weights(base, source / "weights.safetensors")
    again = load_adapter(base, tmp_path / "out/adapter.safetensors")
    assert (predict_logits(merged, test.images) == predict_logits(again, test.images)).all()
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert evaluate(merged, test).accuracy == report["after"][str(digits)]["accuracy"]
    assert f"accuracy {evaluate(merged, test).accuracy:.4f}" in succeed(run("evaluate", "--from", "out"))


@pytest.mark.parametrize("method", ["full", "adapter", "prompt"])
def test_other_classes_are_learned_and_predicted_by_name(method, run, source, garments, tmp_path):
    stdout = succeed(
        run("finetune", "--from", source, "--data", garments, "--method", method, "--epochs", 8,
            "--batch-size", 16, "--learning-rate", 0.01, "--out", "out")
    )  # fmt: skip
    assert f"{garments} before  cannot be measured: other classes" in stdout
    assert "optdigits after   cannot be measured: other classes" in stdout
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["after"][str(garments)]["accuracy"] > 0.7
    assert report["before"]["optdigits"]["accuracy"] > 0.5
    paths = [sorted((garments / name).iterdir())[0] for name in ("bag", "trouser")]
    network, _, _ = opened(tmp_path / "out")
    logits = predict_logits(network, np.stack([read_picture(path) for path in paths]))
    lines = succeed(run("predict", "--from", "out", *paths)).splitlines()
    for path, line, answer in zip(paths, lines, logits.argmax(1), strict=True):
        assert line.startswith(f"{path}: {('bag', 'trouser')[answer]}  (")


def test_some_of_the_known_classes_keep_the_head(run, source, test_digits, tmp_path):
    pair = pictures(tmp_path / "pair", test_digits, {"7": 7, "3": 3})
    succeed(run("finetune", "--from", source, "--data", pair, "--epochs", 1, "--out", "out"))
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert len(report["after"][str(pair)]["class_names"]) == 10
    assert np.flatnonzero(np.sum(report["after"][str(pair)]["confusion"], axis=1)).tolist() == [3, 7]


def test_fine_tuning_again_with_replay_keeps_the_old_accuracy(run, source, test_digits, tmp_path):
    some = pictures(tmp_path / "high", test_digits, {name: int(name) for name in HIGH})
    options = ["finetune", "--from", source, "--data", some, "--epochs", 6, "--learning-rate", 0.01]
    succeed(run(*options, "--out", "without"))
    stdout = succeed(run(*options, "--replay", 300, "--out", "with"))
    assert "80 images and 300 old ones" in stdout
    without, replayed = (
        json.loads((tmp_path / name / "report.json").read_text()) for name in ("without", "with")
    )
    old = [report["after"]["optdigits"]["accuracy"] for report in (without, replayed)]
    assert old[1] > old[0] + 0.2
    assert replayed["replayed_images"] == 300


def test_all_earlier_tasks_are_measured_and_replayed(run, source, digits, test_digits, tmp_path):
    succeed(run("finetune", "--from", source, "--data", digits, "--epochs", 1, "--out", "second"))
    third = pictures(tmp_path / "third", test_digits, {"1": 1, "2": 2})
    stdout = succeed(
        run("finetune", "--from", "second", "--data", third, "--epochs", 1, "--replay", 30,
            "--out", "out")
    )  # fmt: skip
    assert "32 images and 30 old ones" in stdout
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert list(report["after"]) == [str(third), "optdigits", str(digits)]
    assert all(report["after"].values())


@pytest.mark.parametrize("method", ["lora", "lpft"])
def test_an_interrupted_command_resumes_to_the_same_files(
    method, run, source, digits, tmp_path, monkeypatch
):
    options = ["finetune", "--from", source, "--data", digits, "--method", method, "--epochs", 4]
    succeed(run(*options, "--out", "whole"))
    saved, done = mnist_course.training._State.save, []

    def save_and_interrupt(state, history, *, best):
        saved(state, history, best=best)
        done.append(1)
        if len(done) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(mnist_course.training._State, "save", save_and_interrupt)
        status, _, stderr = run(*options, "--out", "parts")
    assert status == 130
    assert len(stderr.splitlines()) == 1
    assert "--resume" in stderr
    assert not {"weights.safetensors", "history.json"} & set(files_in(tmp_path / "parts"))
    succeed(run(*options, "--out", "parts", "--resume"))
    for name in ("adapter.safetensors", "weights.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()
    ours, theirs = (History.load(tmp_path / name / "history.json") for name in ("parts", "whole"))
    assert ours.train_loss == theirs.train_loss


def test_another_folder_is_no_run_to_resume(run, source, digits, tmp_path):
    options = ["finetune", "--from", source, "--data", digits, "--epochs", 1, "--out", "out"]
    succeed(run(*options))
    refused(run(*options, "--seed", 1, "--resume"), "holds another fine-tuning", "seed")


def test_the_newest_run_and_a_folder_named_after_the_task_are_the_defaults(
    run, source, digits, tmp_path
):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/simple_cnn-pytorch").symlink_to(source)
    succeed(run("finetune", "--data", digits, "--method", "linear", "--epochs", 1))
    assert (tmp_path / f"runs/simple_cnn-{digits.name}-linear/report.json").exists()
    # which is the newest now
    refused(run("finetune", "--data", digits, "--method", "linear"), "the network to begin with")


def test_validation_images_are_held_out_for_early_stopping(run, source, digits, tmp_path):
    stdout = succeed(
        run(
            "finetune",
            "--from",
            source,
            "--data",
            digits,
            "--epochs",
            2,
            "--patience",
            1,
            "--out",
            "out",
        )
    )
    assert "144 images" in stdout  # of 200 a fifth for testing, of the rest a tenth
    assert History.load(tmp_path / "out/history.json").validation_loss


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--method", "magic"], "unknown method 'magic'; choose one of linear, full"),
        (["--data", "cifar"], "unknown data set 'cifar'; choose one of mnist, fashion, optdigits, or"),
        (["--epochs", "0"], "epochs is 0"),
        (["--epochs", "many"], "--epochs"),
        (["--method", "lpft", "--epochs", "1"], "at least 2 for the method 'lpft'"),
        (["--batch-size", "0"], "batch_size is 0"),
        (["--learning-rate", "-1"], "learning_rate is -1.0"),
        (["--method", "lora", "--rank", "0"], "rank is 0"),
        (["--replay", "-1"], "replay is -1"),
        (["--validation", "1.5"], "fraction"),
        (["--device", "cuda:99"], "cuda:99"),
        (["--from", "nowhere"], "nowhere holds no history.json"),
        (["--replay", "5", "--data", "optdigits"], "nothing but these data; leave replay out"),
        (["--replay", "5", "--data", "fashion"], "the classes do not match: the network knows 0, 1"),
    ],
)
def test_bad_options_are_one_line_and_leave_no_file(options, words, run, source, tmp_path):
    given = {"--from": source, "--data": "optdigits", "--out": "out"}
    given |= dict(zip(options[::2], options[1::2], strict=True))
    refused(run("finetune", *(word for pair in given.items() for word in pair)), words)
    assert files_in(tmp_path) == []


def test_data_have_to_be_named(run, source):
    refused(run("finetune", "--from", source), "--data")


def test_without_any_run_there_is_nothing_to_begin_with(run):
    refused(run("finetune", "--data", "optdigits"), "run mnist-course train, or use --from")


def test_a_file_is_no_checkpoint_folder(run, source):
    path = source / "weights.safetensors"
    refused(run("finetune", "--from", path, "--data", "optdigits"), f"{path} is a file; name the folder")


def test_the_network_to_begin_with_is_not_overwritten(run, source):
    refused(
        run("finetune", "--from", source, "--data", "optdigits", "--out", source),
        "holds the network to begin with",
    )


def test_a_checkpoint_of_another_architecture_is_one_line(run, tmp_path):
    folder = keep(tmp_path / "mixed", build("simple_cnn"), model="lenet5")
    before = files_in(tmp_path)
    refused(
        run("finetune", "--from", folder, "--data", "optdigits", "--out", "out"),
        "does not fit LeNet5: conv1.weight has shape (10, 1, 5, 5), expected (6, 1, 5, 5)",
    )
    assert files_in(tmp_path) == before


def test_a_checkpoint_of_another_framework_is_one_line(run, tmp_path):
    folder = tmp_path / "numpy"
    from mnist_course.models import wing

    wing("numpy", "training").save_weights(build("simple_cnn", "numpy"), folder / "weights.npz")
    History(settings={"framework": "numpy", "model": "simple_cnn"}).save(folder / "history.json")
    refused(
        run("finetune", "--from", folder, "--data", "optdigits"),
        "trained with numpy",
        "--framework pytorch",
    )


def test_replay_of_other_classes_is_one_line(run, source, garments):
    refused(
        run("finetune", "--from", source, "--data", garments, "--replay", 10),
        "the classes do not match: the network knows 0, 1, 2", "have bag, trouser",
    )  # fmt: skip


def test_evaluating_on_other_classes_is_one_line(run, source, garments):
    refused(
        run("evaluate", "--from", source, "--data", garments), "the classes do not match: bag, trouser"
    )
    refused(run("evaluate", "--from", source, "--data", "fashion"), "the classes do not match: T-shirt")


class _Hostile:
    """A pickle of it creates a file when it is loaded."""

    def __reduce__(self):
        return exec, ("open('a pickle was loaded', 'w').close()",)


PICTURES = {
    "unreadable": (b"no picture", "not a picture"),
    "empty": (b"", "is empty"),
    "pickle": (pickle.dumps(_Hostile()), "not a picture"),
    "cut": (None, "damaged"),
    "colour": (np.zeros((28, 28, 3), np.uint8), "3 channels"),
    "huge": (np.zeros((3000, 3000), np.uint8), "3000×3000"),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_that_cannot_be_used_is_named(kind, run, source, test_digits, tmp_path):
    folder = pictures(tmp_path / "mine", test_digits.subset(range(100)), {"1": 1, "2": 2})
    content, words = PICTURES[kind]
    path = folder / "2" / "odd.png"
    if content is None:
        whole = next((folder / "1").iterdir()).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        Image.fromarray(content).save(path)
    refused(run("finetune", "--from", source, "--data", folder, "--out", "out"), str(path), words)
    assert files_in(tmp_path / "out") == []
    assert not (tmp_path / "a pickle was loaded").exists()


def test_a_folder_with_one_class_is_one_line(run, source, test_digits, tmp_path):
    folder = pictures(tmp_path / "mine", test_digits, {"1": 1})
    refused(run("finetune", "--from", source, "--data", folder), "only the class 1", "two or more")


def test_too_few_pictures_to_test_with_are_one_line(run, source, test_digits, tmp_path):
    folder = pictures(tmp_path / "mine", test_digits.subset(range(10)), {"1": 1, "2": 2})
    count = len(files_in(folder))
    assert count <= 4
    refused(run("finetune", "--from", source, "--data", folder), f"{count} pictures", "five or more")


def test_too_few_pictures_to_validate_with_are_one_line(run, source, test_digits, tmp_path):
    few = test_digits.subset(
        np.concatenate([np.flatnonzero(test_digits.labels == n)[:5] for n in (1, 2)])
    )
    folder = pictures(tmp_path / "mine", few, {"1": 1, "2": 2})
    refused(
        run("finetune", "--from", source, "--data", folder, "--validation", 0.05),
        "leave out --validation",
    )


@pytest.mark.parametrize("place", ["weights", "checkpoint", "history"])
def test_no_pickle_is_ever_loaded(place, run, source, tmp_path):
    folder = tmp_path / "from"
    keep(folder, build("simple_cnn"))
    options = ["finetune", "--from", folder, "--data", "optdigits", "--epochs", 1, "--out", "out"]
    path = folder / "weights.safetensors"
    if place == "checkpoint":
        succeed(run(*options))
        path = tmp_path / "out/checkpoint/phase-1/epoch-0001.safetensors"
    elif place == "history":
        path = folder / "history.json"
    path.write_bytes(pickle.dumps(_Hostile()))
    refused(run(*options, "--resume"), path.name)
    assert not (tmp_path / "a pickle was loaded").exists()


@pytest.mark.parametrize(
    "settings",
    [
        {"model": "system"}, {"model": ["lenet5"]}, {"framework": {}}, {"data": 7}, {"earlier": "mnist"},
        {"earlier": [1]},
    ],
)  # fmt: skip
def test_a_history_of_something_else_is_one_line(settings, run, tmp_path):
    folder = keep(tmp_path / "from", build("simple_cnn"), **settings)
    refused(run("finetune", "--from", folder, "--data", "optdigits"), "names no network of this course")


def test_a_history_of_endless_brackets_is_one_line(run, tmp_path):
    folder = keep(tmp_path / "from", build("simple_cnn"))
    (folder / "history.json").write_text("[" * 100_000)
    refused(run("finetune", "--from", folder, "--data", "optdigits"), "history.json")


def test_weights_of_a_fine_tuning_that_are_none_are_one_line(run, source, tmp_path):
    folder = keep(tmp_path / "from", build("simple_cnn"), fine_tuning={})
    refused(
        run("finetune", "--from", folder, "--data", "optdigits"), "does not say how it was fine-tuned"
    )


def test_weights_that_are_not_finite_are_one_line(run, tmp_path):
    network = build("simple_cnn")
    network.fc2.weight.data.fill_(float("nan"))
    folder = keep(tmp_path / "from", network)
    refused(run("finetune", "--from", folder, "--data", "optdigits", "--out", "out"), "finite")
    assert files_in(tmp_path / "out") == []
