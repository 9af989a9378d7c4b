"""Measured numbers in prose, and where each of them comes from.

    python tools/lint_numbers.py README.md book/*.md chapters/*.ipynb

A share, a spread, a ratio, a time, a size in bytes or a decimal fraction goes stale without a sign when
the code behind it changes. So in a notebook's text, captions included, such a number must occur in the
source or in an output of a code cell. On any other page it is followed by a comment that names its place
in benchmarks/results and the format that makes it:

    98.8 %<!-- lenet5_adam: variants["LeNet-5, Adam"].test_accuracy.mean, .1% -->

Numbers that nobody measured, such as a confidence level or an example's, are listed with the reason in
a comment of the same cell or page, and quotations, formulas and sentences with a citation are exempt:

    <!-- given: 95 %, 0.1 points; the level and the example of the text -->
"""

import json
import re
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from lint_notebooks import output_text
from nbformat import NotebookNode

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"

NUMBER = r"(?:\d{1,3}(?:[,_]\d{3})+|\d+)(?:\.\d+)?"
SEVERAL = rf"(?<![\w.,])(?:{NUMBER}\s?(?:–|-|to|or|and|±)\s?)*±?\s?{NUMBER}"
# What a unit makes of a bare number in an output or in code: the factors that lead to the prose's.
UNITS: dict[str, tuple[str, ...]] = {
    r"%|per ?cent\b|(?:percentage )?points?\b": ("1", "100"),
    r"(?:ns|nanoseconds?)\b": ("1", "1e9"),
    r"(?:µs|us|microseconds?)\b": ("1", "1e6"),
    r"(?:ms|milliseconds?)\b": ("1", "1e3"),
    r"(?:s|seconds?)\b": ("1",),
    r"(?:minutes?)\b": ("1", str(1 / 60)),
    r"(?:hours?)\b": ("1", str(1 / 3600)),
    r"(?:[kK]i?B|kilobytes?)\b": ("1", "1e-3", str(2**-10)),
    r"(?:Mi?B|megabytes?)\b": ("1", "1e-6", str(2**-20)),
    r"(?:Gi?B|gigabytes?)\b": ("1", "1e-9", str(2**-30)),
    r"GFLOP(?:/s|s)?\b": ("1", "1e-9"),
    r"×(?!\s?[\d$*{])|(?:times|-?fold)\b": ("1",),
}
MEASURED = re.compile(
    "|".join(f"(?P<unit{index}>{SEVERAL}\\s?(?:{unit}))" for index, unit in enumerate(UNITS))
    # a spread without a unit, and a fraction such as an accuracy or a loss
    + rf"|(?P<plain>{NUMBER}\s?±\s?{NUMBER}|±\s?{NUMBER}|(?<![\w.,])\d+\.\d{{2,}}(?!\w|\.\d))"
)
EVIDENCE = re.compile(
    rf"(?<![\w.])(?P<number>{NUMBER}|\.\d+)(?:[eE](?P<power>[-+]?\d+))?(?P<percent>\s?%(?!\w))?"
)
ROUGHLY = re.compile(r"(?:about|around|roughly|some|nearly|almost|≈)\s?$")

SIGNS = {"{,}": ",", r"\,": " ", r"\%": "%", r"\pm": "±", r"\times": "×", r"\approx": "≈"}
"""How TeX writes what may stand around a number."""

CAPTIONS = [("figure", "caption"), ("image", "alt")]
"""Where a code cell's metadata hold text that readers of the book see or hear."""

MARK = re.compile(
    r"<!--\s*(?P<name>\w+): (?P<path>.+?)(?: \* (?P<factor>[\d.e+-]+))?, (?P<format>\S+)\s*-->"
)
GIVEN = re.compile(r"<!--\s*given: (?P<numbers>[^;]+); (?P<reason>[^;]+?)\s*-->")
STEP = re.compile(r'\.?(?:\["(?P<key>[^"]+)"\]|\[(?P<index>\d+)\]|(?P<name>\w+))')


class Claim(NamedTuple):
    """A measured number as the prose has it."""

    number: str
    """As written, without thousands separators."""
    unit: str
    """The key of `UNITS`, or empty."""
    text: str
    """The phrase it stands in."""
    roughly: bool
    """Whether "about" or the like stands before it."""
    end: int
    """Where the phrase ends in the text that was searched."""


def claims(prose: str) -> Iterator[Claim]:
    """Yield the measured numbers of a text that `readable` has prepared."""
    units = list(UNITS)
    for match in MEASURED.finditer(prose):
        unit = "" if match.lastgroup == "plain" else units[int(match.lastgroup.removeprefix("unit"))]
        roughly = bool(ROUGHLY.search(prose[: match.start()]))
        for number in re.findall(NUMBER, match[0]):
            written = re.sub("[,_]", "", number)
            yield Claim(written, unit, match[0].strip(), roughly, match.end())


def readable(markdown: str) -> str:
    """Return what a page says in its own words; everything else becomes spaces, so places stay."""

    def blank(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match[0])

    def link_text(match: re.Match[str]) -> str:
        return f" {match['text']} ".ljust(len(match[0]))

    def number_in_math(match: re.Match[str]) -> str:
        text = match[1]
        for command, sign in SIGNS.items():
            text = text.replace(command, sign)
        plain = re.fullmatch(r"[\d.,%±×≈<>≤≥ ]*", text)
        return (text if plain else "").ljust(len(match[0]))

    text = re.sub(r"(?ms)^ *(`{3,})(?!\{|mermaid)[^\n]*\n.*?^ *\1 *$", blank, markdown)
    text = re.sub(r"(?s)<!--.*?-->", blank, text)
    text = re.sub(r"(?s)\$\$.*?\$\$", blank, text)
    text = re.sub(r"\$([^$\n]+)\$", number_in_math, text)
    sentences = re.compile(r"[^\n]+?(?:[.!?](?=[\s)*\"”])|$|\n)", re.MULTILINE)
    text = sentences.sub(lambda m: blank(m) if "{cite:" in m[0] else m[0], text)
    text = re.sub(r"`[^`\n]*`", blank, text)
    text = re.sub(r"!?\[(?P<text>[^\]]*)\]\([^)]*\)", link_text, text)
    text = re.sub(r"</?[a-zA-Z][^>\n]*>|https?://\S+|arXiv:\S+", blank, text)
    text = re.sub(r"\"[^\"\n]*\"|“[^”\n]*”", blank, text)
    return re.sub(
        r"(?:Python|version|section|chapter|CC BY(?:-SA)?) (?:\d+\.\d+(?: to )?)+", blank, text
    )


def given(markdown: str) -> set[str]:
    """Return the numbers that comments of the page declare to be no measurements."""
    listed = (match["numbers"] for match in GIVEN.finditer(markdown))
    return {re.sub("[,_]", "", number) for text in listed for number in re.findall(NUMBER, text)}


def lint_notebook(notebook: NotebookNode) -> list[str]:
    """Return the measured numbers of the text that no code cell holds, one line per finding.

    A question ("> **Predict.**") may assume any number, and the answer folded below it may repeat it.
    """
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    evidence = [
        token
        for cell in code
        for token in tokens("\n".join([cell.source, *map(output_text, cell.outputs)]))
    ]
    findings, assumed = [], set()
    for cell in notebook.cells:
        text = cell.source if cell.cell_type == "markdown" else figure_text(cell)
        question = "\n".join(re.findall(r"(?m)^> .*$", text))
        if question or "<details>" not in text:
            assumed = set(re.findall(NUMBER, readable(question)))
        exempt = assumed | given(text)
        rest = re.sub(r"(?m)^> .*$", "", text)
        findings += [
            f"cell {cell.id}: no code cell or output holds {claim.text!r}"
            for claim in claims(readable(rest))
            if claim.number not in exempt and not any(supports(token, claim) for token in evidence)
        ]
    return findings


def figure_text(cell: NotebookNode) -> str:
    """Return the caption and the alt text of a code cell's figure."""
    settings = cell.metadata.get("mystnb", {})
    return "\n".join([settings.get(part, {}).get(key, "") for part, key in CAPTIONS])


class Token(NamedTuple):
    """A number in a cell's code or output."""

    value: Decimal
    percent: bool
    """Whether a percent sign follows it."""
    asserted: bool
    """Whether it stands in an assertion, which may count in percent without saying so."""


def tokens(text: str) -> Iterator[Token]:
    """Yield every number of a cell's source and outputs."""
    for line in text.splitlines():
        asserted = line.lstrip().startswith("assert ")
        for match in EVIDENCE.finditer(line):
            value = Decimal(re.sub("[,_]", "", match["number"])).scaleb(int(match["power"] or 0))
            yield Token(value, bool(match["percent"]), asserted)


def supports(token: Token, claim: Claim) -> bool:
    """Tell whether the number in a cell is the one in the text, rounded as it is there."""
    factors = UNITS.get(claim.unit, ("1",))
    if claim.unit.startswith("%"):
        if token.percent:
            factors = ("1",)
        elif token.value == token.value.to_integral_value() and not token.asserted:
            return False  # a bare 12 is no 12 %
    return any(equal(token.value * Decimal(factor), claim) for factor in factors)


def equal(value: Decimal, claim: Claim) -> bool:
    """Tell whether `value` rounds to the claim; "about 40" is rounded to tens."""
    number = Decimal(claim.number)
    decimals = -number.as_tuple().exponent
    if claim.roughly and decimals == 0:
        decimals -= len(claim.number) - len(claim.number.rstrip("0"))
    return abs(value - number) <= Decimal(5).scaleb(-decimals - 1)


def lint_page(markdown: str, results: Path = RESULTS) -> list[str]:
    """Return the measured numbers of a page without, or at odds with, the comment that sources them."""
    findings, sourced = [], set()
    text, exempt = readable(markdown), given(markdown)
    marks = list(MARK.finditer(markdown))
    for mark in marks:
        try:
            value = look_up(mark, results)
        except (OSError, KeyError, IndexError, TypeError, ValueError) as error:
            findings.append(f"{mark[0]} leads nowhere: {error!r}")
            continue
        units = "|".join(UNITS)
        written = re.search(rf"({NUMBER}(?:\s?%)?)\s?(?:{units})?\s?$", markdown[: mark.start()])
        if written is None or re.sub(r"\s", "", written[1]) != value:
            findings.append(f"the number before {mark[0]} is not {value}")
        sourced.add(mark.start())
    for claim in claims(text):
        beside = min((start for start in sourced if start >= claim.end - 1), default=None)
        direct = beside is not None and not markdown[claim.end : beside].strip(" %")
        if claim.number not in exempt and not direct:
            findings.append(f"{claim.text!r} has no source; name its results file in a comment")
    comments = re.findall(r"(?s)<!--.*?-->", markdown)
    unread = (text for text in comments if not (MARK.fullmatch(text) or GIVEN.fullmatch(text)))
    return findings + [f"{comment} is neither a source nor 'given'" for comment in unread]


def look_up(mark: re.Match[str], results: Path) -> str:
    """Return the number that a comment names, as it must be written."""
    value: Any = json.loads((results / f"{mark['name']}.json").read_text(encoding="utf-8"))
    position = 0
    while position < len(mark["path"]):
        step = STEP.match(mark["path"], position)
        if step is None:
            raise ValueError(f"cannot read {mark['path'][position:]!r}")
        key = int(step["index"]) if step["index"] else step["key"] or step["name"]
        value, position = value[key], step.end()
    return format(value * float(mark["factor"] or 1), mark["format"])


def main(paths: list[str]) -> int:
    """Print every finding; return the number of files that have one."""
    faulty = 0
    for path in map(Path, paths):
        if path.suffix == ".ipynb":
            findings = lint_notebook(nbformat.read(path, as_version=4))
        else:
            findings = lint_page(path.read_text(encoding="utf-8"))
        faulty += bool(findings)
        for finding in findings:
            print(f"{path.name}: {finding}")
    return faulty


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1:])))
