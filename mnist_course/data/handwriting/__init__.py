"""From a photograph or scan of digits on paper to 28×28 images, the way MNIST was made.

`find_digits` takes a page (`mnist_course.data.pictures.read_page`) through the steps: even light
(`lighting`), ink or no ink (`threshold`), the paper's lines (`rules`), pieces of ink (`pieces`), and
MNIST's box and centre (`normalizing`). It returns a `Page`, which keeps each of them; a `Reading` adds
what a network says. `paper` writes pages to practise on. See chapter 16.
"""

from mnist_course.data.handwriting.page import LEAST, STEPS, Page, Reading, find_digits
from mnist_course.data.handwriting.pieces import Piece

__all__ = ["LEAST", "STEPS", "Page", "Piece", "Reading", "find_digits"]
