"""Every figure of the course: functions that take and return matplotlib Axes; none calls ``show``.

All of them read in grey: line styles, markers, hatches and numbers carry what colours carry. Call
`use_style` once; `course.mplstyle`, in the package's folder, holds fonts, colours and the light
background. Images and one number per pixel are drawn in `images`, one number per class or per pair of
classes in `classes`, one per epoch or seed in `runs`, probabilities in `probabilities`, and the way
from a page to its digits in `handwriting`.
"""

from mnist_course.plotting.classes import class_scores, class_shares, confusion_matrix
from mnist_course.plotting.handwriting import handwriting_steps
from mnist_course.plotting.images import NAN_COLOUR, error_gallery, heatmap, image_grid
from mnist_course.plotting.probabilities import reliability_diagram
from mnist_course.plotting.runs import compared_seed_dots, learning_curves, seed_dots
from mnist_course.plotting.style import HATCHES, MARKERS, use_style

__all__ = [
    "HATCHES",
    "MARKERS",
    "NAN_COLOUR",
    "class_scores",
    "class_shares",
    "compared_seed_dots",
    "confusion_matrix",
    "error_gallery",
    "handwriting_steps",
    "heatmap",
    "image_grid",
    "learning_curves",
    "reliability_diagram",
    "seed_dots",
    "use_style",
]
