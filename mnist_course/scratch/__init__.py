"""Convolutional networks in NumPy: every formula of the course, readable and tested.

Images are (N, H, W, C), float32 or float64. Nothing but NumPy is imported.

>>> import numpy as np
>>> network = lenet5(seed=0)
>>> network.forward(np.zeros((2, 28, 28, 1), np.float32)).shape
(2, 10)
"""

from mnist_course.schedules import cosine, one_cycle, step_decay
from mnist_course.scratch.activations import (
    log_softmax,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    softmax,
    softmax_backward,
    tanh,
    tanh_backward,
)
from mnist_course.scratch.conv import conv2d, conv2d_backward
from mnist_course.scratch.gradcheck import check_gradients, numerical_gradient
from mnist_course.scratch.layers import (
    AvgPool2D,
    Conv2D,
    Dense,
    Flatten,
    Layer,
    MaxPool2D,
    ReLU,
    Sigmoid,
    Tanh,
)
from mnist_course.scratch.losses import (
    binary_cross_entropy,
    binary_cross_entropy_gradient,
    cross_entropy,
    cross_entropy_and_gradient,
    cross_entropy_gradient,
    mean_squared_error,
    mean_squared_error_gradient,
)
from mnist_course.scratch.models import (
    dense_cnn,
    lenet5,
    simple_cnn,
    single_conv_cnn,
    small_cnn,
)
from mnist_course.scratch.network import Sequential
from mnist_course.scratch.optimizers import SGD, Adam, AdamW, Optimizer
from mnist_course.scratch.pooling import (
    avg_pool2d,
    avg_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
)
from mnist_course.scratch.regularization import BatchNorm, Dropout
from mnist_course.scratch.training import evaluate, fit, predict_probabilities

__all__ = [
    "SGD", "Adam", "AdamW", "AvgPool2D", "BatchNorm", "Conv2D", "Dense", "Dropout", "Flatten",
    "Layer", "MaxPool2D", "Optimizer", "ReLU", "Sequential", "Sigmoid", "Tanh", "avg_pool2d",
    "avg_pool2d_backward", "binary_cross_entropy", "binary_cross_entropy_gradient",
    "check_gradients", "conv2d", "conv2d_backward", "cosine", "cross_entropy",
    "cross_entropy_and_gradient", "cross_entropy_gradient", "dense_cnn", "evaluate", "fit",
    "lenet5", "log_softmax", "max_pool2d", "max_pool2d_backward", "mean_squared_error",
    "mean_squared_error_gradient", "numerical_gradient", "one_cycle", "predict_probabilities",
    "relu", "relu_backward", "sigmoid", "sigmoid_backward", "simple_cnn", "single_conv_cnn",
    "small_cnn", "softmax", "softmax_backward", "step_decay", "tanh", "tanh_backward",
]  # fmt: skip
