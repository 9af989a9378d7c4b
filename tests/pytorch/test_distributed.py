"""Training on two real processes that torchrun starts, on 1,261 real digits.

torchrun and both processes import PyTorch first, which is most of the time that these tests take.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file
from torch import distributed as dist

from mnist_course import build
from mnist_course.data import load_mnist, write_idx
from mnist_course.errors import InputError
from mnist_course.pytorch import distributed, training
from mnist_course.pytorch.execution import Execution

TORCHRUN = Path(sys.executable).parent / "torchrun"
# every batch is odd, so the parts differ in size; the last one is a single image, so one part is empty
IMAGES, BATCH = 63 * 20 + 1, 63
EPOCHS = 2
RUN = {"batch_size": BATCH, "learning_rate": 1e-3, "seed": 4, "progress": False, "device": "cpu"}
OPTIONS = [
    "--batch-size",
    str(BATCH),
    "--learning-rate",
    "1e-3",
    "--seed",
    "4",
    "--schedule",
    "constant",
]

TOLERANCE = 1e-3
"""Largest difference of a weight. Sums in another order differ by 1e-7, which Adam can enlarge to some
1e-4 in 42 steps, just as when one process reads every batch from its end. Averaging parts of different
size as if they were equal makes 4e-2.
"""


@pytest.fixture(scope="module")
def digits():
    return load_mnist("train").subset(range(IMAGES))


@pytest.fixture(scope="module")
def environment(tmp_path_factory, digits):
    """What makes another process see these digits, with one thread and no bar."""
    folder = tmp_path_factory.mktemp("digits")
    for prefix, data in (("train", digits), ("t10k", load_mnist("test").subset(range(100)))):
        write_idx(folder / f"{prefix}-images-idx3-ubyte", data.images)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", data.labels)
    return {**os.environ, "MNIST_COURSE_DATA": str(folder), "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}


def torchrun(*options, processes=2):
    start = [TORCHRUN, "--standalone", f"--nproc-per-node={processes}"]
    return [*map(str, start), "-m", "mnist_course.pytorch.distributed", *map(str, options)]


def finished(command, environment):
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def two(tmp_path_factory, environment):
    """Two epochs on two processes: the folder of its checkpoint and weights, and what it printed."""
    folder = tmp_path_factory.mktemp("two")
    options = ["--epochs", EPOCHS, "--checkpoint", folder / "checkpoint", "--out", folder]
    done = finished(torchrun(*OPTIONS, *options), environment)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


@pytest.fixture(scope="module")
def one(digits):
    """The same epochs in this process: the network and its history."""
    network = build("lenet5", "pytorch", seed=4)
    return network, training.fit(network, digits, epochs=EPOCHS, **RUN)


@pytest.fixture
def group_of_one():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_two_processes_find_the_weights_that_one_finds(two, one):
    expected = one[0].state_dict()
    found = load_file(two[0] / "weights.safetensors")
    differences = {name: (found[name] - expected[name]).abs().max().item() for name in expected}
    assert max(differences.values()) <= TOLERANCE, differences


def test_two_processes_report_the_history_of_one(two, one):
    found = json.loads((two[0] / "history.json").read_text())
    assert found["train_loss"] == pytest.approx(one[1].train_loss, rel=1e-3)
    assert found["train_accuracy"] == pytest.approx(one[1].train_accuracy, abs=1.5 / IMAGES)


def test_one_process_alone_prints(two, one):
    assert two[1].count("2 processes on cpu") == 1
    result = training.evaluate(one[0], load_mnist("test").subset(range(100)))
    assert two[1].splitlines()[-1] == f"test {result!r}"


def test_one_process_resumes_what_two_left(two, digits, tmp_path):
    folder = shutil.copytree(two[0] / "checkpoint", tmp_path / "checkpoint")
    resumed, whole = (build("lenet5", "pytorch", seed=4) for _ in range(2))
    found = training.fit(resumed, digits, epochs=EPOCHS + 1, checkpoint=folder, resume=True, **RUN)
    expected = training.fit(whole, digits, epochs=EPOCHS + 1, **RUN)
    assert found.train_loss == pytest.approx(expected.train_loss, rel=1e-3)


@pytest.mark.slow
def test_a_killed_process_ends_the_run_which_resumes_to_the_same_end(two, environment, tmp_path):
    """Two runs: one whose first process, which writes checkpoints, is killed, and the resumed one."""
    checkpoint = tmp_path / "check point"  # which the advice has to quote
    options = [*OPTIONS, "--epochs", 9999, "--checkpoint", checkpoint, "--out", tmp_path]
    running = subprocess.Popen(torchrun(*options), env=environment, stderr=subprocess.PIPE, text=True)
    while not (checkpoint / "checkpoint.json").exists():
        assert running.poll() is None, running.stderr.read()
        time.sleep(0.005)
    processes = psutil.Process(running.pid).children(recursive=True)
    ranks = {one.environ()["RANK"]: one for one in processes if "RANK" in one.environ()}
    assert set(ranks) == {"0", "1"}
    ranks["0"].kill()
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert alive == []
    _, errors = running.communicate(timeout=30)
    assert running.returncode != 0
    said = [line for line in errors.splitlines() if line.startswith("mnist_course.pytorch.distributed:")]
    assert len(said) == 1, errors
    advice = re.search("to continue, type: torchrun (.*)", said[0])
    again = shlex.split(advice[1])
    assert again[-1] == "--resume"
    again[again.index("--epochs") + 1] = str(EPOCHS)
    done = finished([str(TORCHRUN), "--standalone", *again], environment)
    assert done.returncode == 0, done.stderr
    history = json.loads((tmp_path / "history.json").read_text())
    assert len(history["train_loss"]) == EPOCHS
    assert history["train_loss"] == json.loads((two[0] / "history.json").read_text())["train_loss"]
    whole, resumed = (load_file(folder / "weights.safetensors") for folder in (two[0], tmp_path))
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_what_no_process_can_do_is_said_once(environment):
    done = finished(torchrun("--batch-size", 1), environment)
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if "(rank, world)" in line]
    assert len(said) == 1, done.stderr
    assert said[0].startswith("mnist_course.pytorch.distributed: shard is ")


def test_a_group_of_one_trains_bit_for_bit_as_no_group(group_of_one, one, digits):
    network = build("lenet5", "pytorch", seed=4)
    history = distributed.fit(network, digits, epochs=EPOCHS, **RUN)
    assert history.train_loss == one[1].train_loss
    assert all(map(torch.equal, network.parameters(), one[0].parameters()))


def test_each_process_has_its_own_dropout(digits):
    def seed(shard):
        trainer = type("Shard", (training._Trainer,), {"shard": shard})
        settings = {"epochs": 1, **RUN, "trainer": trainer, "batch_size": IMAGES}
        training.fit(build("lenet5", "pytorch"), digits, **settings)
        return torch.initial_seed()

    assert seed((0, 2)) == seed((0, 1)) != seed((1, 2))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"patience": 2}, "early stopping is for one process"),
        ({"execution": Execution(compile=True)}, "compile and cuda_graph are for one process"),
        ({"resume": True}, "resume needs the checkpoint folder"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_what_a_group_cannot_do_is_refused(options, expected, group_of_one, digits):
    with pytest.raises(InputError, match=expected):
        distributed.fit(build("lenet5", "pytorch"), digits, epochs=1, **{**RUN, **options})


def test_without_a_group_there_is_nothing_to_share(digits):
    with pytest.raises(InputError, match="this process belongs to no group; start with torchrun"):
        distributed.fit(build("lenet5", "pytorch"), digits, epochs=1, **RUN)


TORCHRUNS = {
    "RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "localhost", "MASTER_PORT": "1",
}  # fmt: skip


@pytest.mark.parametrize(
    ("variables", "options", "expected"),
    [
        ({}, [], "start it with torchrun --nproc-per-node=2"),
        (TORCHRUNS, ["--device", "tpu"], "device is 'tpu'; expected auto, cpu or cuda"),
        (TORCHRUNS, ["--epochs", "many"], "'many' is not a valid integer"),
    ],
)
def test_bad_starts_are_one_line(variables, options, expected, monkeypatch, capsys):
    for name in TORCHRUNS:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["distributed", *options])
    with pytest.raises(SystemExit) as refused:
        distributed.main()
    assert refused.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line


def test_the_second_process_leaves_bad_options_to_the_first(monkeypatch, capsys):
    for name, value in {**TORCHRUNS, "RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["distributed", "--device", "tpu"])
    with pytest.raises(SystemExit):
        distributed.main()
    assert capsys.readouterr().err == ""
