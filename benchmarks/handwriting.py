"""What each step from paper to 28×28 is worth, under each disturbance (chapter 16).

LeNet-5 learns MNIST's training images but the last 10,000. Of these, and of letters in print, pages
are written on which the confidence was chosen that a digit must reach to be read (``choice``).
Then, once, pages of test images are read with every step, and with each step left out in turn.

A digit counts as right if a piece that covers its middle got its label, whatever the confidence; as
read if the confidence sufficed, right or wrong. Pieces beside the digits are ``extra``.
"""

import argparse
import sys
from typing import Any

import measure

# isort: split
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mnist_course.data import ImageDataset, load_mnist
from mnist_course.data.handwriting import LEAST, STEPS, Reading, find_digits
from mnist_course.data.handwriting.paper import DISTURBANCES, Written, write_page
from mnist_course.data.handwriting.rules import turned_points
from mnist_course.models import build, wing

SEEDS = range(3)
PAGES, DIGITS = 10, 5
TRAINING = {
    "model": "lenet5", "framework": "pytorch", "images": 50_000, "epochs": 2, "learning_rate": 3e-3
}  # fmt: skip
CONFIDENCES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999)
LETTERS = "acdefhkmnprtuvwxyACDEFHKMNPRTUVWXY"
"""Those that no digit resembles; an O is a 0 to any network that knows digits only."""
FONTS = ("DejaVuSans", "DejaVuSerif", "DejaVuSansMono", "DejaVuSans-Oblique")


def variants() -> dict[str, tuple[str, ...]]:
    """Return label → the steps that are left out."""
    only = ("pen", "box", "aspect ratio", "centre of mass")
    return {
        "every step": (),
        **{f"without {step}": (step,) for step in STEPS},
        "cut out and stretched": only,
        "no step": STEPS,
    }


def trained(seed: int) -> tuple[Any, ImageDataset]:
    """Return LeNet-5 and the training images it has not seen."""
    training = wing("pytorch", "training")
    images, seen = load_mnist("train"), TRAINING["images"]
    model = build(TRAINING["model"], TRAINING["framework"], seed=seed)
    options = {key: TRAINING[key] for key in ("epochs", "learning_rate")}
    options |= {"schedule": "cosine", "device": "cpu", "progress": False}
    training.fit(model, images.subset(range(seen)), seed=seed, **options)
    return model, images.subset(range(seen, len(images)))


def pages_of(data: ImageDataset, disturbance: str, seed: int) -> list[tuple[Written, NDArray[np.uint8]]]:
    """Return pages of digits drawn by the seed, with their labels."""
    rng = np.random.default_rng([seed, DISTURBANCES.index(disturbance)])
    drawn = rng.choice(len(data), (PAGES, DIGITS), replace=False)
    return [
        (write_page(data.images[row], disturbance, seed=int(rng.integers(2**31))), data.labels[row])
        for row in drawn
    ]


def read(model: Any, page: NDArray[np.uint8], skip: tuple[str, ...] = ()) -> Reading:
    found = find_digits(page, skip=skip)
    if not len(found.images):
        return Reading(found, np.zeros((0, 10)))
    return Reading(found, wing("pytorch", "training").predict_probabilities(model, found.images))


def answers(reading: Reading, written: Written) -> list[int]:
    """Return for each digit the index of the piece that covers its middle, -1 if none does."""
    page = reading.page
    points = turned_points(written.centres, -page.angle, page.grey.shape, page.mask.shape)
    found = []
    for row, column in points:
        covering = [
            index
            for index, piece in enumerate(page.digits)
            if piece.top <= row < piece.bottom and piece.left <= column < piece.right
        ]
        found.append(covering[0] if covering else -1)
    return found


def counted(model: Any, pages: list[Any], skip: tuple[str, ...]) -> dict[str, int]:
    """Read pages and count digits, those right, those read, and pieces that are no digit."""
    count = dict.fromkeys(("digits", "right", "found", "read", "read_right", "extra"), 0)
    for written, labels in pages:
        reading = read(model, written.grey, skip)
        covering = answers(reading, written)
        count["digits"] += len(labels)
        count["extra"] += len(reading.page.digits) - len({*covering} - {-1})
        for index, label in zip(covering, labels, strict=True):
            if index >= 0:
                right = int(reading.labels[index] == label)
                count["found"] += 1
                count["right"] += right
                count["read"] += int(reading.read[index])
                count["read_right"] += right * int(reading.read[index])
    return count


def printed_letters() -> list[NDArray[np.uint8]]:
    """Return a page for each font, with a row of letters."""
    from matplotlib import get_data_path

    pages = []
    for name in FONTS:
        font = ImageFont.truetype(f"{get_data_path()}/fonts/ttf/{name}.ttf", 64)
        page = Image.new("L", (64 * len(LETTERS), 160), 235)
        draw = ImageDraw.Draw(page)
        for index, letter in enumerate(LETTERS):
            draw.text((20 + 60 * index, 40), letter, fill=40, font=font)
        pages.append(np.asarray(page))
    return pages


def choice(model: Any, unseen: ImageDataset, seed: int) -> list[dict[str, Any]]:
    """Return for each confidence the shares of training digits and of letters that reach it."""
    sure, right = [], []
    for disturbance in DISTURBANCES:
        for written, labels in pages_of(unseen, disturbance, 1000 + seed):
            reading = read(model, written.grey)
            for index, label in zip(answers(reading, written), labels, strict=True):
                if index >= 0:
                    sure.append(reading.confidence[index])
                    right.append(reading.labels[index] == label)
    letters = np.concatenate([read(model, page).confidence for page in printed_letters()])
    sure, right = np.array(sure), np.array(right)
    return [
        {
            "confidence": least,
            "digits_read": float((sure >= least).mean()),
            "read_right": float(right[sure >= least].sum() / max(1, (sure >= least).sum())),
            "letters_read": float((letters >= least).mean()),
        }
        for least in CONFIDENCES
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--unseen", action="store_true", help="read unseen training images instead, and record nothing"
    )
    from_training = parser.parse_args().unseen
    cells: dict[str, dict[str, list[dict[str, int]]]] = {
        label: {disturbance: [] for disturbance in DISTURBANCES} for label in variants()
    }
    choices, on_test = [], []
    test = load_mnist("test")
    for seed in SEEDS:
        model, unseen = trained(seed)
        choices.append(choice(model, unseen, seed))
        data = unseen if from_training else test
        on_test.append(wing("pytorch", "training").evaluate(model, data).accuracy)
        for disturbance in DISTURBANCES:
            pages = pages_of(data, disturbance, seed)
            for label, skip in variants().items():
                cells[label][disturbance].append(counted(model, pages, skip))
        print(f"seed {seed} done", file=sys.stderr)
    body = {
        "training": TRAINING,
        "confidence": LEAST,
        "pages": PAGES,
        "digits_per_page": DIGITS,
        "test_accuracy": measure.spread(on_test),
        "choice": [
            {
                "confidence": least,
                **{
                    key: measure.spread([one[index][key] for one in choices])
                    for key in ("digits_read", "read_right", "letters_read")
                },
            }
            for index, least in enumerate(CONFIDENCES)
        ],
        "variants": {
            label: {
                "left_out": list(variants()[label]),
                "disturbances": {
                    disturbance: {
                        "accuracy": measure.spread([run["right"] / run["digits"] for run in runs]),
                        "runs": runs,
                    }
                    for disturbance, runs in by_disturbance.items()
                },
            }
            for label, by_disturbance in cells.items()
        },
    }
    print(report(body))
    if not from_training:
        packages = ["mnist-course", "numpy", "scipy", "pillow", "torch"]
        print(f"wrote {measure.write('handwriting', body, packages, seeds=SEEDS)}")


def report(body: dict[str, Any]) -> str:
    rows = [
        [label, *(f"{100 * cell['accuracy']['mean']:.1f}" for cell in variant["disturbances"].values())]
        for label, variant in body["variants"].items()
    ]
    return measure.table(["% right", *DISTURBANCES], rows)


if __name__ == "__main__":
    main()
