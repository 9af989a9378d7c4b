"""The benchmark of the pages counts what is transferred and finds the largest paint."""

import check_pages
import pages

PAGE = """<!doctype html><title>Slow</title><link rel="icon" href="data:,"><h1>Small</h1>
<script>
const picture = () => document.body.append(Object.assign(new Image(600, 400), {src: "late.svg"}));
setTimeout(picture, 300);
</script>"""
PADDING = "Chromium takes a picture of few bytes for a background. " * 400
SVG = f"""<svg xmlns="http://www.w3.org/2000/svg" width="600" height="400">
<rect width="600" height="400"/><!-- {PADDING} -->"""


def test_bytes_requests_and_the_latest_largest_paint_are_reported(tmp_path):
    (tmp_path / "slow.html").write_text(PAGE, encoding="utf-8")
    (tmp_path / "late.svg").write_text(SVG + "</svg>", encoding="utf-8")
    with check_pages.serve(tmp_path) as home, check_pages.launch() as browser:
        found = pages.open_page(browser, home + "slow.html")
    assert found["requests"] == 2
    assert len(PAGE) + len(SVG) < found["bytes"] < len(PAGE) + len(SVG) + 1000
    assert found["paint_seconds"] >= 0.3  # the picture is there no earlier
