"""`python -m mnist_course` is the command `mnist-course`."""

from mnist_course.cli import main

main()
