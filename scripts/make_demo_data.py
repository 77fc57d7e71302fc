"""Write the small, balanced Fashion-MNIST subset that the demo uses.

    python make_demo_data.py FOLDER OUT.npz [--train 1000] [--test 500]

FOLDER holds the four *-ubyte.gz files of Fashion-MNIST (Zalando SE, MIT licence), as
shipped in Debian's package dataset-fashion-mnist (usr/share/datasets/fashion-mnist).
The images come from the official splits. Both parts are ordered so that every prefix
of 10*j images holds j images of each class. The output depends on the inputs only.
"""

import argparse
import gzip
import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np

SHA256 = {
    "train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    "train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
    "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
}
CLASSES = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
]
SEED = 20200523


def read_idx(path):
    """Read one checked IDX file of bytes into an array."""
    raw = path.read_bytes()
    digest = hashlib.sha256(raw).hexdigest()
    if digest != SHA256[path.name]:
        raise SystemExit(f"{path}: sha256 {digest} is not the expected {SHA256[path.name]}")
    data = gzip.decompress(raw)
    ndim = data[3]
    shape = np.frombuffer(data, ">u4", ndim, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * ndim).reshape(shape)


def balanced(labels, count, rng):
    """Indices of `count` images; every run of 10 holds each class once, in random order."""
    if count % len(CLASSES):
        raise SystemExit(f"{count} is not a multiple of {len(CLASSES)}")
    rounds = count // len(CLASSES)
    columns = [rng.choice(np.flatnonzero(labels == c), rounds, replace=False) for c in range(len(CLASSES))]
    return rng.permuted(np.stack(columns, 1), axis=1).ravel()


def save_npz(path, arrays):
    """Like np.savez_compressed, but with fixed time stamps, so that the file is reproducible."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            entry = zipfile.ZipInfo(name + ".npy", (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            out.writestr(entry, buffer.getvalue(), compresslevel=9)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder with the four idx .gz files")
    parser.add_argument("out", type=Path, help="the .npz to write")
    parser.add_argument("--train", type=int, default=1000)
    parser.add_argument("--test", type=int, default=500)
    args = parser.parse_args()
    rng = np.random.default_rng(SEED)
    arrays = {}
    for split, prefix, count in (("train", "train", args.train), ("test", "t10k", args.test)):
        images = read_idx(args.folder / f"{prefix}-images-idx3-ubyte.gz")
        labels = read_idx(args.folder / f"{prefix}-labels-idx1-ubyte.gz")
        chosen = balanced(labels, count, rng)
        arrays[f"x_{split}"] = images[chosen]
        arrays[f"y_{split}"] = labels[chosen]
        arrays[f"index_{split}"] = chosen.astype(np.uint32)
    arrays["classes"] = np.array(CLASSES)
    save_npz(args.out, arrays)
    print(
        f"{args.out}: {args.out.stat().st_size} bytes,"
        f" sha256 {hashlib.sha256(args.out.read_bytes()).hexdigest()}"
    )


if __name__ == "__main__":
    main()
