"""The files around the package agree with each other."""

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import measure
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


@pytest.mark.parametrize(
    "path", sorted((ROOT / "benchmarks/results").glob("*.json")), ids=lambda p: p.stem
)
def test_every_result_says_where_it_came_from(path):
    result = json.loads(path.read_text())
    python, script, *_ = result["command"].split()
    assert (python, script) == ("python", f"benchmarks/{result['name']}.py")
    assert result["name"] == path.stem
    assert (ROOT / script).is_file()
    for key in ("commit", "date", "threads", "hardware", "versions"):
        assert result[key]


def test_writing_a_result_needs_nothing_but_its_body(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "RESULTS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["benchmarks/x.py", "--seeds", "0", "1"])
    path = measure.write("x", {"values": [1]}, ["numpy"])
    result = json.loads(path.read_text())
    assert result["command"] == "python benchmarks/x.py --seeds 0 1"
    assert result["values"] == [1]


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
