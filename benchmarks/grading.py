"""What grading a class costs: against nbgrader, among hostile submissions, and on a Dask cluster.

Three parts, one after the other, on the exercise about the arithmetic of convolutions:

1. `nbgrader autograde` and `mnist-course exercises grade` take turns at the same answers to the same
   cells. nbgrader grades one submission at a time, without a sandbox, under inputs that never change,
   and writes scores into its gradebook; this course's command puts every kernel into a sandbox, draws
   inputs, names misconceptions and writes the feedback pages, too.
2. A class in which every tenth submission is hostile, then its innocent students alone: the time, the
   memory while it grows, and whether a hostile neighbour changed a grade.
3. The same class on two Dask workers, which are processes of their own.

    python benchmarks/grading.py --submissions 200
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grading_class
import measure
import psutil
from watching import Looks, watch

from mnist_course.grading.exercise import Exercise

SEED = 5  # of the students and of the inputs, so that two runs can be compared
PEERS = {"nbgrader": None, "mnist-course, 1 worker": 1, "mnist-course, 2 workers": 2}
WHAT = (
    "Wall time of the whole command for the same answers to the same solution and check cells, with one"
    " thread in each kernel. For nbgrader a hidden test in the student's kernel compares each probe's"
    " value with the solution's under a fixed seed. seconds_per_submission is the slope between one"
    " submission and all of them: what a command costs once is not in it."
)


def main() -> None:
    """Measure the three parts and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--submissions", type=int, default=200, help="size of the class; %(default)s")
    parser.add_argument("--compared", type=int, default=6, help="by both graders; %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="of the comparison; %(default)s")
    parser.add_argument(
        "--deadline", type=float, default=5, help="seconds a submission has; %(default)s"
    )
    parser.add_argument("--note", default="", help="what a reader of the results should know")
    options = parser.parse_args()
    if options.compared < 2 or options.submissions < 2:
        parser.error("a slope needs two submissions, a class, too")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        exercise = grading_class.exercise_with_deadline(folder / "exercises", options.deadline)
        compared = compare(exercise, folder, options.compared, options.rounds)
        body = {
            **({"note": options.note} if options.note else {}),
            "threads": 1,  # of every kernel, whatever this process was allowed
            "exercise": exercise.name,
            "compared": compared,
            "class": grade_class(exercise, folder, options.submissions),
        }
    packages = ["mnist-course", "numpy", "nbgrader", "ipykernel", "jupyter-client", "distributed"]
    measure.write("grading", body, packages, seeds=[SEED])
    report(body)


def compare(exercise: Exercise, folder: Path, count: int, rounds: int) -> dict[str, Any]:
    """Let the graders take turns at one submission and at `count`."""
    students = grading_class.innocent_answers(exercise, count, SEED)
    course = grading_class.nbgrader_course(exercise, folder / "course")
    seconds: dict[str, dict[int, list[float]]] = {peer: {1: [], count: []} for peer in PEERS}
    points: dict[str, dict[str, float]] = {}
    for number in range(rounds):
        for size in (1, count):
            some = dict(list(students.items())[:size])
            for peer, workers in PEERS.items():
                print(f"round {number + 1}/{rounds}: {size} by {peer}", file=sys.stderr)
                place = folder / f"{number}-{size}-{workers}"
                if workers is None:
                    grading_class.hand_in_for_nbgrader(course, exercise, some, place)
                    command = [*grading_class.nbgrader("autograde"), exercise.name]
                    taken = watch(command, place)
                    points[peer] = grading_class.nbgrader_points(place, exercise)
                else:
                    grading_class.hand_in(exercise, some, place)
                    out = folder / f"{place.name}-out"
                    taken = watch(grade_command(place, out, f"--workers={workers}"), folder)
                    points[peer] = {name: one["points"] for name, one in grades_in(out).items()}
                seconds[peer][size].append(taken)
    return {
        "what": WHAT,
        "submissions": count,
        "students": dict(Counter(kind for kind, _ in students.values())),
        "every_peer_gave_the_same_points": len(
            {json.dumps(one, sort_keys=True) for one in points.values()}
        )
        == 1,
        "points": points["nbgrader"],
        "results": {
            peer: {
                "seconds_of_one": measure.spread(times[1]),
                "seconds_of_all": measure.spread(times[count]),
                "seconds_per_submission": measure.spread(
                    [
                        (whole - one) / (count - 1)
                        for one, whole in zip(times[1], times[count], strict=True)
                    ]
                ),
                "submissions_per_second": measure.spread([count / whole for whole in times[count]]),
            }
            for peer, times in seconds.items()
        },
    }


def grade_class(exercise: Exercise, folder: Path, count: int) -> dict[str, Any]:
    """Grade a class with its hostile submissions, without them, and on two Dask workers."""
    hostile = round(count * grading_class.HOSTILE_SHARE)
    students = grading_class.spread_out(
        grading_class.innocent_answers(exercise, count - hostile, SEED),
        grading_class.hostile_answers(exercise, hostile),
    )
    innocent = {name: one for name, one in students.items() if "-hostile-" not in name}
    everybody = grading_class.hand_in(exercise, students, folder / "everybody")
    alone = grading_class.hand_in(exercise, innocent, folder / "innocent")
    runs, grades = {}, {}
    for label, submissions in (("with hostile", everybody), ("innocent alone", alone)):
        runs[label], grades[label] = run_class(submissions, folder / f"{label}-out", "--workers=2")
    label = "two Dask workers"
    with two_dask_workers(folder) as (address, workers):
        runs[label], grades[label] = run_class(
            everybody, folder / f"{label}-out", f"--scheduler={address}", workers=workers
        )
    among = grades["with hostile"]
    return {
        "submissions": count,
        "hostile": hostile,
        "attacks": dict(Counter(kind for name, (kind, _) in students.items() if name not in innocent)),
        "students": dict(Counter(kind for kind, _ in innocent.values())),
        "deadline_seconds": exercise.seconds,
        "runs": runs,
        "graded_in_every_run": [len(one) for one in grades.values()]
        == [len(students), len(innocent), len(students)],
        "innocent_grades_that_hostile_ones_changed": differing(
            innocent, among, grades["innocent alone"]
        ),
        "innocent_grades_that_differ_on_dask": differing(innocent, among, grades["two Dask workers"]),
        "unexpected_innocent_grades": unexpected(innocent, among),
        "points_of_the_hostile": {
            label: sum(one["points"] or 0 for name, one in grades[label].items() if name not in innocent)
            for label in ("with hostile", "two Dask workers")
        },
    }


def run_class(
    submissions: Path, out: Path, *options: str, workers: Sequence[psutil.Process] = ()
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Grade a folder; return time and memory, and the grades."""
    count = len(list(submissions.iterdir()))
    print(f"{count} submissions, {' '.join(options)}", file=sys.stderr)
    looks = Looks(out / "results", count, workers)
    seconds = watch(grade_command(submissions, out, *options), out.parent, looks)
    taken = {"seconds": seconds, "submissions_per_second": count / seconds}
    return {**taken, "peak_bytes": looks.peaks}, grades_in(out)


def grade_command(submissions: Path, out: Path, *options: str) -> list[str]:
    """Return the command line that grades `submissions`, next to which lies the exercise."""
    exercises = out.parent / "exercises"
    grade = [sys.executable, "-m", "mnist_course", "exercises", "grade", str(submissions)]
    return [*grade, f"--exercises={exercises}", f"--out={out}", f"--seed={SEED}", *options]


def grades_in(out: Path) -> dict[str, Any]:
    """Return student → grade, without the seconds, which no two runs share."""
    grades = json.loads((out / "grades.json").read_text("utf-8"))["grades"]
    return {
        one["student"]: {key: value for key, value in one.items() if key != "seconds"} for one in grades
    }


def differing(students: dict[str, Any], some: dict[str, Any], others: dict[str, Any]) -> list[str]:
    """Return those of `students` whose grades are not the same to the last word."""
    return [name for name in students if some[name] != others[name]]


def unexpected(students: dict[str, Any], grades: dict[str, Any]) -> list[str]:
    """Return the students who did not get what their answers were made for."""
    wrong = []
    for name, (kind, _) in students.items():
        one = grades[name]
        named = {probe["misconception"] for probe in one["probes"]} - {None}
        if kind == "correct":
            fine = one["points"] == one["of"] and not named
        elif kind == "stub":
            fine = one["points"] == 0 and not named
        else:
            fine = 0 < one["points"] < one["of"] and kind in named
        if not fine:
            wrong.append(f"{name} ({kind})")
    return wrong


@contextmanager
def two_dask_workers(folder: Path) -> Iterator[tuple[str, list[psutil.Process]]]:
    """Start a scheduler and two workers as processes; give the one's address and the others."""
    import distributed

    file = folder / "scheduler.json"
    commands = [
        ["dask_scheduler", "--host=127.0.0.1", "--port=0", "--no-dashboard"],
        *[["dask_worker", "--nthreads=1", "--no-dashboard", f"--local-directory={folder}"]] * 2,
    ]
    processes = []
    try:
        for module, *options in commands:
            command = [sys.executable, "-m", f"distributed.cli.{module}", f"--scheduler-file={file}"]
            processes.append(
                subprocess.Popen(
                    [*command, *options],
                    env=grading_class.environment(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
        with distributed.Client(scheduler_file=str(file), timeout=60) as client:
            client.wait_for_workers(2, timeout=60)
            address = client.scheduler.address
            workers = [psutil.Process(pid) for pid in client.run(os.getpid).values()]
        yield address, workers
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait(30)


def report(body: dict[str, Any]) -> None:
    """Print the figures."""
    names = ("seconds_per_submission", "submissions_per_second", "seconds_of_one")
    results = body["compared"]["results"]
    rows = [
        [peer, *(f"{figures[name]['median']:.3g}" for name in names)]
        for peer, figures in results.items()
    ]
    print(measure.table(["median of the rounds", *names], rows), end="\n\n")
    runs = body["class"]["runs"]
    rows = [
        [label, f"{run['seconds']:.1f}", f"{run['submissions_per_second']:.2f}", *_megabytes(run)]
        for label, run in runs.items()
    ]
    print(measure.table(["class", "seconds", "per second", "peak MB, grader", "largest worker"], rows))
    print()
    print(json.dumps({**body["class"], "runs": "above"}, indent=1))


def _megabytes(run: dict[str, Any]) -> list[str]:
    peaks = run["peak_bytes"].values()
    grader = [f"{one['grader'] / 1e6:.0f}" for one in peaks]
    workers = [f"{max(one['workers'], default=0) / 1e6:.0f}" for one in peaks]
    return [" → ".join(grader), " → ".join(workers)]


if __name__ == "__main__":
    main()
