"""`conv2d` and its gradients equal PyTorch's on drawn shapes, and refuse what does not fit."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from mnist_course.scratch import conv, conv2d, conv2d_backward, conv_rows
from mnist_course.scratch.geometry import resolve


@pytest.fixture(scope="module", autouse=True)
def pytorch_without_onednn():
    """PyTorch 2.15 with oneDNN reads past the row's end for some shapes with one channel.

    F.conv2d of a (3, 1, 3, 5) float32 image, permuted from channels last, with a 2x4 kernel and
    stride (1, 2) returns what lies behind it in memory; without oneDNN it is right.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the switch itself warns about Intel GPUs
        with torch.backends.mkldnn.flags(enabled=False):
            yield


TOLERANCE = {"float64": 1e-9, "float32": 1e-4}
METHODS = ["im2col", "loops", "fft"]


@st.composite
def cases(draw, largest=4):
    """Sizes of one convolution; the image is never smaller than the dilated kernel."""
    kernel = draw(st.tuples(st.integers(1, largest), st.integers(1, largest)))
    dilation = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    stride = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    side = st.tuples(st.integers(0, 3), st.integers(0, 3))
    padding = draw(st.tuples(side, side))
    size = []
    for k, d, p in zip(kernel, dilation, padding, strict=True):
        smallest = max(d * (k - 1) + 1 - sum(p), 1)
        size.append(draw(st.integers(smallest, smallest + 6)))
    batch, channels, outputs = (draw(st.integers(1, 3)) for _ in range(3))
    return (batch, *size, channels), (*kernel, channels, outputs), stride, padding, dilation


BATCH_1 = ((1, 5, 7, 2), (3, 3, 2, 3), (1, 1), ((0, 0), (0, 0)), (1, 1))
KERNEL_IS_IMAGE = ((2, 5, 4, 1), (5, 4, 1, 3), (1, 1), ((0, 0), (0, 0)), (1, 1))
STRIDE_ABOVE_KERNEL = ((2, 9, 9, 2), (2, 2, 2, 1), (3, 4), ((0, 1), (2, 0)), (1, 1))
PYTORCH_BUG = ((3, 3, 5, 1), (2, 4, 1, 1), (1, 2), ((0, 0), (0, 0)), (1, 1))
DILATION_3 = ((2, 11, 9, 2), (3, 2, 2, 2), (1, 2), ((1, 2), (0, 3)), (3, 3))


def arrays(image_shape, kernel_shape, dtype):
    rng = np.random.default_rng(0)
    images, kernels, bias = (
        rng.uniform(-1, 1, shape).astype(dtype)
        for shape in (image_shape, kernel_shape, kernel_shape[-1:])
    )
    return images, kernels, bias


def torch_conv2d(images, kernels, bias, stride, padding, dilation):
    """The same convolution by PyTorch, as tensors that know their gradients."""
    (top, bottom), (left, right) = padding
    inputs = [torch.tensor(array, requires_grad=True) for array in (images, kernels, bias)]
    padded = F.pad(inputs[0].permute(0, 3, 1, 2), (left, right, top, bottom)).contiguous()
    weights = inputs[1].permute(3, 2, 0, 1).contiguous()
    out = F.conv2d(padded, weights, inputs[2], stride=stride, dilation=dilation)
    return out.permute(0, 2, 3, 1), inputs


@pytest.mark.parametrize("dtype", TOLERANCE)
@given(cases())
@example(BATCH_1)
@example(KERNEL_IS_IMAGE)
@example(STRIDE_ABOVE_KERNEL)
@example(DILATION_3)
@example(PYTORCH_BUG)
@settings(max_examples=100)
def test_value_and_every_gradient_equal_pytorch(dtype, case):
    image_shape, kernel_shape, stride, padding, dilation = case
    images, kernels, bias = arrays(image_shape, kernel_shape, dtype)
    expected, inputs = torch_conv2d(images, kernels, bias, stride, padding, dilation)
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    out = conv2d(images, kernels, bias, **options)
    assert out.dtype == dtype
    tolerance = TOLERANCE[dtype]
    np.testing.assert_allclose(out, expected.detach(), rtol=tolerance, atol=tolerance)
    d_out = np.random.default_rng(1).uniform(-1, 1, out.shape).astype(dtype)
    expected.backward(torch.tensor(d_out))
    for ours, theirs in zip(conv2d_backward(d_out, images, kernels, **options), inputs, strict=True):
        assert ours.dtype == dtype
        np.testing.assert_allclose(ours, theirs.grad, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("method", METHODS)
@given(cases(largest=3))
@settings(max_examples=25)
def test_every_method_computes_the_same(method, case):
    image_shape, kernel_shape, stride, padding, dilation = case
    images, kernels, bias = arrays(image_shape, kernel_shape, "float64")
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    expected, _ = torch_conv2d(images, kernels, bias, **options)
    out = conv2d(images, kernels, bias, method=method, **options)
    np.testing.assert_allclose(out, expected.detach(), rtol=1e-9, atol=1e-9)
    assert conv2d(*arrays(image_shape, kernel_shape, "float32"), method=method, **options).dtype == (
        np.float32
    )


@pytest.mark.parametrize("group_bytes", [1, conv_rows.GROUP_BYTES])
@given(case=cases())
@settings(max_examples=50)
def test_both_memory_orders_agree(group_bytes, case):
    image_shape, kernel_shape, stride, padding, dilation = case
    images, kernels, _ = arrays(image_shape, kernel_shape, "float64")
    geometry = resolve(image_shape[1:3], kernel_shape[:2], stride, padding, dilation)
    expected = conv.forward(images, kernels, geometry)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conv_rows, "GROUP_BYTES", group_bytes)
        np.testing.assert_allclose(
            conv_rows.forward(images, kernels, geometry), expected, rtol=1e-12, atol=1e-12
        )
        ours = conv_rows.backward(expected, images, kernels, geometry)
    theirs = conv.backward(expected, images, kernels, geometry)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    _, alone = conv_rows.backward(expected, images, kernels, geometry, input_gradient=False)
    np.testing.assert_allclose(alone, theirs[1], rtol=1e-12, atol=1e-12)


def test_many_channels_go_through_the_rows(monkeypatch):
    images, kernels, bias = arrays((2, 6, 6, conv.MANY_CHANNELS), (3, 3, 16, 2), "float64")
    expected, _ = torch_conv2d(images, kernels, bias, 1, ((0, 0), (0, 0)), 1)
    np.testing.assert_allclose(conv2d(images, kernels, bias), expected.detach(), rtol=1e-9, atol=1e-9)
    monkeypatch.setattr(conv_rows, "forward", None)
    with pytest.raises(TypeError):
        conv2d(images, kernels, bias)


def test_small_bands_change_nothing(monkeypatch):
    images, kernels, bias = arrays((2, 12, 9, 2), (3, 3, 2, 4), "float64")
    options = {"stride": (2, 1), "padding": (1, 2), "dilation": 1}
    options["padding"] = ((1, 2), (0, 1))
    whole = conv2d(images, kernels, bias, **options)
    d_out = np.random.default_rng(2).standard_normal(whole.shape)
    expected = conv2d_backward(d_out, images, kernels, **options)
    monkeypatch.setattr(conv, "BAND_BYTES", 1)
    np.testing.assert_allclose(conv2d(images, kernels, bias, **options), whole, rtol=1e-12)
    for ours, theirs in zip(conv2d_backward(d_out, images, kernels, **options), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [(7, 9), (8, 8), (28, 28)])
@pytest.mark.parametrize("kernel", [(1, 1), (2, 3), (5, 4)])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_padding_is_that_of_keras(size, kernel, stride):
    """The rule as TensorFlow documents it: ceil(n / stride) outputs, the odd zero goes after."""
    geometry = resolve(size, kernel, stride, "same")
    for axis in (0, 1):
        assert geometry.output[axis] == -(-size[axis] // stride)
        before, after = geometry.padding[axis]
        assert before <= after <= before + 1
        used = (geometry.output[axis] - 1) * stride + kernel[axis]
        assert before + size[axis] + after == max(used, size[axis])


def test_same_padding_equals_pytorch_at_stride_1():
    images, kernels, bias = arrays((2, 7, 6, 2), (4, 3, 2, 3), "float64")
    theirs = F.conv2d(
        torch.tensor(images).permute(0, 3, 1, 2),
        torch.tensor(kernels).permute(3, 2, 0, 1),
        torch.tensor(bias),
        padding="same",
        dilation=2,
    )
    ours = conv2d(images, kernels, bias, padding="same", dilation=2)
    np.testing.assert_allclose(ours, theirs.permute(0, 2, 3, 1), rtol=1e-9, atol=1e-9)


def test_valid_and_integers_are_spellings_of_pairs():
    images, kernels, _ = arrays((1, 6, 6, 1), (3, 3, 1, 1), "float64")
    assert (conv2d(images, kernels, padding="valid") == conv2d(images, kernels)).all()
    two = conv2d(images, kernels, padding=2, stride=2)
    assert (two == conv2d(images, kernels, padding=((2, 2), (2, 2)), stride=(2, 2))).all()


def test_two_runs_give_the_same_bits():
    images, kernels, bias = arrays((64, 28, 28, 3), (5, 5, 3, 6), "float32")
    first, again = (conv2d(images, kernels, bias, padding=2) for _ in range(2))
    assert first.tobytes() == again.tobytes()
    for a, b in zip(
        conv2d_backward(first, images, kernels, padding=2),
        conv2d_backward(first, images, kernels, padding=2),
        strict=True,
    ):
        assert a.tobytes() == b.tobytes()


def test_the_memory_order_of_the_images_does_not_matter():
    images, kernels, bias = arrays((4, 8, 8, 3), (3, 3, 3, 5), "float64")
    turned = np.ascontiguousarray(images.transpose(3, 1, 2, 0)).transpose(3, 1, 2, 0)
    assert (conv2d(turned, kernels, bias) == conv2d(images, kernels, bias)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernels": np.ones((3, 3, 3, 1))}, r"3 input channels but the images have 1; pass kernels"),
        ({"images": np.ones((1, 2, 2, 1))}, r"covers 3x3 pixels but the padded image has only 2x2"),
        ({"dilation": 3}, r"covers 7x7 pixels"),
        ({"stride": 0}, r"stride is 0, expected an integer of at least 1"),
        ({"stride": (1, 2, 3)}, r"stride is \(1, 2, 3\)"),
        ({"stride": 1.5}, r"stride is 1.5"),
        ({"dilation": True}, r"dilation is True"),
        ({"padding": -1}, r"padding is -1"),
        ({"padding": "full"}, r"padding is 'full', expected an integer >= 0, 'same'"),
        ({"images": np.ones((1, 6, 6, 1), np.uint8)}, r"dtype uint8, expected float32 or float64"),
        ({"images": np.ones((1, 6, 6, 1), np.float32)}, r"images is float32, kernels is float64"),
        ({"images": np.ones((6, 6, 1))}, r"images has 3 axes .* expected 4: \(N, H, W, C\)"),
        ({"images": [[1.0]]}, r"images is a list, expected a NumPy array"),
        ({"kernels": np.ones((3, 3, 1, 0))}, r"expected every size to be >= 1"),
        ({"images": np.ones((0, 6, 6, 1))}, r"expected every size to be >= 1"),
        ({"bias": np.ones(2)}, r"bias has shape \(2,\), expected \(1,\)"),
        ({"method": "magic"}, r"method is 'magic', expected 'im2col', 'loops' or 'fft'"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    arguments = {"images": np.ones((1, 6, 6, 1)), "kernels": np.ones((3, 3, 1, 1))} | change
    with pytest.raises(ValueError, match=message):
        conv2d(**arguments)


def test_a_gradient_of_another_shape_is_refused():
    images, kernels, _ = arrays((2, 6, 6, 1), (3, 3, 1, 2), "float64")
    with pytest.raises(ValueError, match=r"d_out has shape \(2, 6, 6, 2\), expected \(2, 4, 4, 2\)"):
        conv2d_backward(np.ones((2, 6, 6, 2)), images, kernels)
