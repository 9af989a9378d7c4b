"""The HTTP service under load: 10,000 requests over the loopback, one in twenty of them hostile.

    python benchmarks/service.py

Each round starts ``mnist-course serve`` with LeNet-5 and sends every request over one of the clients'
open connections. Good requests are MNIST's test digits, most of them as 28×28 PNG and one in ten as a
page with one digit on it, which the service has to find; hostile ones are those of `hostile.bodies`.
Every answer is compared: a good one with the probabilities that the network gives to the same picture
here, a hostile one with the status that it deserves. An answer that doesn't come is lost, one that isn't
the expected is confused; any of the two makes the script fail.

The clients run on the same cores as the service, in Python, so the rate is what both reach together.
The limit on each client's rate is off, because all come from one address.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import hostile
import measure
import numpy as np
from numpy.typing import NDArray

REQUESTS = 10_000
HOSTILE_SHARE = 0.05
PAGES_SHARE = 0.1
"""Of the good requests."""

CLIENTS = 8
ROUNDS = 3
SEED = 0
TOLERANCE = 1e-6
MEMORY_LIMIT_MIB = 500
IDLE = 3.0
"""Seconds after which a client opens a new connection; the service closes idle ones after five."""

SURROUNDINGS = ["mnist-course", "numpy", "onnxruntime", "fastapi", "uvicorn", "pillow"]


@dataclass(frozen=True, eq=False)
class Wanted:
    """A request and the answer that it should get."""

    kind: str
    content_type: str
    body: bytes
    status: int
    probabilities: NDArray[np.float32] | None = None


def write_model(path: Path) -> None:
    """Export LeNet-5 as it is before training: its answers differ as much, and times are the same."""
    from mnist_course import build
    from mnist_course.deployment.exporting import export

    export(build("lenet5", seed=SEED), path, name="lenet5", class_names=tuple("0123456789"))


def requests(model: Path, count: int) -> list[Wanted]:
    """Return `count` requests in random order, with their answers."""
    from mnist_course.data import load_mnist
    from mnist_course.deployment.network import OnnxNetwork
    from mnist_course.deployment.service import read_body

    rng = np.random.default_rng(SEED)
    network, images = OnnxNetwork.load(model), load_mnist("test").images
    bad = round(HOSTILE_SHARE * count)
    pages = round(PAGES_SHARE * (count - bad))
    wanted = []
    for number, index in enumerate(rng.integers(0, len(images), count - bad)):
        kind = "page" if number < pages else "digit"
        picture = hostile.page([images[index]]) if kind == "page" else images[index]
        body = hostile.as_file(picture)
        try:
            image = read_body(body, "image/png")
        except ValueError:  # a digit in two pieces, for example
            wanted.append(Wanted(kind, "image/png", body, 422))
            continue
        row = network.predict(image[np.newaxis])[0]
        wanted.append(Wanted(kind, "image/png", body, 200, row))
    enemies = [*hostile.bodies(images[0]).values()]
    for number in range(bad):
        content_type, body, status, _ = enemies[number % len(enemies)]
        wanted.append(Wanted("hostile", content_type, body, status))
    return [wanted[place] for place in rng.permutation(len(wanted))]


class Client:
    """Sends requests one after the other, and notes how each went."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.answered = time.perf_counter()
        self.milliseconds: dict[str, list[float]] = {"digit": [], "page": [], "hostile": []}
        self.statuses: Counter[int] = Counter()
        self.lost: list[str] = []
        self.confused: list[str] = []

    def send(self, wanted: Wanted) -> None:
        """Send one request and compare its answer."""
        start = time.perf_counter()
        if start - self.answered > IDLE:
            self.connection.close()
        try:
            self.connection.request(
                "POST", "/predict", wanted.body, {"Content-Type": wanted.content_type}
            )
            answer = self.connection.getresponse()
            fields = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.lost.append(f"{wanted.kind}: {error!r}")
            self.connection.close()
            return
        self.answered = time.perf_counter()
        self.milliseconds[wanted.kind].append(1000 * (self.answered - start))
        self.statuses[answer.status] += 1
        if not expected(wanted, answer.status, fields):
            self.confused.append(f"{wanted.kind}: {answer.status} {str(fields)[:120]}")


def expected(wanted: Wanted, status: int, fields: dict[str, Any]) -> bool:
    """Whether an answer is the one that its request should get."""
    if status != wanted.status:
        return False
    if wanted.probabilities is None:
        return list(fields) == ["detail"]
    found = [fields["probabilities"][name] for name in "0123456789"]
    return bool(np.abs(np.array(found) - wanted.probabilities).max() <= TOLERANCE)


def load(model: Path, wanted: list[Wanted], clients: int) -> dict[str, Any]:
    """Start the service, send all requests, and return what was measured."""
    command = [sys.executable, "-m", "mnist_course", "serve", "--model", str(model)]
    with subprocess.Popen(
        [*command, "--port", "0", "--rate", "0"], stdout=subprocess.PIPE, text=True
    ) as service:
        try:
            assert service.stdout is not None
            line = service.stdout.readline()
            port = int(re.findall(r":(\d+)/", line)[0])
            start = time.perf_counter()
            everyone = send_all(port, wanted, clients)
            seconds = time.perf_counter() - start
            memory = peak_mib(service.pid)
        finally:
            service.terminate()
    times = {
        kind: sorted(t for c in everyone for t in c.milliseconds[kind]) for kind in ("digit", "page")
    }
    return {
        "seconds": seconds,
        "requests_per_second": len(wanted) / seconds,
        "milliseconds": {
            kind: {f"p{share}": float(np.percentile(found, share)) for share in (50, 95, 99)}
            for kind, found in times.items()
        },
        "peak_memory_mib": memory,
        "statuses": sum((one.statuses for one in everyone), Counter()),
        "lost": [text for one in everyone for text in one.lost],
        "confused": [text for one in everyone for text in one.confused],
    }


def send_all(port: int, wanted: list[Wanted], clients: int) -> list[Client]:
    everyone = [Client(port) for _ in range(clients)]

    def talk(number: int) -> None:
        for one in wanted[number::clients]:
            everyone[number].send(one)

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(talk, range(clients)))
    return everyone


def peak_mib(process: int) -> float:
    """Return the most memory that a process has held, in MiB (Linux)."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 1024


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=REQUESTS, help="default: %(default)s")
    parser.add_argument("--clients", type=int, default=CLIENTS, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="default: %(default)s")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.onnx"
        write_model(model)
        wanted = requests(model, options.requests)
        rounds = []
        for number in range(options.rounds):
            print(f"round {number + 1}/{options.rounds}", file=sys.stderr)
            rounds.append(load(model, wanted, options.clients))
    lost, confused = ([text for one in rounds for text in one[key]] for key in ("lost", "confused"))
    if lost or confused:
        sys.exit("\n".join(["lost:", *lost[:20], "confused:", *confused[:20]]))

    def spread(*keys: str) -> dict[str, Any]:
        values: list[Any] = rounds
        for key in keys:
            values = [one[key] for one in values]
        return measure.spread(values)

    body = {
        "rounds": len(rounds),
        "requests": len(wanted),
        "kinds": Counter(one.kind for one in wanted),
        "statuses": rounds[0]["statuses"],
        "clients": options.clients,
        "lost": len(lost),
        "confused": len(confused),
        "requests_per_second": spread("requests_per_second"),
        "milliseconds": {
            kind: {share: spread("milliseconds", kind, share) for share in ("p50", "p95", "p99")}
            for kind in ("digit", "page")
        },
        "peak_memory_mib": spread("peak_memory_mib"),
        "memory_limit_mib": MEMORY_LIMIT_MIB,
    }
    measure.write("service", body, SURROUNDINGS, seeds=[SEED])
    print(f"{statistics.median(body['requests_per_second']['values']):,.0f} requests a second")
    rows = [
        [kind, *(f"{found[share]['median']:.1f}" for share in ("p50", "p95", "p99"))]
        for kind, found in body["milliseconds"].items()
    ]
    print(measure.table(["milliseconds", "p50", "p95", "p99"], rows))
    print(f"{max(body['peak_memory_mib']['values']):.0f} MiB at most")


if __name__ == "__main__":
    main()
