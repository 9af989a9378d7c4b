"""The networks in Keras 3: channels last, float32, logits out.

Keras runs on TensorFlow; where only PyTorch is installed it runs on that, and ``KERAS_BACKEND`` chooses.
"""

import os
from importlib.util import find_spec

# Both must be set before the first import of keras, which is why they are set here.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow greets a CPU with several lines
if find_spec("tensorflow") is None and find_spec("torch") is not None:
    os.environ.setdefault("KERAS_BACKEND", "torch")
