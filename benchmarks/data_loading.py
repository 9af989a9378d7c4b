"""How long importing the package and loading MNIST take, and the memory it needs.

Peers: gzip-compressed IDX files, as they are distributed, read by a few lines of NumPy.

    python benchmarks/data_loading.py
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import measure

ROUNDS = 7
MEASURE = """
import json, pathlib, re, time
start = time.perf_counter()
{imports}
imported = time.perf_counter()
{load}
cold = time.perf_counter()
{load}
warm = time.perf_counter()
status = pathlib.Path("/proc/self/status").read_text()  # ru_maxrss would start at the parent's
peak = int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) * 1024
print(json.dumps([imported - start, cold - imported, warm - cold, peak]))
"""
GZIP = """
images = []
for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
    with gzip.open(f"{folder}/{{name}}.gz") as file:
        images.append(numpy.frombuffer(file.read(), numpy.uint8, offset=16 if "images" in name else 8))
"""
FIGURES = ("import_seconds", "cold_seconds", "warm_seconds", "peak_bytes")


def main() -> None:
    """Measure the peers in turn, each in a process of its own, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="default: %(default)s")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        from mnist_course.data import load_mnist, write_idx

        train = load_mnist("train")
        write_idx(Path(folder, "train-images-idx3-ubyte.gz"), train.images)
        write_idx(Path(folder, "train-labels-idx1-ubyte.gz"), train.labels)
        peers = {
            "mnist_course": MEASURE.format(
                imports="import mnist_course; from mnist_course.data import load_mnist",
                load='load_mnist("train")',
            ),
            "gzip": MEASURE.format(imports="import gzip, numpy", load=GZIP.format(folder=folder)),
        }
        collected: dict[str, list[list[float]]] = {peer: [] for peer in peers}
        for _ in range(rounds):
            for peer, code in peers.items():
                run = subprocess.run(
                    [sys.executable, "-c", code], capture_output=True, text=True, check=True
                )
                collected[peer].append(json.loads(run.stdout))
    results = {
        peer: {
            figure: measure.spread([run[index] for run in runs]) for index, figure in enumerate(FIGURES)
        }
        for peer, runs in collected.items()
    }
    measure.write("data_loading", {"results": results}, ["mnist-course", "numpy"])
    rows = [
        [peer, *(f"{figures[name]['median']:.3g}" for name in FIGURES)]
        for peer, figures in results.items()
    ]
    print(measure.table(["peer", *FIGURES], rows))


if __name__ == "__main__":
    main()
