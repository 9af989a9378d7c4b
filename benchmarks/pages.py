"""What a reader's browser transfers for each page of the built book, and when it has painted most of it.

Every page is opened in Chromium, which keeps nothing from one page to the next, from a server on this
machine. The largest contentful paint is the moment after which the largest text or picture of the window
no longer changes, as the browser itself reports it; the window is a laptop's.

    make book && python benchmarks/pages.py
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import measure

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

import check_pages
from playwright.sync_api import Browser

ROUNDS = 3
OBSERVE = """
window.paints = [];
new PerformanceObserver((list) => window.paints.push(...list.getEntries().map((one) => one.startTime)))
  .observe({type: "largest-contentful-paint", buffered: true});
"""

PAINTED = """async () => {
  const pictures = [...document.images].filter((one) => one.complete);
  await Promise.allSettled(pictures.map((one) => one.decode()));
  for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
  await new Promise((reported) => setTimeout(reported, 200));
}"""
"""The browser reports a paint some time after it."""


def open_page(browser: Browser, address: str) -> dict[str, Any]:
    """Return the bytes and the requests of one page, and its largest contentful paint in seconds."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.add_init_script(OBSERVE)
    page = context.new_page()
    sizes = check_pages.weigh(page)
    page.goto(address)
    page.wait_for_function(check_pages.ARRIVED)
    page.wait_for_load_state("networkidle")
    page.evaluate(PAINTED)
    page.wait_for_function("window.paints.length > 0")
    paint = page.evaluate("window.paints.at(-1)")
    context.close()
    return {"bytes": sum(sizes), "requests": len(sizes), "paint_seconds": paint / 1000}


def main() -> None:
    """Open the pages in turn, round after round, and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="default: %(default)s")
    rounds = parser.parse_args().rounds
    names = check_pages.pages()
    if not names:
        sys.exit("book/_build/html has no pages: `make book` builds them")
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    with check_pages.serve(check_pages.SITE) as home, check_pages.launch() as browser:
        version = browser.version
        for number in range(rounds):
            print(f"round {number + 1}/{rounds}", file=sys.stderr)
            for name in names:
                runs[name].append(open_page(browser, home + name))
    pages = {
        name: {
            "bytes": max(run["bytes"] for run in opened),
            "requests": max(run["requests"] for run in opened),
            "paint_seconds": measure.spread([run["paint_seconds"] for run in opened]),
        }
        for name, opened in runs.items()
    }
    body = {"browser": f"Chromium {version}", "budget_bytes": check_pages.BUDGET, "pages": pages}
    measure.write("pages", body, ["mnist-course", "numpy", "playwright", "jupyter-book"])
    rows = [
        [name, f"{page['bytes']:,}", str(page["requests"]), f"{page['paint_seconds']['median']:.2f}"]
        for name, page in pages.items()
    ]
    print(measure.table(["page", "bytes", "requests", "paint_seconds"], rows))


if __name__ == "__main__":
    main()
