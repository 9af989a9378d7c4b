"""Whatever a page offers to open elsewhere is in the repository; what it offers to download is there."""

import re
import subprocess
from functools import cache
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import check_pages
import nbformat
import pytest
import yaml

ROOT = Path(__file__).parents[2]
CONFIG = yaml.safe_load((ROOT / "book" / "_config.yml").read_text(encoding="utf-8"))
REPOSITORY = urlsplit(CONFIG["repository"]["url"]).path.strip("/")
BRANCH = CONFIG["repository"]["branch"]
HOSTS = ("github.com", "colab.research.google.com", "mybinder.org")
CHAPTERS = sorted(path.stem for path in (ROOT / "chapters").glob("*.ipynb"))
LINK = re.compile(r'<a\b[^>]*?\bhref="([^"]+)"')


@cache
def tree() -> frozenset[str]:
    """Every file that a checkout of this commit, or of the next one, has."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return frozenset(name for name in listed if (ROOT / name).is_file())


def target(address: str) -> str | None:
    """The file of the repository that an address opens; nothing if it is the repository itself."""
    parts = urlsplit(address.replace("&amp;", "&"))
    path = parts.path.strip("/")
    if parts.hostname == "mybinder.org":
        assert path == f"v2/gh/{REPOSITORY}/{BRANCH}", address
        (opened,) = parse_qs(parts.query)["urlpath"]
        return opened.removeprefix("lab/tree/")
    path = path.removeprefix("github/") if parts.hostname != "github.com" else path
    assert path == REPOSITORY or path.startswith(f"{REPOSITORY}/"), address
    rest = path.removeprefix(REPOSITORY).strip("/")
    if rest in ("", "issues/new"):
        return None
    assert re.match(rf"(blob|tree|edit|raw)/{BRANCH}/", rest), address
    return unquote(rest.split("/", 2)[2])


def own_links(page: str) -> list[str]:
    text = (check_pages.SITE / page).read_text(encoding="utf-8")
    ours = [link for link in LINK.findall(text) if urlsplit(link).hostname in HOSTS]
    # text may cite other projects; buttons and badges name this one or open a notebook
    return [link for link in ours if REPOSITORY in link or "github.com" not in link]


@pytest.mark.parametrize("page", check_pages.pages() or ["no page: make book"])
def test_every_launcher_opens_a_file_of_the_repository(page):
    files = [target(link) for link in own_links(page)]
    assert [file for file in files if file is not None and file not in tree()] == []


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_opens_itself_in_colab_and_in_binder(chapter):
    links = own_links(f"chapters/{chapter}.html")
    for host in ("colab.research.google.com", "mybinder.org"):
        opened = {target(link) for link in links if urlsplit(link).hostname == host}
        assert opened == {f"chapters/{chapter}.ipynb"}, host


def test_binder_finds_an_environment():
    assert tree() & {"environment.yml", "binder/environment.yml", ".binder/environment.yml"}


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_downloads_as_the_notebook_of_the_repository(chapter):
    page = check_pages.SITE / "chapters" / f"{chapter}.html"
    links = [link for link in LINK.findall(page.read_text("utf-8")) if link.endswith(".ipynb")]
    files = {(page.parent / link).resolve() for link in links if not urlsplit(link).scheme}
    assert len(files) == 2, "the theme's button, and the badge"
    ours = nbformat.read(ROOT / "chapters" / f"{chapter}.ipynb", as_version=4)
    for file in files:
        assert nbformat.read(file, as_version=4) == ours


@pytest.mark.parametrize(
    "address",
    [
        f"https://mybinder.org/v2/gh/{REPOSITORY}/other?urlpath=lab/tree/README.md",
        "https://colab.research.google.com/github/some/one/blob/main/README.md",
        f"https://github.com/{REPOSITORY}/wiki",
    ],
)
def test_an_address_that_leads_elsewhere_is_found(address):
    with pytest.raises(AssertionError):
        target(address)
