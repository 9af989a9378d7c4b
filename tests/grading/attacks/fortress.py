"""The exercise that is attacked: floats, integers, a hidden module, and images without labels."""

from mnist_course.grading.authoring import Draft

HINTS = ["Read the sentence again.", "Look at two values only."]


def fortress() -> Draft:
    draft = Draft(
        "00_fortress",
        "Fortress",
        hide=["mnist_course.scratch"],
        seconds=8,
        unseen={"data": "fashion", "count": 300},
    )
    draft.setup(
        "setup",
        "import numpy as np\n\n"
        "from mnist_course.data import load_fashion_mnist\n"
        "from mnist_course.grading import exercise_rng, hint, probe, unseen",
    )
    draft.misconception(
        "spread-population",
        "def spread(values):\n    return np.std(values)",
        of="spread",
        says="You divided by N; the sample standard deviation divides by N - 1.",
    )
    draft.solution(
        "spread",
        "def spread(values):\n    ### BEGIN SOLUTION\n    return np.std(values, ddof=1)\n"
        "    ### END SOLUTION",
        stub="write spread(values)",
    )
    draft.probe(
        "check-spread",
        "spread",
        'rng = exercise_rng("spread")\nprobe("spread", [spread(rng.normal(size=n)) for n in (2, 5, 9)])',
        points=2,
        hints=HINTS,
    )
    draft.solution(
        "ranks",
        "def ranks(values):\n    ### BEGIN SOLUTION\n    return np.argsort(np.argsort(values))\n"
        "    ### END SOLUTION",
        stub="write ranks(values)",
    )
    draft.probe(
        "check-ranks",
        "ranks",
        'probe("ranks", ranks(exercise_rng("ranks").normal(size=40)))',
        points=2,
        hints=HINTS,
    )
    draft.solution(
        "softmax",
        "def softmax(logits):\n    ### BEGIN SOLUTION\n"
        "    powers = np.exp(logits - logits.max(axis=1, keepdims=True))\n"
        "    return powers / powers.sum(axis=1, keepdims=True)\n    ### END SOLUTION",
        stub="write softmax(logits)",
    )
    draft.probe(
        "check-softmax",
        "softmax",
        'probe("softmax", softmax(exercise_rng("softmax").normal(size=(4, 10))))',
        points=2,
        hints=HINTS,
    )
    draft.solution(
        "predict",
        "def predict(images):\n    ### BEGIN SOLUTION\n"
        '    train = load_fashion_mnist("train")\n'
        "    pixels = train.images.reshape(len(train), -1) / 255.0\n"
        "    means = np.stack([pixels[train.labels == label].mean(axis=0) for label in range(10)])\n"
        "    flat = images.reshape(len(images), -1) / 255.0\n"
        "    return (flat @ means.T - (means**2).sum(axis=1) / 2).argmax(axis=1)\n    ### END SOLUTION",
        stub="write predict(images)",
    )
    draft.probe(
        "check-predict",
        "predict",
        'probe("predict", predict(unseen()))',
        points=4,
        hints=HINTS,
        at_least=0.5,
    )
    return draft
