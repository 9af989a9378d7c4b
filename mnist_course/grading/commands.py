"""`mnist-course exercises`: what students and instructors type."""

from pathlib import Path

import click

from mnist_course.errors import InputError
from mnist_course.grading.exercise import Exercise, find_exercises

EXERCISES = click.option(
    "--exercises",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("exercises"),
    envvar="MNIST_COURSE_EXERCISES",
    show_default=True,
    help="Folder of the instructor's notebooks.",
)
CHOSEN = click.option("--exercise", "chosen", multiple=True, help="Only this one; may be repeated.")


class _Exercises(click.Group):
    """The commands below, and the sandbox's doctor, which is imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), "doctor"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name != "doctor":
            return super().get_command(ctx, cmd_name)
        from mnist_course.grading.sandbox.doctor import command

        return command


@click.group(cls=_Exercises)
def exercises() -> None:
    """Hand out exercises, check one's own answers, grade a class."""


@exercises.command("list")
@EXERCISES
def list_exercises(folder: Path) -> None:
    """List the exercises."""
    click.echo(f"{'exercise':<28} points  probes  misconceptions  title")
    for name, path in find_exercises(folder).items():
        one = Exercise.load(path)
        counts = f"{one.points:6g}  {len(one.probes):6d}  {len(one.misconceptions):14d}"
        click.echo(f"{name:<28} {counts}  {one.title}")


@exercises.command()
@click.argument("name")
@EXERCISES
def new(name: str, folder: Path) -> None:
    """Write a template for a new exercise NAME, for example 10_attention."""
    from mnist_course.grading.authoring import template

    if (folder / f"{name}.ipynb").exists():
        raise InputError(f"{folder / name}.ipynb exists; choose another name")
    click.echo(f"wrote {template(name).write(folder)}")


@exercises.command()
@click.argument("out", type=click.Path(path_type=Path))
@EXERCISES
@CHOSEN
def release(out: Path, folder: Path, chosen: tuple[str, ...]) -> None:
    """Write the students' notebooks into the folder OUT."""
    from mnist_course.grading.release import release as release_one

    if out.resolve() == folder.resolve():
        raise InputError(f"{out} holds the instructor's notebooks; release into another folder")
    for exercise in _chosen(folder, chosen).values():
        click.echo(f"wrote {release_one(exercise, out)}")


@exercises.command()
@click.argument("notebook", type=click.Path(path_type=Path))
def check(notebook: Path) -> None:
    """Check your own NOTEBOOK as its cells do; run it here, without a sandbox."""
    from mnist_course.grading.checking import check_notebook

    report = check_notebook(notebook)
    for line in report.lines:
        click.echo(line)
    raise click.exceptions.Exit(0 if report.all_right else 1)


@exercises.command()
@click.argument("submissions", type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder for grades and feedback."
)
@EXERCISES
@CHOSEN
@click.option("--seed", help="Regrade under a recorded seed  [a fresh one of 128 bits].")
@click.option("--workers", default=1, show_default=True, help="Processes on this machine.")
@click.option(
    "--scheduler", help="Grade on the Dask cluster at this address, for example tcp://host:8786."
)
@click.option("--resume", is_flag=True, help="Continue an earlier run in the same folder.")
@click.option(
    "--gradebook", help="Also write into an nbgrader gradebook, for example sqlite:///gradebook.db."
)
@click.option(
    "--unsandboxed", is_flag=True, help="Run submissions with all your rights. Trust them first."
)
def grade(
    submissions: Path,
    out: Path,
    folder: Path,
    chosen: tuple[str, ...],
    seed: str | None,
    workers: int,
    scheduler: str | None,
    resume: bool,
    gradebook: str | None,
    unsandboxed: bool,
) -> None:
    """Grade the notebooks in the folder SUBMISSIONS, one student per file or subfolder."""
    from mnist_course.grading.batch import grade_class
    from mnist_course.grading.reports import write_reports
    from mnist_course.grading.submissions import find_submissions

    known = _chosen(folder, chosen)
    number = _seed(seed)
    sandbox = None if unsandboxed else _sandbox()
    found, problems = find_submissions(submissions, known)
    try:
        run = grade_class(
            known,
            found,
            out,
            sandbox=sandbox,
            seed=number,
            resume=resume,
            workers=workers,
            scheduler=scheduler,
        )
    except KeyboardInterrupt:
        click.echo(f"interrupted; the same command with --resume continues in {out}", err=True)
        raise click.exceptions.Exit(130) from None
    run.problems = [*problems, *run.problems]
    written = write_reports(run, out)
    if gradebook:
        from mnist_course.grading.gradebook import write_gradebook

        write_gradebook(run, gradebook)
    for problem in run.problems:
        click.echo(f"not graded: {problem.path}: {problem.why}", err=True)
    click.echo(f"graded {written.graded} of {len(found)} submissions under the seed {run.seed:#x}")
    click.echo(f"wrote grades.csv, grades.json, summary.html and feedback/ to {out}")


def _chosen(folder: Path, chosen: tuple[str, ...]) -> dict[str, Exercise]:
    paths = find_exercises(folder)
    unknown = sorted(set(chosen) - set(paths))
    if unknown:
        raise InputError(f"no exercise {', '.join(unknown)} in {folder}; there are {', '.join(paths)}")
    return {name: Exercise.load(path) for name, path in paths.items() if not chosen or name in chosen}


def _seed(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        number = int(text, 0)
    except ValueError:
        number = -1
    if not 0 <= number < 2**128:
        raise InputError(f"--seed is {text!r}; expected a number as grades.json records it")
    return number


def _sandbox() -> str:
    from mnist_course.grading import sandbox

    method = sandbox.available()
    if method is None:
        raise InputError(
            f"no sandbox works here: {sandbox.reason()}; mnist-course exercises doctor says more,"
            " --unsandboxed grades without one"
        )
    return method
