"""What a grading run remembers: its seed, and one file per submission.

A file is written when a grade is known and never before. A run that is killed at any moment continues
from there under the same seed.
"""

import json
import secrets
from pathlib import Path
from typing import Any

from mnist_course.errors import InputError
from mnist_course.files import atomic_write
from mnist_course.grading.exercise import Exercise
from mnist_course.grading.marking import UNGRADED, Result
from mnist_course.grading.submissions import Submission

SEED_BITS = 128


class State:
    """The files of a run: its seed, and one result per submission."""

    def __init__(self, folder: Path, seed: int | None, resume: bool):
        self.results = folder / "results"
        known = read_json(folder / "run.json")
        if known is not None and not resume:
            raise InputError(
                f"{folder} holds the grades of an earlier run; use --resume, or another folder"
            )
        earlier = None if known is None else int(known["seed"], 16)
        if earlier is not None and seed is not None and seed != earlier:
            raise InputError(
                f"{folder} was graded under the seed {earlier:#x}; resume it without --seed"
            )
        self.seed = next(s for s in (earlier, seed, secrets.randbits(SEED_BITS)) if s is not None)
        write_json(folder / "run.json", {"seed": hex(self.seed)})

    def recall(self, submission: Submission, exercise: Exercise) -> Result | None:
        """Return the result of an earlier run, if nothing that it depends on has changed."""
        known = read_json(self.results / f"{submission.key}.json")
        if known is None or known["depends"] != self._depends(submission, exercise):
            return None
        result = Result.from_json(known["result"])
        return None if result.status == UNGRADED else result

    def remember(self, submission: Submission, exercise: Exercise, result: Result) -> None:
        """Write down a result."""
        content = {"depends": self._depends(submission, exercise), "result": result.to_json()}
        write_json(self.results / f"{submission.key}.json", content)

    def _depends(self, submission: Submission, exercise: Exercise) -> dict[str, str]:
        return {"seed": hex(self.seed), "exercise": exercise.digest, "submission": submission.digest}


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the mapping in a file that `write_json` wrote; None where there is none."""
    try:
        content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InputError(f"{path} is damaged; delete it to grade again what it was about") from error
    return content


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write `content`, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")
