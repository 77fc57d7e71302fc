"""Coverage-guided fuzzing of external input: study files, findings documents, state files.

    make fuzz                                              # ten minutes: all three
    python scripts/fuzz.py states --seconds 60             # one of them (needs atheris)

For any input, the readers must finish within ten seconds, and either accept it or raise a BequeathError. They must not
raise anything else or run code. Inputs that violate this are written to runs/fuzz; try one again by
`python scripts/fuzz.py states runs/fuzz/states-crash-...`.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import atheris

HERE = Path(__file__).resolve().parents[1]
ARTIFACTS = HERE / "runs" / "fuzz"
# Compiled code cannot be instrumented, and need not be, because it never sees external input.
WATCHED = [
    "bequeath.study.config",
    "bequeath.report",
    "bequeath.models",
    "bequeath.printable",
    "bequeath.cli",
]

with atheris.instrument_imports(include=WATCHED, enable_loader_override=False):
    import torch
    from safetensors.torch import save

    from bequeath.cli.net import of_file
    from bequeath.errors import BequeathError
    from bequeath.models.state_files import read_state
    from bequeath.report.page import render
    from bequeath.report.terminal import show_findings
    from bequeath.study.config import load_study
    from bequeath.study.store.folder import read_object

# Events that code from a file would cause first.
BARRED = {
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "subprocess.Popen",
    "socket.connect",
    "shutil.rmtree",
}
ODD: list[Any] = [
    None, True, -1, 0, 2**70, 1e308, float("nan"), float("inf"), "", "\x1b[31m", "<script>", "|$`", "x" * 5000, [], {},
    [[]], [None], {"a": 1}, "../../etc/passwd", "data:text/html,x", "os:system",
]  # fmt: skip


class CodeRan(BaseException):
    """Not a subclass of Exception, so that no reader can catch it."""


def bar_code(ours: Path) -> None:
    """From now on, any attempt to run code ends the fuzzing."""

    def hook(event: str, given: Any) -> None:
        # At the end, this program removes its own folder.
        if event in BARRED and not (event == "shutil.rmtree" and Path(given[0]) == ours):
            raise CodeRan(f"{event}{given!r:.200}")

    sys.addaudithook(hook)


class Target:
    """One kind of external input: valid examples, and its reader."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0

    def seeds(self) -> list[bytes]:
        """Valid examples, from which the fuzzer starts."""
        raise NotImplementedError

    def read(self, content: bytes) -> None:
        """Read one input. A BequeathError is an accepted result."""
        raise NotImplementedError

    def __call__(self, content: bytes) -> None:
        self.count += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                self.read(content)
            except BequeathError as error:
                if "\n" in str(error):
                    raise AssertionError(f"more than one line: {error}") from error


class Studies(Target):
    """Study files."""

    def seeds(self) -> list[bytes]:
        files = [HERE / "src/bequeath/study/study.yaml", *sorted((HERE / "examples/studies").glob("*.yaml"))]
        return [file.read_bytes() for file in files]

    def read(self, content: bytes) -> None:
        file = self.folder / "study.yaml"
        file.write_bytes(content)
        load_study(file, small=self.count % 2 == 0)


class Findings(Target):
    """Findings documents: a real one with parts removed, or replaced by other parts."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        sys.path.insert(0, str(HERE / "tests"))
        from report_findings import make_findings

        self.good: dict[str, Any] = make_findings("image")

    def seeds(self) -> list[bytes]:
        return [bytes(range(k, k + 40)) for k in range(0, 200, 20)] + [json.dumps(self.good).encode()]

    def read(self, content: bytes) -> None:
        file = self.folder / "findings.json"
        raw = content.startswith(b"{")
        file.write_bytes(content if raw else json.dumps(self._changed(content)).encode())
        with redirect_stdout(io.StringIO()):
            document = read_object(file)
            with of_file(file):
                show_findings(document)
                if self.count % 40 == 0:  # pages take longer
                    render(document)

    def _changed(self, content: bytes) -> dict[str, Any]:
        given = atheris.FuzzedDataProvider(content)
        document: dict[str, Any] = json.loads(json.dumps(self.good))
        for _ in range(given.ConsumeIntInRange(1, 4)):
            node: Any = document
            for _ in range(given.ConsumeIntInRange(1, 7)):
                keys = list(node) if isinstance(node, dict) else list(range(len(node)))
                if not keys:
                    break
                key = keys[given.ConsumeIntInRange(0, len(keys) - 1)]
                if not isinstance(node[key], (dict, list)) or given.ConsumeBool():
                    if given.ConsumeBool():
                        node[key] = ODD[given.ConsumeIntInRange(0, len(ODD) - 1)]
                    else:
                        del node[key]
                    break
                node = node[key]
        return document


class States(Target):
    """State files of every suffix; the first byte says which."""

    SUFFIXES = (".safetensors", ".pt", ".bin", ".ckpt", ".safetensors.index.json", ".bin.index.json")

    def seeds(self) -> list[bytes]:
        tensors = {"conv.weight": torch.ones(2, 3), "module.fc.bias": torch.zeros(2)}
        files = [bytes([0]) + save(tensors)]
        both = {"state_dict": tensors, "state_dict_ema": tensors, "epoch": 3}
        contents: list[Any] = [tensors, both, {"net": [tensors]}]
        for new in (True, False):
            for content in contents:
                stream = io.BytesIO()
                torch.save(content, stream, _use_new_zipfile_serialization=new)
                files.append(bytes([1]) + stream.getvalue())
        index = {"weight_map": {"conv.weight": "a.safetensors", "fc.bias": "../b.safetensors"}}
        return [*files, bytes([4]) + json.dumps(index).encode(), bytes([5]) + json.dumps(index).encode()]

    def read(self, content: bytes) -> None:
        if not content:
            return
        file = self.folder / f"model{self.SUFFIXES[content[0] % len(self.SUFFIXES)]}"
        file.write_bytes(content[1:])
        try:
            read_state(file)
        finally:
            file.unlink()


TARGETS: dict[str, Callable[[Path], Target]] = {"studies": Studies, "findings": Findings, "states": States}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=TARGETS)
    parser.add_argument("again", nargs="*", help="artifacts to try again")
    parser.add_argument("--seconds", type=int, default=200)
    args = parser.parse_args()
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        folder, corpus = Path(place, "work"), Path(place, "corpus")
        for path in (folder, corpus):
            path.mkdir()
        target = TARGETS[args.what](folder)
        for number, content in enumerate(target.seeds()):
            (corpus / f"{number}").write_bytes(content)
            target(content)
        bar_code(Path(place))
        options = [
            f"-max_total_time={args.seconds}",
            "-timeout=10",
            "-rss_limit_mb=6000",
            "-print_final_stats=1",
        ]
        options += ["-max_len=60000", f"-artifact_prefix={ARTIFACTS}/{args.what}-", "-verbosity=1"]
        os.chdir(folder)
        files = [str(Path(path).resolve()) for path in args.again]
        atheris.Setup([sys.argv[0], *options, *(files or [str(corpus)])], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
