"""Draw the README's picture from a finished run: python scripts/readme_picture.py runs/demo docs/demo.svg"""

import argparse
from pathlib import Path

import matplotlib

from bequeath.report import scales
from bequeath.study.run import Run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("target", type=Path)
    args = parser.parse_args()
    with matplotlib.rc_context({"svg.hashsalt": "bequeath"}):
        figure = scales.share_scale(Run(args.run).findings, "preserved")
        figure.savefig(args.target, metadata={"Date": None}, bbox_inches="tight", facecolor="white")


if __name__ == "__main__":
    main()
