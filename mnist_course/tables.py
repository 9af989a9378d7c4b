"""An evaluation as a table: plain text for a terminal, HTML for a notebook."""

from html import escape
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mnist_course.evaluation import Evaluation

CELL = 14
"""Side of a square in the HTML picture of the mistakes, in CSS pixels."""


def text_table(result: "Evaluation") -> str:
    """Return accuracy with its interval, a line per class, and the mean over the classes."""
    low, high = result.interval()
    width = max(map(len, (*result.class_names, "class", "macro")))
    lines = [
        f"accuracy {result.accuracy:.4f}  (95 % interval {low:.4f} to {high:.4f},"
        f" {result.correct} of {len(result.labels)} images)",
        "",
        f"{'class':<{width}}  precision  recall      F1  images",
    ]
    for name, precision, recall, f1, support in _rows(result):
        lines.append(f"{name:<{width}}  {precision:9.4f}  {recall:6.4f}  {f1:6.4f}  {support:6d}")
    return "\n".join(lines)


def html_table(result: "Evaluation") -> str:
    """Return the same as HTML, with the mistakes as a small picture.

    No colour is set except ``currentColor``, so both parts follow the page's light or dark scheme.
    """
    low, high = result.interval()
    caption = (
        f"{result.correct:,} of {len(result.labels):,} images right: {result.accuracy:.2%},"
        f" 95 % interval {low:.2%} to {high:.2%}"
    )
    head = "".join(
        f'<th scope="col">{title}</th>' for title in ("class", "precision", "recall", "F1", "images")
    )
    body = "".join(_html_row(*row) for row in _rows(result))
    return (
        '<div style="display:flex;flex-wrap:wrap;gap:1.5em;align-items:center">'
        '<table class="dataframe">'
        f'<caption style="caption-side:top;text-align:start">{caption}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{_mistakes(result)}</div>"
    )


def _html_row(name: str, precision: float, recall: float, f1: float, support: int) -> str:
    texts = f"{precision:.4f}", f"{recall:.4f}", f"{f1:.4f}", f"{support:,}"
    cells = "".join(f'<td style="text-align:end;padding:0.1em 0.6em">{text}</td>' for text in texts)
    return f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>'


def _rows(result: "Evaluation") -> list[tuple[str, float, float, float, int]]:
    columns = [*result.per_class.values(), result.confusion.sum(axis=1)]
    return list(zip(result.class_names, *(column.tolist() for column in columns), strict=True))


def _mistakes(result: "Evaluation") -> str:
    """Draw the confusion matrix without its diagonal: the darker, the more often, in logarithm."""
    wrong = result.confusion.copy()
    np.fill_diagonal(wrong, 0)
    most = max(int(wrong.max()), 1)
    names = result.class_names
    left = 7 * max(map(len, names)) + 6
    side = CELL * len(names)
    marks = [
        f'<rect x="{left + CELL * column}" y="{CELL * row}" width="{CELL}" height="{CELL}"'
        f' fill-opacity="{0.15 + 0.85 * np.log1p(count) / np.log1p(most):.2f}">'
        f"<title>{escape(names[row])} taken for {escape(names[column])}: {count}</title></rect>"
        for (row, column), count in np.ndenumerate(wrong)
        if count
    ]
    words = [
        f'<text x="{left - 4}" y="{CELL * (row + 0.8)}" text-anchor="end">{escape(name)}</text>'
        for row, name in enumerate(names)
    ]
    if max(map(len, names)) <= 2:  # longer names would run into each other
        words += [
            f'<text x="{left + CELL * (column + 0.5)}" y="{side + 12}" text-anchor="middle">'
            f"{escape(name)}</text>"
            for column, name in enumerate(names)
        ]
    return (
        f'<svg role="img" width="{left + side + 1}" height="{side + 30}" fill="currentColor"'
        f' font-size="11" aria-label="Mistakes: true class down, predicted class across; at most {most}'
        f' in a cell"><rect x="{left}" width="{side}" height="{side}" fill="none" stroke="currentColor"'
        f' stroke-opacity="0.4"/>{"".join(marks)}{"".join(words)}'
        f'<text x="{left + side / 2}" y="{side + 27}" text-anchor="middle">predicted (true: left)</text>'
        "</svg>"
    )
