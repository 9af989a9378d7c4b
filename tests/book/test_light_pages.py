"""Formulas and diagrams are pictures, and what no page uses is left out."""

import re

import build_book
import check_pages
import draw_diagrams
import lean_site
import numpy as np
import pytest
import set_formulas
from fontTools.ttLib import TTFont
from PIL import Image

PAGE = r"""<body><p><span class="math notranslate nohighlight">\(x &lt; y^2\)</span> and
<span class="math notranslate nohighlight">\(x &lt; y^2\)</span></p>
<div class="math notranslate nohighlight" id="equation-one">
<span class="eqno">(1)<a class="headerlink" href="#equation-one">#</a></span>\[\begin{aligned}
a &amp;= b \\ &amp;= \sqrt{c}
\end{aligned}\]</div>
<div class="math notranslate nohighlight">
\begin{align}a &amp;= b\end{align}</div>
<pre>\(not a formula\)</pre></body>"""


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "page.html"
    path.write_text(PAGE, encoding="utf-8")
    return path


def test_formulas_are_found_as_sphinx_writes_them():
    lines = "\\begin{aligned}\na &= b \\\\ &= \\sqrt{c}\n\\end{aligned}"
    assert list(set_formulas.formulas(PAGE)) == [
        ("x < y^2", False),
        ("x < y^2", False),
        (lines, True),
        (r"\begin{align}a &= b\end{align}", True),
    ]


def test_formulas_become_pictures_that_can_be_read_out(page):
    set_formulas.set_formulas(page.parent, build_book.PACKAGES)
    text = page.read_text(encoding="utf-8")
    assert text.count("<mjx-container>") == 2
    assert text.count('<mjx-container display="true" tabindex="0">') == 2
    assert text.count("<msup><mi>y</mi><mn>2</mn></msup>") == 2
    assert text.count('id="formula-0"') == text.count('<use href="#formula-0"/>') == 1
    used, drawn = set(re.findall('href="#([^"]+)"', text)), set(re.findall('id="([^"]+)"', text))
    assert used - drawn == set()
    assert '<span class="eqno">(1)' in text
    assert r"<pre>\(not a formula\)</pre>" in text

    set_formulas.set_formulas(page.parent, build_book.PACKAGES)
    assert page.read_text(encoding="utf-8") == text


def test_a_mistake_in_a_formula_is_named_and_stops_the_build(page):
    page.write_text(PAGE.replace("y^2", r"\nosuchcommand{y}"), encoding="utf-8")
    with pytest.raises(SystemExit, match=r"nosuchcommand"):
        set_formulas.set_formulas(page.parent, build_book.PACKAGES)


def test_every_diagram_has_its_picture_and_no_picture_is_left_over():
    sources = {draw_diagrams.picture(source) for source in draw_diagrams.sources()}
    assert sources == set(draw_diagrams.DIAGRAMS.glob("*.svg"))
    assert len(sources) > 10


def test_every_picture_of_a_diagram_has_a_title_and_takes_its_colours_from_the_page():
    for path in draw_diagrams.DIAGRAMS.glob("*.svg"):
        picture = path.read_text(encoding="utf-8")
        assert "<title" in picture, path
        assert "<desc" in picture, path
        assert not re.search(r"#[0-9a-fA-F]{6}\b|hsl\(|rgb\(|<style|<script", picture), path


def test_no_page_loads_what_it_does_not_use():
    for name in check_pages.pages():
        text = (check_pages.SITE / name).read_text(encoding="utf-8")
        loaded = re.findall(r'<script [^>]*src="([^"]+)"', text)
        assert not [file for file in loaded if re.search("mathjax|mermaid|fontawesome", file)], name
        assert any("searchindex" in file for file in loaded) == (name == "search.html"), name


def test_styles_that_nothing_names_are_dropped(tmp_path):
    style = tmp_path / "sphinx-design.min.css"
    style.write_text(".sd-card{color:red}.sd-tab{color:blue}a:hover{color:green}", encoding="utf-8")
    lean_site.keep_used_styles(tmp_path, {"a", "sd-card"}, build_book.PACKAGES)
    assert style.read_text(encoding="utf-8") == ".sd-card{color:red}a:hover{color:green}"


STYLE = """
html[data-theme="light"] .highlight { background: #fff; color: #111 }
html[data-theme="light"] .highlight .n { color: #111 } /* Name */
html[data-theme="light"] .highlight .k { color: #111; font-weight: bold }
html[data-theme="light"] .highlight .o { color: #111 }
html[data-theme="dark"] .highlight { background: #222; color: #eee }
html[data-theme="dark"] .highlight .n { color: #eee }
html[data-theme="dark"] .highlight .o { color: #a00 }
html[data-theme="dark"] .highlight .k { color: #eee }
"""


def test_code_keeps_the_marks_that_a_theme_shows(tmp_path):
    page = tmp_path / "page.html"
    marked = '<pre><span class="k">if</span> <span class="n">x</span><span class="o">&lt;</span></pre>'
    page.write_text(marked, encoding="utf-8")
    plain = lean_site.plain_tokens(STYLE)
    assert plain == {"n"}
    lean_site.lighten_page(page, plain)
    assert page.read_text(encoding="utf-8") == marked.replace('<span class="n">x</span>', "x")


def test_the_icons_fonts_hold_every_glyph_that_a_rule_asks_for():
    static = check_pages.SITE / "_static"
    held = set()
    for path in (static / lean_site.FONTS).glob("*.ttf"):
        with TTFont(path) as font:
            held |= set(font.getBestCmap())
    styles = "".join(path.read_text("utf-8") for path in static.rglob("*.css"))
    asked = {int(code, 16) for code in re.findall(r'content:"\\([ef][0-9a-f]{3})"', styles)}
    assert len(asked) > 10
    assert asked - held == set()


def saved(path, pixels):
    Image.fromarray(pixels).save(path)
    return path, path.read_bytes()


def test_a_figure_of_few_colours_is_stored_small_and_looks_the_same(tmp_path):
    pixels = np.full((200, 300, 4), 255, np.uint8)
    pixels[50:150, :, 0] = 4 * np.random.default_rng(0).integers(0, 50, (100, 300))
    path, before = saved(tmp_path / "figure.png", pixels)
    lean_site.reduce_picture(path)
    assert len(path.read_bytes()) < len(before)
    moved = np.asarray(Image.open(path).convert("RGB"), int) - pixels[..., :3]
    assert abs(moved).max() <= 8


@pytest.mark.parametrize("kind", ["many colours", "transparent"])
def test_a_picture_that_would_change_stays_as_it_is(tmp_path, kind):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 4), np.uint8)
    pixels[..., 3] = 255 if kind == "many colours" else 128
    path, before = saved(tmp_path / "picture.png", pixels)
    lean_site.reduce_picture(path)
    assert path.read_bytes() == before
