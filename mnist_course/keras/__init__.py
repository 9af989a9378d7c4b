"""The networks in Keras 3: channels last, float32, logits out.

Keras runs on TensorFlow; where only PyTorch is installed it runs on that, and ``KERAS_BACKEND`` chooses.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Send the process's stderr nowhere, C++ included; exceptions still arrive."""
    saved = os.dup(2)
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


# All of this must happen before the first import of keras, which is why it happens here.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if find_spec("tensorflow") is None and find_spec("torch") is not None:
    os.environ.setdefault("KERAS_BACKEND", "torch")
if find_spec("triton") is not None:
    # triton (which torch imports with its first optimizer) and TensorFlow each contain LLVM;
    # loaded in the other order the process aborts: "Option registered more than once"
    import triton  # noqa: F401
with _quiet_stderr():  # TensorFlow greets a machine without a GPU with several lines
    import keras  # noqa: F401
