"""An exported network at work, without PyTorch."""

import json
import os
from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from numpy.typing import NDArray

from mnist_course.data.batches import require_bytes
from mnist_course.deployment.drift import Reference
from mnist_course.errors import InputError

IMAGES, LOGITS, PROBABILITIES = "images", "logits", "probabilities"
"""Names of the graph's input and outputs."""

SIDE = 28
MOST_BYTES = 256 << 20
"""Of a file that is read."""

FATAL = 4
"""onnxruntime's level of log; what is wrong comes as an exception, and need not be printed as well."""


class OnnxNetwork:
    """A network that `mnist_course.deployment.exporting` wrote; any number of threads may use it.

    Parameters
    ----------
    model
        The file's bytes. Weights in further files are refused.
    source
        Its name in errors.

    Attributes
    ----------
    name, class_names
        From the file.
    reference
        The training images' measures, or ``None`` if the file holds none.

    Raises
    ------
    InputError
        No ONNX file, or one of another origin.
    """

    def __init__(self, model: bytes, source: str = "the model") -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # requests share the cores
        options.log_severity_level = FATAL
        try:
            self._session = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # of a dozen types that only have Exception in common
            reason = str(error).splitlines()[0]
            raise InputError(f"{source} is no ONNX file that can be run: {reason}") from None
        texts = self._session.get_modelmeta().custom_metadata_map
        self._check_graph(source)
        try:
            self.name = str(texts["model_name"])
            self.class_names = tuple(json.loads(texts["class_names"]))
            kept = texts.get("reference")
            self.reference = None if kept is None else Reference.from_json(kept)
        except (KeyError, ValueError, TypeError, RecursionError) as error:
            raise InputError(
                f"{source} does not say what its outputs mean ({error!r}); write it with"
                " mnist-course export"
            ) from None
        outputs, classes = self._outputs(), len(self.class_names)
        counted = classes if self.reference is None else len(self.reference.counts)
        named = all(isinstance(name, str) and name.isprintable() for name in self.class_names)
        if not named or outputs != classes or counted != classes:
            raise InputError(
                f"{source} names {classes} classes for its {outputs} outputs; export it again"
            )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "OnnxNetwork":
        """Read a file.

        Raises
        ------
        InputError
            No such file, or not one that `mnist-course export` wrote.
        """
        path = Path(path)
        if not path.is_file():
            raise InputError(f"{path} is no file; name one that mnist-course export wrote")
        if (size := path.stat().st_size) > MOST_BYTES:
            raise InputError(f"{path} has {size >> 20} MiB; expected at most {MOST_BYTES >> 20}")
        return cls(path.read_bytes(), str(path))

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probabilities (N, K) of stored images, uint8 (N, 28, 28).

        Raises
        ------
        InputError
            Images of another type or shape.
        """
        return self._run(PROBABILITIES, images)

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the logits (N, K) of stored images, uint8 (N, 28, 28)."""
        return self._run(LOGITS, images)

    def _run(self, output: str, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        require_bytes(images)
        (values,) = self._session.run([output], {IMAGES: images})
        return np.asarray(values)

    def _outputs(self) -> int:
        """Count the classes by running the graph, whose stated shapes may be anything."""
        return int(self.predict(np.zeros((1, SIDE, SIDE), np.uint8)).shape[1])

    def _check_graph(self, source: str) -> None:
        inputs = [(one.name, one.type, one.shape[1:]) for one in self._session.get_inputs()]
        outputs = {one.name for one in self._session.get_outputs()}
        if inputs != [(IMAGES, "tensor(uint8)", [SIDE, SIDE])] or not {LOGITS, PROBABILITIES} <= outputs:
            raise InputError(
                f"{source} is an ONNX file of another kind; expected one that mnist-course export wrote,"
                f" which takes {IMAGES}, uint8 (batch, {SIDE}, {SIDE})"
            )
