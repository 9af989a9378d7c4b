"""Exercises that check themselves, and a grader that a student's notebook cannot fool.

In a notebook::

    from mnist_course.grading import exercise_rng, hint, probe

The student's kernel computes values and publishes them with `probe`; somebody else judges: the trusted
process that started the kernel, or, for the self-check, the expected values that `release` put into the
student's notebook. Importing this package imports NumPy only.
"""

from mnist_course.grading.publishing import exercise_rng, hint, open_exercise, probe, raised, unseen

__all__ = ["exercise_rng", "hint", "open_exercise", "probe", "raised", "unseen"]
