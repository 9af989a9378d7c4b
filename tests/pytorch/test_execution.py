"""Other ways to carry out the same steps, and options of `fit` that only PyTorch's wing has.

No test here needs a GPU but those that say so: a step that would be recorded there runs as it is, on
the same static buffers and with the same optimizer.
"""

import functools

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mnist_course.data import epoch_order
from mnist_course.errors import InputError
from mnist_course.pytorch import execution, regularized, training
from mnist_course.pytorch.execution import PLAIN, Execution, Step
from mnist_course.pytorch.loaders import to_tensor

SMALL = {
    "epochs": 2,
    "batch_size": 64,
    "seed": 3,
    "progress": False,
    "device": "cpu",
}  # 600 = 9 · 64 + 24
NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def network(seed=1, **options):
    return regularized.build(**{"batch_norm": True, "seed": seed, **options})


def fit(data, *others, model=None, **options):
    model = model or network()
    history = training.fit(model, data, *others, **{**SMALL, **options})
    return model, history


def tensors(data):
    return to_tensor(data.images), torch.tensor(data.labels).long()


def difference(ours, theirs):
    states = ours.state_dict(), theirs.state_dict()
    return max((states[0][name].float() - states[1][name].float()).abs().max() for name in states[0])


@pytest.fixture
def pretended(monkeypatch):
    """Let the CPU take what needs CUDA: steps to be recorded are run, and fp16's loss is scaled."""
    recorded = []

    def record(run):
        recorded.append(run)
        return run

    monkeypatch.setattr(Execution, "require", lambda self, device: None)
    monkeypatch.setattr(execution, "aside", lambda run: run())
    monkeypatch.setattr(execution, "record", record)
    return recorded


def test_by_default_it_is_the_plain_loop_bit_for_bit(train_digits):
    ours, history = fit(train_digits, model=network(dropout=0.3))
    theirs = network(dropout=0.3).train()
    optimizer = torch.optim.Adam(theirs.parameters(), lr=1e-3)
    images, labels = tensors(train_digits)
    losses = []
    for epoch in range(SMALL["epochs"]):
        torch.manual_seed(int(np.random.SeedSequence([3, epoch]).generate_state(1)[0]))
        total = torch.zeros(())
        for batch in torch.from_numpy(epoch_order(600, seed=3, epoch=epoch)).split(64):
            loss = F.cross_entropy(theirs(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(batch)
        losses.append(total.item() / 600)
    assert history.train_loss == losses
    assert difference(ours, theirs) == 0


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_short_precision_stays_close_to_float32(train_digits, test_digits, pretended, precision):
    expected = fit(train_digits)[1]
    model, history = fit(train_digits, execution=Execution(precision))
    assert history.train_loss != expected.train_loss
    # bf16 keeps 8 bits of a number, so a loss near 2 is off by up to 1 % here and fp16's by less
    np.testing.assert_allclose(history.train_loss, expected.train_loss, rtol=0.01)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert training.predict_logits(model, test_digits.images).dtype == np.float32


def test_evaluation_is_in_float32_after_training_in_bf16(train_digits, test_digits):
    model, history = fit(train_digits, test_digits, execution=Execution("bf16"))
    other = network(seed=9)
    other.load_state_dict(model.state_dict())
    logits = training.predict_logits(other, test_digits.images)
    assert (training.predict_logits(model, test_digits.images) == logits).all()
    assert training.evaluate(other, test_digits).loss == history.validation_loss[-1]


def test_fp16s_loss_is_scaled_and_others_are_not(train_digits, pretended):
    def scale(precision):
        model, how = network(), Execution(precision)
        step = Step(model, how.optimizer(torch.optim.SGD, model, 0.1), how)
        step(*tensors(train_digits.subset(range(8))), 0.1)
        return step.scaler.get_scale()

    assert scale("fp16") >= 1024
    assert scale("bf16") == scale("float32") == 1


# Plain SGD where values are compared: Adam divides by the gradient's size, and makes large steps of the
# rounding errors that are all the gradient there is for a bias before batch normalisation.
SGD = {"optimizer": "sgd", "learning_rate": 0.05}


def same(ours, theirs):
    """Compare the models and histories of two runs that differ in the order of their sums."""
    np.testing.assert_allclose(ours[1].train_loss, theirs[1].train_loss, rtol=1e-4)
    assert difference(ours[0], theirs[0]) < 1e-3
    return True


def test_channels_last_gives_the_same_values(train_digits):
    expected = fit(train_digits, model=network(batch_norm=False), **SGD)
    how = Execution(channels_last=True)
    ours = fit(train_digits, model=network(batch_norm=False), execution=how, **SGD)
    layouts = [
        model.conv2.weight.is_contiguous(memory_format=torch.channels_last)
        for model, _ in (ours, expected)
    ]
    assert layouts == [True, False]
    assert same(ours, expected)


def test_batch_normalisation_in_channels_last_stays_close(train_digits):
    """On a CPU, PyTorch adds up the pixels of this layout one by one, and 50,000 floats lose digits."""
    expected = fit(train_digits, **SGD)[1]
    history = fit(train_digits, execution=Execution(channels_last=True), **SGD)[1]
    np.testing.assert_allclose(history.train_loss, expected.train_loss, rtol=0.01)


@pytest.mark.slow
def test_a_compiled_network_gives_the_same_values(train_digits):
    """Slow because it calls the C++ compiler, for half a minute where nothing is cached."""
    expected = fit(train_digits, model=network(batch_norm=False), **SGD)
    how = Execution(compile=True)
    assert same(fit(train_digits, model=network(batch_norm=False), execution=how, **SGD), expected)


def compiling(monkeypatch, backend):
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=backend))


def test_only_full_batches_are_compiled(train_digits, monkeypatch):
    shapes = []

    def note(module, inputs):
        shapes.extend(tuple(x.shape) for x in inputs if x.dim() == 4 and x.shape[1:] == (1, 28, 28))
        return module.forward

    expected = fit(train_digits)[1]
    compiling(monkeypatch, note)
    assert fit(train_digits, execution=Execution(compile=True))[1].train_loss == expected.train_loss
    assert shapes == [(64, 1, 28, 28)]


def test_a_compiler_that_fails_is_reported_in_one_line(train_digits, monkeypatch):
    def broken(module, inputs):
        raise OSError("no compiler")

    compiling(monkeypatch, broken)
    with pytest.raises(InputError, match="leave compile out"):
        fit(train_digits, execution=Execution(compile=True))


@pytest.mark.parametrize("schedule", ["constant", "one_cycle"])
def test_static_buffers_and_a_rate_on_the_device_give_the_same_values(train_digits, pretended, schedule):
    options = {**SGD, "schedule": schedule}
    expected = fit(train_digits, **options)
    assert same(fit(train_digits, execution=Execution(cuda_graph=True), **options), expected)
    assert len(pretended) == 1


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_adam_takes_the_same_steps_from_static_buffers(train_digits, pretended, optimizer):
    options = {"optimizer": optimizer, "model": network(batch_norm=False), "schedule": "cosine"}
    expected = fit(train_digits, **options)
    options["model"] = network(batch_norm=False)
    assert same(fit(train_digits, execution=Execution(cuda_graph=True), **options), expected)


def test_a_recording_reads_and_writes_the_same_memory_in_every_step(train_digits, pretended):
    model, how = network(), Execution(cuda_graph=True)
    step = Step(model, how.optimizer(torch.optim.Adam, model, 0.1), how)
    images, labels = tensors(train_digits)
    addresses, rates = set(), []
    update = step._update

    def watched(network, images, labels):
        (group,) = step.optimizer.param_groups
        rates.append(group["lr"].item())
        places = images, labels, group["lr"], step.total_loss, step.total_correct, *model.parameters()
        addresses.add(tuple(tensor.data_ptr() for tensor in places))
        update(network, images, labels)

    step._update = watched
    for number, batch in enumerate(torch.arange(600).split(64)[:-1]):
        step(images[batch], labels[batch], 0.1 / (1 + number))
        assert len(pretended) == (number >= execution.WARM_UP)
        if number == 5:
            step.reset()
    assert len(addresses) == 1
    assert rates == pytest.approx([0.1 / (1 + number) for number in range(9)])


def test_a_smaller_batch_is_neither_recorded_nor_replayed(train_digits, pretended):
    model, how = network(), Execution(cuda_graph=True)
    step = Step(model, how.optimizer(torch.optim.SGD, model, 0.1), how)
    images, labels = tensors(train_digits)
    for _ in range(execution.WARM_UP + 2):
        step(images[:64], labels[:64], 0.1)
        step(images[:10], labels[:10], 0.1)
    assert step.recording.steps == execution.WARM_UP + 2
    assert step.recording.images.shape == (64, 1, 28, 28)


def test_a_recorded_update_has_what_capturing_demands():
    for rule in training.OPTIMIZERS.values():
        optimizer = Execution(cuda_graph=True).optimizer(rule, network(), 0.1)
        (group,) = optimizer.param_groups
        assert group["fused"]
        assert isinstance(group["lr"], torch.Tensor)
        assert group.get("capturable", True)


@NEEDS_GPU
@pytest.mark.parametrize("how", [Execution(cuda_graph=True), Execution("bf16", True, True, True)])
def test_a_recorded_step_gives_the_same_values_on_a_gpu(train_digits, how):
    options = {"device": "cuda", "schedule": "one_cycle", "epochs": 3}
    expected = fit(train_digits, **options)[1]
    history = fit(train_digits, execution=how, **options)[1]
    np.testing.assert_allclose(history.train_loss, expected.train_loss, rtol=0.02)


@NEEDS_GPU
def test_fp16_trains_on_a_gpu(train_digits):
    expected = fit(train_digits, device="cuda")[1]
    history = fit(train_digits, device="cuda", execution=Execution("fp16"))[1]
    np.testing.assert_allclose(history.train_loss, expected.train_loss, rtol=0.02)


def test_label_smoothing_spreads_a_share_of_each_target(train_digits):
    images, labels = tensors(train_digits)
    with torch.no_grad():
        scores = network().train()(images).log_softmax(dim=1)
    target = 0.9 * F.one_hot(labels, 10) + 0.1 / 10
    expected = -(target * scores).sum(dim=1).mean().item()
    history = fit(train_digits, epochs=1, batch_size=600, label_smoothing=0.1)[1]
    assert history.train_loss[0] == pytest.approx(expected, rel=1e-5)


def test_label_smoothing_trains_towards_it(train_digits, test_digits):
    plain, smooth = (
        training.predict_probabilities(fit(train_digits, epochs=8, **options)[0], test_digits.images)
        for options in ({}, {"label_smoothing": 0.3})
    )
    assert smooth.max(axis=1).mean() < plain.max(axis=1).mean() - 0.1


def test_the_moving_average_is_the_one_computed_by_hand(train_digits):
    decay, how = 0.9, PLAIN
    model = network()
    step = Step(model.train(), how.optimizer(torch.optim.Adam, model, 1e-3), how)
    images, labels = tensors(train_digits)
    average = None
    for epoch in range(SMALL["epochs"]):
        for batch in torch.from_numpy(epoch_order(600, seed=3, epoch=epoch)).split(64):
            step(images[batch], labels[batch], 1e-3)
            now = {k: v.double() for k, v in model.state_dict().items()}
            if average is None:
                average = now
            average = {name: decay * average[name] + (1 - decay) * now[name] for name in now}
    averaged = fit(train_digits, ema=decay)[0].state_dict()
    counts = {name for name in averaged if name.endswith("num_batches_tracked")}
    assert counts
    for name in averaged.keys() - counts:  # weights, and batch normalisation's means and variances
        torch.testing.assert_close(averaged[name].double(), average[name], rtol=1e-5, atol=1e-6)
    assert difference(fit(train_digits)[0], fit(train_digits, ema=decay)[0]) > 1e-3


def test_validation_measures_the_average_and_the_model_holds_it(train_digits, test_digits):
    model, history = fit(train_digits, test_digits, ema=0.8)
    assert training.evaluate(model, test_digits).loss == history.validation_loss[-1]
    plain = fit(train_digits, test_digits)[1]
    assert history.train_loss == plain.train_loss  # training goes on with the weights themselves
    assert history.validation_loss != plain.validation_loss


def test_early_stopping_returns_to_the_best_average(train_digits, test_digits):
    model, history = fit(
        train_digits, test_digits, ema=0.5, epochs=30, learning_rate=0.1, batch_size=200, patience=1
    )
    assert history.best_epoch < len(history) < 30
    best = history.validation_loss[history.best_epoch - 1]
    assert training.evaluate(model, test_digits).loss == best


OPTIONS = {
    "smoothed": {"label_smoothing": 0.1},
    "averaged": {"ema": 0.9},
    "bf16": {"execution": Execution("bf16")},
    "fp16": {"execution": Execution("fp16")},
    "channels last": {"execution": Execution(channels_last=True)},
    "static": {"execution": Execution(cuda_graph=True), "ema": 0.9, "optimizer": "adamw"},
    "static sgd": {"execution": Execution(cuda_graph=True), "optimizer": "sgd"},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_a_resumed_run_equals_an_uninterrupted_one(train_digits, pretended, tmp_path, options):
    options = {**options, "batch_size": 128}
    whole, expected = fit(train_digits, model=network(dropout=0.3), epochs=3, **options)
    for epochs in (1, 2, 3):
        parts = network(seed=epochs, dropout=0.3)  # from the second on replaced by the checkpoint's
        history = fit(
            train_digits, model=parts, checkpoint=tmp_path, resume=True, **{**options, "epochs": epochs}
        )[1]
    assert history.train_loss == expected.train_loss
    assert difference(parts, whole) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_smoothing": 0.1}, r"label_smoothing was 0\.0 and is 0\.1"),
        ({"ema": 0.9}, r"ema was None and is 0\.9"),
        ({"execution": Execution("bf16")}, "execution was"),
    ],
)
def test_another_runs_checkpoint_is_refused(train_digits, tmp_path, options, message):
    common = {"checkpoint": tmp_path, "epochs": 1}
    fit(train_digits, **common)
    with pytest.raises(InputError, match=message):
        fit(train_digits, resume=True, **common, **options)


def test_the_history_says_how_it_was_made(train_digits):
    how = Execution("bf16", channels_last=True)
    settings = fit(train_digits, epochs=1, ema=0.9, label_smoothing=0.1, execution=how)[1].settings
    assert (settings["ema"], settings["label_smoothing"]) == (0.9, 0.1)
    assert Execution(**settings["execution"]) == how


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_smoothing": 1.0}, "label_smoothing is 1.0"),
        ({"label_smoothing": -0.1}, "label_smoothing is -0.1"),
        ({"ema": 1.0}, "ema is 1.0"),
        ({"ema": 0.0}, "ema is 0.0"),
        ({"execution": Execution("fp16")}, "fp16 needs a CUDA device and this is cpu"),
        ({"execution": Execution(cuda_graph=True)}, "cuda_graph needs a CUDA device"),
    ],
)
def test_unusable_options_are_refused(train_digits, options, message):
    with pytest.raises(InputError, match=message):
        fit(train_digits, **options)


def test_unknown_ways_are_refused():
    with pytest.raises(InputError, match="unknown precision 'int8'; choose one of float32, bf16, fp16"):
        Execution("int8")
    with pytest.raises(InputError, match="use bf16"):
        Execution("fp16", cuda_graph=True)
