import pytest

from mnist_course.files import atomic_write


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "kept.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_write(path) as temporary:
        temporary.write_text("half of the new")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, OSError])
def test_any_interruption_removes_the_temporary_file(interruption, tmp_path):
    with pytest.raises(interruption), atomic_write(tmp_path / "new.npz") as temporary:
        assert temporary.suffix == ".npz"
        raise interruption
    assert not list(tmp_path.iterdir())


def test_the_written_file_is_complete_and_readable_by_others(tmp_path):
    with atomic_write(tmp_path / "folder" / "new.txt") as temporary:
        temporary.write_text("new")
    path = tmp_path / "folder" / "new.txt"
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o400
    (tmp_path / "plain.txt").touch()
    assert path.stat().st_mode == (tmp_path / "plain.txt").stat().st_mode
