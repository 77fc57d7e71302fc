"""Fine-tune MobileNetV2 (ImageNet) and train it from scratch on an image folder, with log-spaced checkpoints.

    python examples/image_folder/train.py path/to/train --out models
    bequeath run examples/image_folder/study.yaml --out runs/image-folder     # after setting its paths

Any other training will do as well: docs/own-training.md.
"""

import argparse
from pathlib import Path

import torch

from bequeath.data import ImageFolder, Preprocessing, batch
from bequeath.models import imagenet_state, mobilenet_v2
from bequeath.training.vision import Schedule, train_images


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("train", type=Path, help="folder with one sub-folder of images for each class")
    parser.add_argument("--out", type=Path, default=Path("models"))
    parser.add_argument("--size", type=int, default=96, help="pixels")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument(
        "--learning-rate", type=float, default=2e-4, help="of fine-tuning; scratch takes 3e-3"
    )
    parser.add_argument("--checkpoints", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    data = ImageFolder(args.train, Preprocessing(args.size))
    images, labels = batch(data, range(len(data))), torch.tensor(data.labels)
    for name, learning_rate in (("finetuned", args.learning_rate), ("scratch", 3e-3)):
        torch.manual_seed(args.seed)
        model = mobilenet_v2(len(data.classes))
        if name == "finetuned":
            backbone = {key: value for key, value in imagenet_state().items() if "classifier" not in key}
            model.load_state_dict(backbone, strict=False)
        schedule = Schedule(args.steps, learning_rate, checkpoints=args.checkpoints, first_checkpoint=4)
        train_images(model, images, labels, schedule, args.out / name, args.seed, "bequeath:mobilenet_v2")
        print(f"{name}: checkpoints in {args.out / name}")


if __name__ == "__main__":
    main()
