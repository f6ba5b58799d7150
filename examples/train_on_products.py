"""Fine-tune the network on your own products: cutouts you trust, and backgrounds for them.

    python examples/train_on_products.py CUTOUTS BACKGROUNDS --out runs/products [options of train]

CUTOUTS holds transparent PNGs of products, best some hundreds; BACKGROUNDS holds photos without
products; at least ten of each. A tenth of the products is held out. The bundled weights are
fine-tuned on composites of the others, and both are evaluated on composites of the held-out ones.
Further options are passed on to `matte train`, such as --steps 4000 --device cuda.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path


def matte(*arguments: object) -> None:
    """Print a command of the program and run it."""
    command = ["matte", *map(str, arguments)]
    print("$", *command, flush=True)
    if code := subprocess.run([sys.executable, "-m", "mattecli", *command[1:]]).returncode:
        sys.exit(code)


def main() -> None:
    """Compose, train and evaluate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cutouts", type=Path)
    parser.add_argument("backgrounds", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/products"))
    parser.add_argument("--per-product", type=int, default=10, help="composites of each product")
    options, of_train = parser.parse_known_args()
    data, out = options.out / "set", options.out / "run"

    matte(
        *("build-dataset", data, "--foregrounds", options.cutouts),
        *("--backgrounds", options.backgrounds, "--placement", "scene"),
        *("--per-foreground", options.per_product, "--splits", "train=0.9,test=0.1"),
    )
    # A low learning rate, so that the weights keep what they have learned.
    matte(
        *("train", data / "train", "--val", data / "test", "--out", out),
        *("--start-from", "default", "--lr", "2e-4", "--steps", "2000", *of_train),
    )
    for weights in ("default", out / "best.safetensors"):
        test = data / "test"
        matte("evaluate", "--weights", weights, test / "image", test / "alpha")
    print(f"matte predict photos/ cutouts/ --weights {out / 'best.safetensors'}")


if __name__ == "__main__":
    main()
