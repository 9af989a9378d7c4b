"""What `mnist-course train` makes of LeNet-5 with the command's defaults, in all three frameworks.

The recipe is read from the command itself, so it cannot become another one unnoticed. Its learning rate
and schedule were chosen in NumPy on 10,000 held-out training images.
"""

from over_seeds import main

from mnist_course.cli import train
from mnist_course.models import FRAMEWORKS

DEFAULTS = {option.name: option.default for option in train.params}
RECIPE = {
    name: DEFAULTS[name]
    for name in ("model", "epochs", "batch_size", "learning_rate", "optimizer", "schedule")
}

if __name__ == "__main__":
    main(
        "train_command",
        {framework: RECIPE | {"framework": framework} for framework in FRAMEWORKS},
        packages=["mnist-course", "numpy", "torch", "tensorflow", "keras"],
        seeds=range(5),
    )
