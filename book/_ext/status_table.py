"""Sphinx extension: ``{status-table}`` shows what `make execute` measured, from a JSON file.

The file holds ``date``, ``hardware``, ``versions`` and ``notebooks``; without it
the page says how to make it.
"""

import json
from pathlib import Path, PurePosixPath
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

MISSING = (
    "No run has been recorded in this copy. `make execute` runs every notebook and writes the "
    "times, versions and hardware that this page shows."
)


class StatusTable(SphinxDirective):
    """Notebook times, package versions and hardware, read from the named file."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Write the tables as Markdown and let MyST parse them."""
        relative, path = self.env.relfn2path(self.arguments[0])
        self.env.note_dependency(relative)
        try:
            lines = status_markdown(json.loads(Path(path).read_text(encoding="utf-8")), self.env)
        except FileNotFoundError:
            lines = [MISSING]
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
            raise self.error(
                f"{relative} is not a status file ({error!r}); `make execute` writes it anew"
            ) from error
        return self.parse_text_to_nodes("\n".join(lines))


def status_markdown(status: dict[str, Any], env: Any) -> list[str]:
    """Return the lines of the page: notebooks, then hardware, then versions."""
    hardware = status["hardware"]
    notebooks = sorted(status["notebooks"].items())
    seconds = sum(run["seconds"] for _, run in notebooks)
    lines = [f"Recorded on {status['date']}, on one native thread.", ""]
    lines += ["| notebook | cells | seconds |", "| :--- | ---: | ---: |"]
    lines += [
        f"| {link(name, env)} | {run['cells']} | {run['seconds']:.1f} |" for name, run in notebooks
    ]
    lines += [f"| **together** | | **{seconds:.1f}** |", ""]
    lines += ["| hardware | of this run |", "| :--- | :--- |"]
    lines += [
        f"| processor | {hardware['cpu']} |",
        f"| cores | {hardware['cores']} |",
        f"| memory | {hardware['memory_gib']:.1f} GiB |",
        f"| system | {hardware['system']} |",
        "",
    ]
    lines += ["| package | version |", "| :--- | :--- |"]
    lines += [f"| {name} | {version} |" for name, version in sorted(status["versions"].items())]
    return lines


def link(name: str, env: Any) -> str:
    """Return a link to the notebook's page, or its plain name where it has none."""
    docname = PurePosixPath(name).with_suffix("").as_posix()
    return f"{{doc}}`/{docname}`" if docname in env.found_docs else f"`{name}`"


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the extension."""
    app.add_directive("status-table", StatusTable)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
