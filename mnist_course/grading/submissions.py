"""A folder of submissions: who handed in what, and what else lies there.

Files are found, not trusted: links are not followed, names are shown only after `printable`.
"""

import hashlib
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mnist_course.errors import InputError
from mnist_course.grading.marking import exercise_of, printable
from mnist_course.grading.notebooks import read_bytes, read_notebook

IGNORED = {".ipynb_checkpoints", "__pycache__", "__MACOSX", ".git"}
MOST_FILES = 100_000


@dataclass(frozen=True)
class Submission:
    """One student's file for one exercise.

    Parameters
    ----------
    student
        Name of the student, from the file's place; harmless to print, and unique.
    exercise
        Name of the exercise.
    path
        The file.
    shown
        Its path below the folder of submissions, harmless to print.
    digest
        SHA-256 of its bytes.
    """

    student: str
    exercise: str
    path: Path
    shown: str
    digest: str

    @property
    def key(self) -> str:
        """A file name that no other student's submission has."""
        return f"{self.exercise}-{slug(self.student)}"


@dataclass(frozen=True)
class Problem:
    """Something in the folder that cannot be graded, and why."""

    student: str
    path: str
    why: str


def slug(student: str) -> str:
    """Return a file name for `student`: readable, and different for different students."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", student).strip("-")[:40]
    return f"{plain or 'student'}-{hashlib.sha256(student.encode()).hexdigest()[:8]}"


def find_submissions(
    folder: str | os.PathLike[str], exercises: Iterable[str]
) -> tuple[list[Submission], list[Problem]]:
    """Find the submissions of `exercises` in `folder`.

    A notebook in a subfolder belongs to the student after whom the subfolder is named, any other to the
    student after whom the file is named.

    Parameters
    ----------
    folder
        For example ``submissions``, with ``submissions/alice/02_convolution_arithmetic.ipynb`` or
        ``submissions/alice.ipynb`` in it.
    exercises
        Names of the exercises that are to be graded.

    Returns
    -------
    submissions, problems
        Sorted by student; every file is in exactly one of the two, except those that no one handed in.

    Raises
    ------
    InputError
        When the folder is missing or holds no notebook at all.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"{root} is no folder; name the folder that holds the submissions")
    wanted = set(exercises)
    found: dict[tuple[str, str], list[Submission]] = defaultdict(list)
    problems: list[Problem] = []
    notebooks = 0
    for path in _files(root):
        where = _shown(path.relative_to(root))
        student = _student(path.relative_to(root), wanted)
        if path.suffix.lower() != ".ipynb":
            problems.append(Problem("", where, "it is no notebook; a submission ends in .ipynb"))
            continue
        notebooks += 1
        try:
            if path.is_symlink():
                raise InputError("it is a link, not a file")
            data = read_bytes(path)
            name = _exercise(data, wanted)
        except InputError as error:
            problems.append(Problem(student, where, str(error)))
            continue
        digest = hashlib.sha256(data).hexdigest()
        found[student, name].append(Submission(student, name, path, where, digest))
    if not notebooks:
        many = f"{len(problems)} files but no notebook" if problems else "nothing"
        raise InputError(f"{root} holds {many}; expected submissions that end in .ipynb")
    submissions = []
    for same in found.values():
        if len(same) == 1:
            submissions += same
            continue
        names = ", ".join(one.shown for one in same)
        why = f"{len(same)} submissions of one student for {same[0].exercise} ({names}); keep one"
        problems += [Problem(one.student, one.shown, why) for one in same]
    return sorted(submissions, key=lambda one: (one.exercise, one.student)), problems


def _files(root: Path) -> Iterator[Path]:
    """Yield every file below `root` in a fixed order, links included but not followed."""
    count = 0
    for parent, folders, names in os.walk(root, followlinks=False):
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        folders[:] = sorted(set(folders) - IGNORED - set(links))
        for name in sorted([*names, *links]):
            count += 1
            if count > MOST_FILES:
                raise InputError(f"{root} holds more than {MOST_FILES:,} files; grade fewer at a time")
            if not name.startswith("."):
                yield Path(parent) / name


def _exercise(data: bytes, wanted: set[str]) -> str:
    """Return the exercise that the file says it is of."""
    name = exercise_of(read_notebook(data))
    if name is None and len(wanted) == 1:
        return next(iter(wanted))  # the metadata are gone; its cells will tell
    if name is None:
        raise InputError("it does not say which exercise it is of; was it made from the released file?")
    if name not in wanted:
        expected = ", ".join(sorted(wanted))
        raise InputError(f"it is a submission of {printable(name)}, expected {expected}")
    return name


def _student(path: Path, exercises: set[str]) -> str:
    """Return whose file this is, from its place."""
    name = path.parts[0] if len(path.parts) > 1 else path.stem
    for exercise in sorted(exercises):
        name = re.sub(rf"(.)[-_ ]+{re.escape(exercise)}$", r"\1", name)
    return _harmless(name)


def _harmless(name: str) -> str:
    """Return `name` in a form that can be written and printed; what was changed is marked by a hash."""
    text = unicodedata.normalize("NFC", name)  # macOS decomposes accents in file names
    shown = printable(text.encode("utf-8", "replace").decode(), longest=80)
    if shown == text:
        return shown
    return f"{shown}~{hashlib.sha256(os.fsencode(name)).hexdigest()[:6]}"


def _shown(path: Path) -> str:
    return printable(os.fsencode(path).decode("utf-8", "replace"))
