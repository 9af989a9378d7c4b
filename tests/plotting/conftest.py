import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from mnist_course import plotting


@pytest.fixture(autouse=True)
def _clean_slate():
    with mpl.rc_context():
        plotting.use_style()
        yield
    plt.close("all")


@pytest.fixture
def grey():
    """Luminance from 0 (black) to 1 (white), as a grey printer shows a colour."""
    return lambda colour: float(np.dot(mpl.colors.to_rgb(colour), (0.299, 0.587, 0.114)))
