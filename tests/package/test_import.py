"""What `import bequeath` costs: no large library before it is used."""

import json
import subprocess
import sys

import pytest

LARGE = (
    "torch",
    "scipy.stats",
    "scipy.optimize",
    "sklearn",
    "matplotlib",
    "pandas",
    "xarray",
    "zarr",
    "pydantic",
    "transformers",
)


@pytest.mark.parametrize(
    ("touch", "imported"),
    [
        ("bequeath.cli", []),  # so that --help does not wait
        ("bequeath.Game, bequeath.fit, bequeath.decompose, bequeath.compare", ["torch"]),
    ],
)
def test_names_import_no_more_than_they_need(touch, imported):
    code = (
        f"import json, sys, bequeath, bequeath.cli; {touch};"
        f"print(json.dumps([name for name in {LARGE} if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == imported
