"""Train the paper's ablation, one run per row, and print the table.

    python examples/ablation/ablation.py DATA VAL --out runs/ablation [options of `matte train`]

DATA and VAL are folders with image/ and alpha/. Every row is one `matte train` command, which is
printed; a finished row is not trained again. Further options are passed on to `matte train`, such
as `--recipe hattmatting`, `--steps 1000` or `--encoder-weights FILE`.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

WITHOUT = {
    "Low": ["--no-low-level"],
    "CA": ["--no-channel-attention"],
    "SA": ["--no-spatial-attention"],
    "SSIM": ["--loss", "ssim=0"],
    "Adv": ["--loss", "adversarial=0"],
}
ROWS = [
    [],
    ["SSIM"],
    ["Low"],
    ["CA"],
    ["Low", "CA"],
    ["Low", "SA"],
    ["Low", "CA", "SA"],
    ["Low", "CA", "SA", "SSIM"],
    ["Low", "CA", "SA", "SSIM", "Adv"],
]


def run(*command: object) -> None:
    """Print a command and run it; exit if it fails."""
    words = [str(word) for word in command]
    print("$ matte", shlex.join(words), flush=True)
    if code := subprocess.run([sys.executable, "-m", "mattecli", *words]).returncode:
        sys.exit(code)


def main() -> None:
    """Run the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("val", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--recipe", default=str(Path(__file__).with_name("small.toml")))
    options, passed_on = parser.parse_known_args()

    mattes = []
    for parts in ROWS:
        name = "+".join(["Basic", *parts])
        folder = options.out / "runs" / name
        left_out = [word for part, words in WITHOUT.items() if part not in parts for word in words]
        adversarial = ["--loss", "adversarial=0.05"] if "Adv" in parts else []
        if not (folder / "finished").exists():
            resume = ["--resume"] if (folder / "last" / "checkpoint.pt").exists() else []
            run(
                *("train", options.data, "--val", options.val, "--out", folder),
                *("--recipe", options.recipe, "--cache", options.out / "cache"),
                *(*left_out, *adversarial, *resume, *passed_on),
            )
            (folder / "finished").touch()
        mattes.append(options.out / "mattes" / name)
        run(
            *("predict", options.val / "image", mattes[-1], "--save", "alpha", "--skip-existing"),
            *("--refine", "none", "--weights", folder / "last.safetensors", "--quiet"),
        )
    run("evaluate", *mattes, "--gt", options.val / "alpha")


if __name__ == "__main__":
    main()
