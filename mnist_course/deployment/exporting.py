"""A PyTorch network as an ONNX file that needs neither PyTorch nor this course."""

import json
import os

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxscript import ir
from torch import nn

from mnist_course import __version__
from mnist_course.data import ImageDataset
from mnist_course.data.batches import require_bytes
from mnist_course.deployment.drift import Reference
from mnist_course.deployment.network import IMAGES, LOGITS, PROBABILITIES, SIDE, OnnxNetwork
from mnist_course.files import atomic_write

OPSET = 18
"""The version of ONNX's operators; the one that PyTorch's exporter writes without converting."""

TOLERANCE = 1e-5
"""Largest difference of a probability that a file may show from the network it was made of."""

REFERENCE_IMAGES = 1000
"""Training images whose measures go into the file, for `mnist_course.deployment.drift`."""

ABOUT = (
    f"{IMAGES}: uint8 (batch, {SIDE}, {SIDE}), grey levels of digits in MNIST's shape, 0 background and"
    f" 255 ink. {LOGITS}, {PROBABILITIES}: float32 (batch, classes)."
)


class Deployed(nn.Module):
    """A network with what belongs before and after it, so that no caller can get it wrong.

    Parameters
    ----------
    network
        Takes float32 images (N, 1, 28, 28) in [0, 1], returns logits (N, K).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map stored images, uint8 (N, 28, 28), to logits and probabilities, float32 (N, K)."""
        logits = self.network(images.float().mul(1 / 255).unsqueeze(1))
        return logits, logits.softmax(dim=1)


def export(
    network: nn.Module,
    path: str | os.PathLike[str],
    *,
    name: str,
    class_names: tuple[str, ...],
    train: ImageDataset | None = None,
) -> float:
    """Write a network as an ONNX file, and run the file to see that it is the same network.

    The file takes bytes, as images are stored, and divides by 255 itself; its batch may have any size.
    Its metadata hold ``model_name``, ``class_names`` (a JSON list) and, when there are training images,
    ``reference``: what `mnist_course.deployment.drift` compares later images with.

    Parameters
    ----------
    network
        Takes float32 images (N, 1, 28, 28) in [0, 1], returns logits (N, K). It is left on the CPU, in
        evaluation mode. `mnist_course.equivalence.convert` makes one of a network of another framework.
    path
        The file to write.
    name, class_names
        Kept in the file; one name for each of the K logits.
    train
        What the network was trained on.

    Returns
    -------
    float
        The largest difference of a probability between the file and the network, on `REFERENCE_IMAGES`
        of the training images, or on images of noise.

    Raises
    ------
    InputError
        The number of class names is not that of the logits.
    RuntimeError
        The file computes something else than the network.
    """
    module = Deployed(network.cpu()).eval()
    proto = _graph(module)
    _describe(proto, model_name=name, class_names=json.dumps(class_names))
    exported = OnnxNetwork(proto.SerializeToString())
    images = np.random.default_rng(0).integers(0, 256, (65, SIDE, SIDE), np.uint8)
    if train is not None:
        share = REFERENCE_IMAGES / len(train) if len(train) else 1.0
        images = (train if share >= 1 else train.split(share, seed=0)[0]).images
        reference = Reference.of(images, exported.predict(images))
        _describe(proto, reference=reference.to_json())
    difference = _difference(module, exported, images)
    if not difference <= TOLERANCE:
        raise RuntimeError(f"the ONNX file differs from the network by {difference:.1e}")
    onnx.checker.check_model(proto, full_check=True)
    with atomic_write(path) as temporary:
        temporary.write_bytes(proto.SerializeToString())
    return difference


def _graph(module: Deployed) -> onnx.ModelProto:
    example = torch.zeros(2, SIDE, SIDE, dtype=torch.uint8)  # a batch of 1 would be taken for a constant
    program = torch.onnx.export(
        module,
        (example,),
        input_names=[IMAGES],
        output_names=[LOGITS, PROBABILITIES],
        dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    ir.passes.common.ClearMetadataAndDocStringPass()(
        program.model
    )  # every node names this machine's source files
    proto: onnx.ModelProto = program.model_proto
    proto.producer_name, proto.producer_version, proto.doc_string = "mnist-course", __version__, ABOUT
    return proto


def _describe(proto: onnx.ModelProto, **texts: str) -> None:
    for key, value in texts.items():
        proto.metadata_props.add(key=key, value=value)


def _difference(module: Deployed, exported: OnnxNetwork, images: NDArray[np.uint8]) -> float:
    require_bytes(images)
    with torch.inference_mode():
        expected = module(torch.from_numpy(np.array(images)))[1].numpy()
    return float(np.abs(exported.predict(images) - expected).max())
