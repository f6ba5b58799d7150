"""Train the paper's ablation, one run per row, and print its table.

    python examples/ablation/ablation.py DATA VAL --out runs/ablation [options of `matte train`]

DATA and VAL are folders with image/ and alpha/. Every run is one `matte train` command, which is
printed; a finished one is not trained again, one that was stopped is continued. `--seeds 3` trains
the first and the last row three times, after all rows have been trained once. `--table` prints the
table of what is finished and trains nothing. Further options are passed on to `matte train`, such
as `--recipe hattmatting`, `--steps 1000` or `--encoder-weights FILE`.
"""

from __future__ import annotations

import argparse
import json
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
MEANINGS = {
    "Low": "appearance cues of block 1",
    "CA": "channel attention on the pyramidal features",
    "SA": "spatial attention on the cues",
    "SSIM": "the SSIM loss",
    "Adv": "the adversarial loss",
}
METRICS = ("sad", "mse", "grad", "conn")


def run(*command: object) -> None:
    """Print a command and run it; exit if it fails."""
    words = [str(word) for word in command]
    print("$ matte", shlex.join(words), flush=True)
    if code := subprocess.run([sys.executable, "-m", "mattecli", *words]).returncode:
        sys.exit(code)


def name_of(parts: list[str], seed: int) -> str:
    """Name one row with one seed, as its folders are named."""
    return "+".join(["Basic", *parts]) + (f" seed {seed}" if seed else "")


def train_and_predict(
    parts: list[str], seed: int, options: argparse.Namespace, passed_on: list[str]
) -> None:
    """Train one row with one seed, and predict the mattes of VAL."""
    name = name_of(parts, seed)
    folder, mattes = options.out / "runs" / name, options.out / "mattes" / name
    left_out = [word for part, words in WITHOUT.items() if part not in parts for word in words]
    adversarial = ["--loss", "adversarial=0.05"] if "Adv" in parts else []
    if not (folder / "finished").exists():
        resume = ["--resume"] if (folder / "last" / "checkpoint.pt").exists() else []
        run(
            *("train", options.data, "--val", options.val, "--out", folder, "--seed", seed),
            *("--recipe", options.recipe, "--cache", options.out / "cache"),
            *(*left_out, *adversarial, *resume, *passed_on),
        )
        run(
            *("predict", options.val / "image", mattes, "--save", "alpha", "--skip-existing"),
            *("--refine", "none", "--weights", folder / "last.safetensors", "--quiet"),
        )
        (folder / "finished").touch()


def table(means: dict[str, dict[str, float]], seeds: int) -> list[str]:
    """Lines of the paper's table in Markdown: which parts a row has, and its errors.

    Parameters
    ----------
    means : dict
        By name of a run, every metric by name. Rows without a run are left out.
    """
    parts = list(WITHOUT)
    lines = [
        f"| row | {' | '.join(parts)} | what it adds to Basic | SAD | MSE | Grad | Conn |",
        f"|---|{'---|' * (len(parts) + 5)}",
    ]
    for row in ROWS:
        names = [name_of(row, seed) for seed in seeds_of(row, seeds)]
        runs = [means[name] for name in names if name in means]
        if not runs:
            continue
        marks = " | ".join("✓" if part in row else "" for part in parts)
        added = ", ".join(MEANINGS[part] for part in row) or "nothing: ASPP features and MSE alone"
        cells = [_cell([found[metric] for found in runs], metric) for metric in METRICS]
        lines.append(f"| {names[0]} | {marks} | {added} | {' | '.join(cells)} |")
    return lines


def _cell(values: list[float], metric: str) -> str:
    digits = 4 if metric == "mse" else 1
    mean = f"{sum(values) / len(values):.{digits}f}"
    if len(values) == 1:
        return mean
    return f"{mean} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def seeds_of(row: list[str], seeds: int) -> range:
    """Seeds that a row is trained with: several for the first and the last one."""
    return range(seeds if row in (ROWS[0], ROWS[-1]) else 1)


def main() -> None:
    """Train what is not trained yet and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("val", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--recipe", default=str(Path(__file__).with_name("small.toml")))
    parser.add_argument("--seeds", type=int, default=1, help="of the first and the last row")
    parser.add_argument("--table", action="store_true", help="of the finished runs; trains nothing")
    options, passed_on = parser.parse_known_args()

    runs = [
        (row, seed)
        for seed in range(options.seeds)
        for row in ROWS
        if seed in seeds_of(row, options.seeds)
    ]
    if not options.table:
        for row, seed in runs:
            train_and_predict(row, seed, options, passed_on)
    names = [name_of(row, seed) for row, seed in runs]
    finished = [name for name in names if (options.out / "runs" / name / "finished").exists()]
    if not finished:
        sys.exit(f"{options.out}: no run is finished")
    mattes, scores = options.out / "mattes", options.out / "scores.json"
    truth = options.val / "alpha"
    run("evaluate", *(mattes / name for name in finished), "--gt", truth, "--json", scores)
    methods = json.loads(scores.read_text(encoding="utf-8"))["methods"]
    means = {method["method"]: method["mean"] for method in methods}
    print("\n".join(table(means, options.seeds)))


if __name__ == "__main__":
    main()
