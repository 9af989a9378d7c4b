import pytest

from mnist_course.errors import InputError
from mnist_course.history import History


def test_a_saved_history_is_read_back(tmp_path):
    history = History([0.5, 0.25], [0.8, 0.9], seconds=[1.0, 2.0], settings={"seed": 3}, best_epoch=2)
    history.save(tmp_path / "history.json")
    assert History.load(tmp_path / "history.json") == history
    assert len(history) == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"train_loss": 3}',
        '{"train_loss": [1], "train_accuracy": [1, 2]}',
        '{"train_loss": ["x"]}',
        '{"unknown": []}',
        '{"settings": []}',
    ],
)
def test_other_json_is_refused(text, tmp_path):
    (tmp_path / "history.json").write_text(text)
    with pytest.raises(InputError, match="not a training history"):
        History.load(tmp_path / "history.json")
