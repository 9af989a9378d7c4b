"""Optimizers: one step downhill for every parameter, in place.

`optimizer.step(network.gradients())` changes the arrays it was given at construction. The
update rules are those of `torch.optim`, to the last rounding but one.

The chapter that compares them: chapters/04_losses_and_optimizers.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mnist_course.scratch.arrays import FloatArray, require_shape


class Optimizer:
    """Parameters, a learning rate that may change between steps, and a number of steps taken.

    Parameters
    ----------
    parameters : dict of arrays
        As `network.parameters()` returns them; `step` changes these arrays.
    learning_rate : float
        Assign to `optimizer.learning_rate` to follow a schedule.
    weight_decay : float
        Strength of the pull towards 0; see each class for how it enters.
    """

    slots: tuple[str, ...] = ()  # names of the running averages that a subclass keeps

    def __init__(
        self, parameters: Mapping[str, FloatArray], learning_rate: float, weight_decay: float
    ) -> None:
        if not learning_rate >= 0 or not weight_decay >= 0:
            raise ValueError(
                f"learning_rate is {learning_rate} and weight_decay {weight_decay}, "
                "expected numbers >= 0"
            )
        if not parameters:
            raise ValueError("there are no parameters to train; pass network.parameters()")
        self.parameters = dict(parameters)
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.steps = 0
        # All parameters, and each average, as one vector: ten long operations a step, not a hundred
        # short ones. Their slices are cut out again by name.
        self._vector = self._join(self.parameters)
        self.averages = {slot: np.zeros_like(self._vector) for slot in self.slots}

    def step(self, gradients: Mapping[str, FloatArray]) -> None:
        """Move every parameter against its gradient; names and shapes must match."""
        if gradients.keys() != self.parameters.keys():
            raise ValueError(
                f"gradients are named {sorted(gradients)}, expected {sorted(self.parameters)}"
            )
        for name, parameter in self.parameters.items():
            require_shape(f"the gradient of {name}", gradients[name], parameter.shape)
        self.steps += 1
        self._join(self.parameters, out=self._vector)
        self._update(self._vector, self._join(gradients))
        for name, part in self._cut(self._vector).items():
            self.parameters[name][...] = part

    def state(self) -> dict[str, FloatArray]:
        """Return copies of everything a resumed run needs, as flat named arrays."""
        state: dict[str, FloatArray] = {"steps": np.array(float(self.steps))}
        for slot, vector in self.averages.items():
            state |= {f"{slot}.{name}": part.copy() for name, part in self._cut(vector).items()}
        return state

    def load_state(self, state: Mapping[str, FloatArray]) -> None:
        """Take up the state that `state` returned, or raise ValueError and change nothing."""
        expected = self.state()
        if state.keys() != expected.keys():
            raise ValueError(
                f"the optimizer state has {sorted(state)}, expected {sorted(expected)}; "
                "was it saved by another optimizer?"
            )
        for name, array in expected.items():
            require_shape(name, np.asarray(state[name]), array.shape)
        self.steps = int(state["steps"])
        for slot, vector in self.averages.items():
            for name, part in self._cut(vector).items():
                part[...] = state[f"{slot}.{name}"]

    def _join(self, arrays: Mapping[str, FloatArray], out: FloatArray | None = None) -> FloatArray:
        """Return the arrays, in the parameters' order, as one vector."""
        return np.concatenate([arrays[name].ravel() for name in self.parameters], out=out)

    def _cut(self, vector: FloatArray) -> dict[str, FloatArray]:
        """Return the vector's parts under the parameters' names and in their shapes, as views."""
        parts, start = {}, 0
        for name, parameter in self.parameters.items():
            parts[name] = vector[start : start + parameter.size].reshape(parameter.shape)
            start += parameter.size
        return parts

    def _update(self, parameters: FloatArray, gradients: FloatArray) -> None:
        """Move the vector of all parameters, in place, given that of all gradients."""
        raise NotImplementedError


class SGD(Optimizer):
    r"""Stochastic gradient descent with momentum.

    :math:`g \leftarrow g + \lambda\theta`, :math:`v \leftarrow \mu v + g` (v = g at the first
    step), :math:`\theta \leftarrow \theta - \eta v`; with Nesterov
    :math:`\theta \leftarrow \theta - \eta (g + \mu v)` (Sutskever et al. 2013, in PyTorch's form).

    Parameters
    ----------
    parameters, learning_rate, weight_decay
        As in `Optimizer`; here weight decay is an L2 penalty, added to the gradient.
    momentum : float in [0, 1)
        :math:`\mu`.
    nesterov : bool
        Look ahead along the velocity; needs momentum.
    """

    def __init__(
        self,
        parameters: Mapping[str, FloatArray],
        learning_rate: float = 0.01,
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        if not 0 <= momentum < 1 or (nesterov and not momentum):
            raise ValueError(
                f"momentum is {momentum} with nesterov={nesterov}, expected 0 <= momentum < 1, "
                "and above 0 for Nesterov"
            )
        self.momentum, self.nesterov = momentum, nesterov
        self.slots = ("velocity",) if momentum else ()
        super().__init__(parameters, learning_rate, weight_decay)

    def _update(self, parameters: FloatArray, gradients: FloatArray) -> None:
        if self.weight_decay:
            gradients = gradients + self.weight_decay * parameters
        if self.momentum:
            velocity = self.averages["velocity"]
            velocity *= self.momentum
            velocity += gradients
            gradients = gradients + self.momentum * velocity if self.nesterov else velocity
        parameters -= self.learning_rate * gradients


class Adam(Optimizer):
    r"""Adam (Kingma and Ba 2015): a step as large as the gradient is consistent.

    .. math::
       m \leftarrow \beta_1 m + (1-\beta_1) g, \quad v \leftarrow \beta_2 v + (1-\beta_2) g^2, \quad
       \theta \leftarrow
       \theta - \eta \frac{m / (1-\beta_1^t)}{\sqrt{v / (1-\beta_2^t)} + \epsilon}

    Parameters
    ----------
    parameters, learning_rate, weight_decay
        As in `Optimizer`; here weight decay is an L2 penalty, added to the gradient, and so
        is divided by the root of v as everything else: see `AdamW`.
    betas : (float, float)
        :math:`\beta_1, \beta_2`, the memory of the two averages.
    epsilon : float
        Keeps the denominator from 0.
    """

    slots: tuple[str, ...] = ("mean", "square")

    def __init__(
        self,
        parameters: Mapping[str, FloatArray],
        learning_rate: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        if not all(0 <= beta < 1 for beta in betas) or not epsilon >= 0:
            raise ValueError(
                f"betas are {betas} and epsilon {epsilon}, expected 0 <= beta < 1 and epsilon >= 0"
            )
        self.betas, self.epsilon = betas, epsilon
        super().__init__(parameters, learning_rate, weight_decay)

    def _update(self, parameters: FloatArray, gradients: FloatArray) -> None:
        if self.weight_decay:
            gradients = gradients + self.weight_decay * parameters
        beta1, beta2 = self.betas
        mean, square = self.averages["mean"], self.averages["square"]
        mean += (1 - beta1) * (gradients - mean)
        square *= beta2
        square += (1 - beta2) * gradients * gradients
        denominator = np.sqrt(square)
        denominator /= (1 - beta2**self.steps) ** 0.5
        denominator += self.epsilon
        np.divide(mean, denominator, out=denominator)
        denominator *= self.learning_rate / (1 - beta1**self.steps)
        parameters -= denominator


class AdamW(Adam):
    r"""Adam with decoupled weight decay (Loshchilov and Hutter 2019).

    :math:`\theta \leftarrow (1 - \eta\lambda)\theta` before Adam's own step: the pull towards 0
    does not pass through the averages. Parameters as in `Adam`; weight_decay defaults to 0.01.
    """

    def __init__(
        self,
        parameters: Mapping[str, FloatArray],
        learning_rate: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(parameters, learning_rate, betas=betas, epsilon=epsilon)
        if not weight_decay >= 0:
            raise ValueError(f"weight_decay is {weight_decay}, expected a number >= 0")
        self.decoupled_decay = weight_decay

    def _update(self, parameters: FloatArray, gradients: FloatArray) -> None:
        parameters *= 1 - self.learning_rate * self.decoupled_decay
        super()._update(parameters, gradients)
