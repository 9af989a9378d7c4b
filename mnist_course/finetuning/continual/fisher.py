"""How much each parameter matters to what a network says: the diagonal of the Fisher information."""

import torch
from torch import nn

from mnist_course.errors import InputError


def fisher_information(
    model: nn.Module, images: torch.Tensor, units: torch.Tensor | None = None
) -> dict[str, torch.Tensor]:
    r"""Return the diagonal of the Fisher information of every parameter that trains.

    .. math:: F_i = \frac{1}{N} \sum_{n=1}^{N} \sum_k p_\theta(k \mid x_n)
              \left( \frac{\partial \log p_\theta(k \mid x_n)}{\partial \theta_i} \right)^2

    The sum over the classes k is taken exactly: no label is drawn, and none is needed. The square is
    that of one example's gradient; a batch's gradient, squared, would be something else. For
    :math:`p = \mathrm{softmax}(Wx)` it is :math:`F_{W_{kj}} = \frac{1}{N}\sum_n p_k(1-p_k)\,x_j^2`.

    Parameters
    ----------
    model
        Returns logits (N, units). It runs in evaluation mode; its training mode is restored.
    images
        float32, shape (N, 1, 28, 28) or whatever the model takes.
    units
        Numbers of the units that may answer, shape (K,); all by default.

    Returns
    -------
    dict
        Parameter name → tensor of the parameter's shape.

    Raises
    ------
    InputError
        No images.

    References
    ----------
    Kirkpatrick et al., Overcoming catastrophic forgetting in neural networks, 2017; van de Ven, On the
    computation of the Fisher information in continual learning, 2025, arXiv:2502.11756.
    """
    if not len(images):
        raise InputError("there are no images to take the Fisher information on; expected at least one")
    was_training = model.training
    model.eval()
    values = {name: value for name, value in model.named_parameters() if value.requires_grad}
    total = {name: torch.zeros_like(value) for name, value in values.items()}
    for image in images:  # one by one: a small network's batch of gradients is no faster
        logits = model(image[None])[0]
        logs = (logits if units is None else logits[units]).log_softmax(dim=0)  # (K,)
        for log in logs:
            gradients = torch.autograd.grad(log, [*values.values()], retain_graph=True)
            for name, gradient in zip(values, gradients, strict=True):
                total[name] += log.detach().exp() * gradient**2
    model.train(was_training)
    return {name: value / len(images) for name, value in total.items()}
