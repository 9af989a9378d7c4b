"""The files around the package agree with each other."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import measure
import over_seeds
import pytest
import yaml

import mnist_course

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements.txt").read_text()
ADDRESS = re.compile(r"(https?|file)://|--(extra-)?index-url|--find-links")


def names(requirements):
    return {
        re.split(r"[ ;<>=!\[]", line, maxsplit=1)[0].lower().replace("_", "-") for line in requirements
    }


def test_the_lock_pins_every_direct_dependency():
    locked = [line for line in LOCK.splitlines() if line and not line.startswith("#")]
    assert all(re.match(r"[\w.-]+==[\w.+!]+( ;|$)", line) for line in locked)
    extras = [line for group in PROJECT["optional-dependencies"].values() for line in group]
    assert names([*PROJECT["dependencies"], *extras]) <= names(locked)


@pytest.mark.parametrize("file", ["requirements.txt", "environment.yml", "book/package-lock.json"])
def test_no_lock_names_an_index(file):
    text = (ROOT / file).read_text()
    if file.endswith(".json"):  # npm writes the packages' funding pages
        text = re.sub(r'"(funding|url|license)": ?("[^"]*"|\{[^}]*\})', "", text)
    assert not ADDRESS.search(text), ADDRESS.search(text)


def test_conda_installs_the_same_lock():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert pip["pip"][0].split() == ["--requirement", "requirements.txt"]
    pinned_by_conda = {re.split("[=<>]", name)[0] for name in conda}
    assert pinned_by_conda == {"python", "pip", "make", "git"}
    version = next(name for name in conda if name.startswith("python=")).partition("=")[2]
    assert f"Programming Language :: Python :: {version}" in PROJECT["classifiers"]


def test_every_file_names_the_same_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"] == mnist_course.__version__
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text()


def test_ci_runs_what_the_readme_says():
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    readme = (ROOT / "README.md").read_text()
    assert "make book" in readme
    assert "make test" in readme


RESULTS = sorted((ROOT / "benchmarks/results").glob("*.json"))
every_result = pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)


@every_result
def test_every_result_says_where_it_came_from(path):
    result = json.loads(path.read_text())
    python, script, *_ = result["command"].split()
    assert (python, script) == ("python", f"benchmarks/{result['name']}.py")
    assert result["name"] == path.stem
    for key in ("commit", "date", "threads", "hardware", "versions"):
        assert result[key]
    assert {"cpu", "cores", "system"} <= set(result["hardware"])
    assert {"python", "numpy"} <= set(result["versions"])
    seeds = result["seeds"] if "seeds" in result else [result["seed"]]
    assert all(isinstance(seed, int) for seed in seeds)
    # a table of times holds wall times and nothing else
    assert result.get("unit", "").startswith("seconds") or result["wall_seconds"] > 0


@every_result
def test_every_results_command_still_exists(path):
    command = shlex.split(json.loads(path.read_text())["command"])
    asked = subprocess.run(
        [sys.executable, *command[1:], "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.startswith("usage: "), "the script does not know --help: it ran instead"
    options = [word for word in command if word.startswith("--")]
    assert [option for option in options if option not in asked.stdout] == []


def spreads(node):
    """Yield every dictionary in a result that holds values with their mean."""
    if isinstance(node, dict):
        if "values" in node and "mean" in node:
            yield node
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from spreads(child)


@every_result
def test_every_mean_and_standard_deviation_follows_from_its_values(path):
    found = list(spreads(json.loads(path.read_text())))
    assert found
    for node in found:
        again = measure.spread(node["values"])
        for key in set(again) & set(node) - {"values"}:
            assert node[key] == pytest.approx(again[key], rel=1e-9, abs=1e-15), (key, node)


@every_result
def test_every_run_over_seeds_is_in_the_summary(path):
    result = json.loads(path.read_text())
    variants = [one for one in result.get("variants", {}).values() if "test_accuracy" in one]
    for variant in variants:
        runs = variant["runs"]
        assert [run["seed"] for run in runs] == sorted({run["seed"] for run in runs})
        shares = [run["test_correct"] / run["test_images"] for run in runs]
        assert variant["test_accuracy"]["values"] == shares
        assert variant["seconds"]["values"] == [run["seconds"] for run in runs]
    if variants:
        runs = [run for variant in variants for run in variant["runs"]]
        assert result["seeds"] == sorted({run["seed"] for run in runs})
        assert result["wall_seconds"] == pytest.approx(sum(run["seconds"] for run in runs), abs=0.1)


def test_writing_a_result_needs_nothing_but_its_body(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "RESULTS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["benchmarks/x.py", "--seeds", "0", "1"])
    path = measure.write("x", {"values": [1]}, ["numpy"])
    result = json.loads(path.read_text())
    assert result["command"] == "python benchmarks/x.py --seeds 0 1"
    assert result["values"] == [1]
    assert result["seeds"] == []
    assert result["wall_seconds"] > 0


def run_over_seeds(monkeypatch, *options):
    """Fill results/x.json with made-up runs of 10 images each, of which the seed are right."""
    monkeypatch.setattr(sys, "argv", ["benchmarks/x.py", *options])
    over_seeds.main(
        "x",
        {"one": {"rate": 1}, "two": {"rate": 2}},
        packages=["numpy"],
        run=lambda recipe, seed: {"test_correct": seed, "test_images": 10},
        seeds=range(3),
    )
    return json.loads((measure.RESULTS / "x.json").read_text())


def test_a_result_filled_in_several_goes_names_the_command_that_makes_it_in_one(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "RESULTS", tmp_path)
    part = run_over_seeds(monkeypatch, "--seeds", "2")
    assert part["command"] == "python benchmarks/x.py --seeds 2"
    run_over_seeds(monkeypatch, "--seeds", "0", "--only", "one")
    whole = run_over_seeds(monkeypatch)
    assert whole["command"] == "python benchmarks/x.py"
    assert whole["seeds"] == [0, 1, 2]
    runs = [run for variant in whole["variants"].values() for run in variant["runs"]]
    assert [run["seed"] for run in runs] == [0, 1, 2, 0, 1, 2]
    assert {run["commit"] for run in runs} == {whole["commit"]}
    assert part["variants"]["two"]["runs"][0] in whole["variants"]["two"]["runs"]
    assert whole["wall_seconds"] == pytest.approx(sum(run["seconds"] for run in runs), abs=0.1)


def test_the_wheel_carries_data_licences_and_style(tmp_path):
    command = ["uv", "build", "--wheel", "--quiet", "--no-build-isolation", "--out-dir", str(tmp_path)]
    command[0] = str(Path(sys.executable).parent / "uv")
    subprocess.run([*command, str(ROOT)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        sizes = {info.filename: info.compress_size for info in archive.infolist()}
    mnist = [size for name, size in sizes.items() if "/archives/mnist/" in name]
    assert len(mnist) == 4
    assert sum(mnist) <= 10_000_000
    assert "mnist_course/data/archives/LICENSES.md" in sizes
    assert "mnist_course/course.mplstyle" in sizes
    assert any(name.endswith("/LICENSE") for name in sizes)
    assert not any(name.startswith(("tests", "tools", "book", "benchmarks")) for name in sizes)


def test_loading_needs_little_more_memory_than_the_images():
    """Peak memory of a process that loads MNIST's training set: at most 3 × its 47 MB (Linux)."""
    code = (
        "import re; from mnist_course.data import load_mnist; load_mnist('train');"
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(result.stdout) * 1024 <= 3 * 47_040_016


def test_no_tracked_file_names_this_machine_or_a_registry():
    files = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    hosts = re.compile(r"(pypi|npmjs|pythonhosted|deb\.debian)\.org")
    paths = re.compile(r"(?<![\w.])/(work|root|farm)/\w")
    found = []
    for name in files:
        path = ROOT / name
        if path.suffix in {".xz", ".png"} or not path.exists() or path == Path(__file__):
            continue
        text = path.read_text(encoding="utf-8")
        found += [f"{name}: {m[0]}" for pattern in (hosts, paths) if (m := pattern.search(text))]
    assert found == []
