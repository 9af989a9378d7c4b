"""The sandbox of a submission's kernel.

`available` says which one works here, `kernel_spec` describes a kernel that starts in it, and
`doctor` proves that it holds. See `supervisor` for what runs between the grader and the kernel.
"""

from mnist_course.grading.sandbox.choice import available, obstacle, reason
from mnist_course.grading.sandbox.enclosure import METHODS, Enclosure, Method
from mnist_course.grading.sandbox.provisioner import NAME, SandboxProvisioner, kernel_spec

__all__ = [
    "METHODS",
    "NAME",
    "Enclosure",
    "Method",
    "SandboxProvisioner",
    "available",
    "kernel_spec",
    "obstacle",
    "reason",
]
