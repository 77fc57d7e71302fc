"""The documentation site: ``make docs`` builds it into docs/_build/html, without a network."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from pathlib import Path

# Code that the pages run takes one core, does not wait for idle threads, and looks for no network.
os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}
# Notebooks call bequeath as a reader does.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

from sphinx.application import Sphinx

import bequeath

HERE = Path(__file__).parent

project = "Bequeath"
author = "The Bequeath developers"
copyright = "The Bequeath developers, Apache-2.0"
release = version = bequeath.__version__

extensions = [
    "myst_nb",  # Markdown pages, and notebooks that are executed
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",  # docstrings in NumPy's style
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "sphinx-mathjax-offline",  # MathJax beside the pages: formulas need no network
]
exclude_patterns = ["_build", "gallery", "tutorials/*.ipynb", "tutorials/*.py"]
templates_path = ["_templates"]
html_theme = "furo"
html_title = "Bequeath"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False

# Markdown
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 4  # links to headings, as GitHub makes them
suppress_warnings = [
    "config.cache",  # sphinx-gallery's settings hold functions
]

# Notebooks: a cell that fails ends the build.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_execution_show_tb = True
# The pages are read, not run: progress and notes of libraries are no part of them.
nb_output_stderr = "remove"

# Tutorials: scripts that are executed, and offered as notebooks.
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "tutorials",
    "filename_pattern": r"\.py$",
    "within_subsection_order": "FileNameSortKey",
    "only_warn_on_example_error": False,
    "abort_on_example_error": True,
    "remove_config_comments": True,
    "capture_repr": ("_repr_html_",),
    "show_memory": False,
    "min_reported_time": 1,
    "download_all_examples": False,
}

# The reference, from docstrings
autosummary_generate = True
autodoc_typehints = "none"  # docstrings name the types, in the reader's words
autodoc_member_order = "bysource"
autodoc_default_options = {"show-inheritance": False}
napoleon_google_docstring = False
default_role = "py:obj"
# A link to a function or a module that is not there is an error; names of types in signatures may be anybody's.
nitpicky = True
nitpick_ignore_regex = [(r"py:(class|obj|exc|data|attr)", r".*")]

copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True


# A run's progress is no message of the build.
logging.getLogger("bequeath").setLevel(logging.ERROR)


def write_command_reference(app: Sphinx) -> None:
    """The command line's own help, as a page."""
    page = subprocess.run(
        [sys.executable, "-m", "typer", "bequeath.cli", "utils", "docs", "--name", "bequeath"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (HERE / "reference" / "commands.md").write_text(page.replace("# `bequeath`\n", "# Commands\n", 1))


_SIGNS = re.compile(r"(?<=[\w (])\*+(?=[\w)])|\|")


def as_prose(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Docstrings are prose: |T| and 2**n mean what they say, and are no markup. Code in backticks stays."""
    for i, line in enumerate(lines):
        parts = re.split(r"(``.*?``|`.*?`)", line)
        parts[::2] = [
            _SIGNS.sub(lambda signs: "".join("\\" + sign for sign in signs[0]), part) for part in parts[::2]
        ]
        lines[i] = "".join(parts)


def setup(app: Sphinx) -> None:
    """Sphinx calls this."""
    app.connect("autodoc-process-docstring", as_prose, priority=100)
    app.connect("builder-inited", write_command_reference)
