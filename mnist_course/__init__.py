"""From Pixels to Fine-Tuning: convolutional networks on MNIST, three times over.

Importing this package imports NumPy and nothing heavier; a framework is loaded by the wing that needs
it: `mnist_course.scratch` (NumPy), `mnist_course.keras`, `mnist_course.pytorch`.
"""

from mnist_course.models import build

__version__ = "0.1.0"
__all__ = ["__version__", "build"]
