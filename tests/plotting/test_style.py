import ast
import inspect
import pkgutil
from importlib import import_module

import matplotlib as mpl

from mnist_course import plotting


def test_the_style_is_light_opaque_legible_and_readable_in_grey(grey):
    assert mpl.colors.to_rgba(mpl.rcParams["figure.facecolor"])[3] == 1
    assert grey(mpl.rcParams["figure.facecolor"]) > 0.95
    sizes = ["font.size", "axes.labelsize", "axes.titlesize", "xtick.labelsize", "legend.fontsize"]
    assert min(mpl.rcParams[size] for size in sizes) >= 9
    cycle = mpl.rcParams["axes.prop_cycle"].by_key()
    assert len({str(style) for style in cycle["linestyle"]}) == len(cycle["color"])
    assert max(map(grey, cycle["color"])) < 0.7


def test_nothing_in_the_package_shows_or_saves():
    rooms = [
        import_module(f"mnist_course.plotting.{room.name}")
        for room in pkgutil.iter_modules(plotting.__path__)
    ]
    called = {
        node.func.attr
        for module in rooms
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert len(rooms) >= 5
    assert "plot" in called
    assert not called & {"show", "savefig"}
