"""Mutated clips through ``matte predict``: never a traceback, a crash, a hang or half a result.

``PYTHONPATH=tests python tests/fuzz/fuzz_clips.py [--count 200] [--seed 0] [--keep FOLDER]`` prints
how many ended how, and exits with 1 if any ended as none may. Each clip is cut in a process of its
own, with a network that takes red for subject. It is no test of pytest's: it takes minutes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from clip_material import RATE, Tone, flash, make_clip, matte, see
from test_predict import load_red_is_subject

from mattecli.core.errors import MatteError
from mattecli.core.runtime import loading

# Of wall time, on a machine that others use, too.
SECONDS = 240
BASE = Fraction(1, RATE)
OUTPUTS = ("out.mov", "out.webm", "out.mp4", "frames")
FINE = ("ok", "ok with a word", "done in part", "refused")


def textured(number: int) -> np.ndarray:
    """A flash with noise, so that there is something to damage."""
    noise = np.random.default_rng(number).integers(0, 90, (48, 64, 4), np.uint8)
    return np.clip(flash(number).astype(int) - noise * [1, 1, 1, 0], 0, 255).astype(np.uint8)


def make_bases(folder: Path) -> list[Path]:
    """One small clip of each kind."""
    kinds = [
        ("h264.mp4", "libx264", "yuv420p", "aac"),
        ("front.mov", "libx264", "yuv444p", "aac"),
        ("h264.mkv", "libx264", "yuv420p", "libopus"),
        ("h264.ts", "libx264", "yuv420p", "aac"),
        ("h264.flv", "libx264", "yuv420p", "aac"),
        ("hevc.mp4", "libx265", "yuv420p10le", "ac3"),
        ("vp9.webm", "libvpx-vp9", "yuva420p", "libopus"),
        ("vp8.webm", "libvpx", "yuva420p", "libopus"),
        ("mpeg4.avi", "mpeg4", "yuv420p", "libmp3lame"),
        ("mpeg2.mpg", "mpeg2video", "yuv420p", "mp2"),
        ("mpeg2.ts", "mpeg2video", "yuv420p", "mp2"),
        ("wmv.wmv", "wmv2", "yuv420p", "libmp3lame"),
        ("prores.mov", "prores_ks", "yuva444p10le", "pcm_s16le"),
        ("png.mov", "png", "rgba", "alac"),
        ("ffv1.mkv", "ffv1", "yuva420p", "flac"),
        ("raw.avi", "rawvideo", "bgra", "pcm_s16le"),
        ("mjpeg.avi", "mjpeg", "yuvj420p", "pcm_s16le"),
    ]
    made = []
    for name, codec, pixels, sound in kinds:
        options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
        options |= {"auto-alt-ref": "0"} if "vpx" in codec else {}
        container = {"movflags": "faststart"} if name == "front.mov" else {}
        layout = "5.1" if sound in ("ac3", "flac") else "stereo"
        made.append(
            make_clip(
                folder / name,
                codec=codec,
                pixels=pixels,
                picture=textured,
                tones=[Tone(sound, layout=layout)],
                options=options,
                container=container,
                base=Fraction(1, 90000) if codec == "libx264" else BASE,
            )
        )
    return made


def cut_off(data: bytearray, chance: random.Random) -> None:
    """Lose the end."""
    del data[chance.randrange(len(data)) :]


def flip_bits(data: bytearray, chance: random.Random) -> None:
    """Turn some bits anywhere."""
    for _ in range(chance.choice([1, 4, 16, 64, 256])):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def spoil_header(data: bytearray, chance: random.Random) -> None:
    """Write random or extreme bytes into the first or the last part, where headers are."""
    reach = min(len(data), 1500)
    for _ in range(chance.choice([1, 3, 10])):
        place = chance.randrange(reach)
        place = place if chance.random() < 0.6 else len(data) - 1 - place
        data[place] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])


def spoil_number(data: bytearray, chance: random.Random) -> None:
    """Write an extreme number of four or eight bytes."""
    place = chance.randrange(min(len(data), 1500))
    size = chance.choice([4, 8])
    number = chance.choice([b"\xff" * size, b"\0" * size, b"\x7f" + b"\xff" * (size - 1)])
    data[place : place + size] = number


def lose_part(data: bytearray, chance: random.Random) -> None:
    """Take a part out."""
    start = chance.randrange(len(data))
    del data[start : start + chance.randrange(1, len(data) // 4 + 2)]


def blank_part(data: bytearray, chance: random.Random) -> None:
    """Write zeros over a part."""
    start = chance.randrange(len(data))
    end = min(len(data), start + chance.randrange(1, len(data) // 4 + 2))
    data[start:end] = bytes(end - start)


def repeat_part(data: bytearray, chance: random.Random) -> None:
    """Put a part elsewhere once more."""
    start = chance.randrange(len(data))
    part = data[start : start + chance.randrange(1, len(data) // 3 + 2)]
    place = chance.randrange(len(data))
    data[place:place] = part


def insert_noise(data: bytearray, chance: random.Random) -> None:
    """Put random bytes in between."""
    place = chance.randrange(len(data))
    data[place:place] = chance.randbytes(chance.randrange(1, 2000))


MUTATIONS: list[Callable[[bytearray, random.Random], None]] = [
    cut_off,
    flip_bits,
    spoil_header,
    spoil_number,
    lose_part,
    blank_part,
    repeat_part,
    insert_noise,
]


def mutate(bases: list[Path], chance: random.Random) -> tuple[str, bytes]:
    """Make a clip's name and bytes: damaged once or twice, or joined, or named for another."""
    base = chance.choice(bases)
    data = bytearray(base.read_bytes())
    suffix = base.suffix
    for _ in range(chance.choice([1, 1, 2])):
        if len(data) > 16:
            chance.choice(MUTATIONS)(data, chance)
    if chance.random() < 0.1:
        data += chance.choice(bases).read_bytes()
    if chance.random() < 0.1:
        suffix = chance.choice(bases).suffix
    return f"{base.stem}{suffix}", bytes(data)


def run_one(clip: Path, out: Path, answer) -> None:
    """Cut a clip, in a process of its own; says how it ended and in what words."""
    torch.set_num_threads(1)
    arguments = ["--background", "green"] if out.suffix == ".mp4" else []
    result = matte(clip, out, *arguments)
    error = result.exception
    if isinstance(error, MatteError):
        ended, words = "refused", str(error)
        if "\n" in words or (clip.name not in words and out.name not in words):
            ended = "BAD LINE"
        elif out.suffix and out.exists():
            ended = "HALF A RESULT"
    elif error is not None and not isinstance(error, SystemExit):
        ended, words = "TRACEBACK", repr(error)
    else:
        words = result.output
        ended = "done in part" if result.exit_code else "ok with a word"
        if not result.exit_code and f"matte: {clip}" not in words:
            ended = "ok"
        if out.suffix and not out.exists():
            ended = "NOTHING WRITTEN"
        elif out.suffix:
            try:
                ended = ended if len(see(out).times) else "EMPTY RESULT"
            except Exception as unreadable:
                ended, words = "UNREADABLE RESULT", repr(unreadable)
    if list(out.parent.glob(".matte-*")):
        ended = "LEFT BEHIND"
    answer.send((ended, words.strip()))


def cut(clip: Path, out: Path) -> tuple[str, str]:
    """Run one clip with its time limit."""
    fork = multiprocessing.get_context("fork")
    receiver, answer = fork.Pipe(duplex=False)
    process = fork.Process(target=run_one, args=(clip, out, answer))
    process.start()
    answer.close()
    try:
        # Before joining, as long words would block the process; a crash closes the pipe.
        return receiver.recv() if receiver.poll(SECONDS) else ("HANG", "")
    except EOFError:
        process.join()
        return "CRASH", f"exit code {process.exitcode}"
    finally:
        process.kill()
        process.join()


def main() -> int:
    """Run them all and sum up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for clips that ended as none may")
    options = parser.parse_args()
    loading.load_model = load_red_is_subject
    count: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        (bases := Path(folder) / "bases").mkdir()
        clips = make_bases(bases)
        for number in range(options.count):
            chance = random.Random(f"{options.seed}:{number}")
            (place := Path(folder) / f"{number}").mkdir()
            name, data = mutate(clips, chance)
            clip, out = place / name, place / "out" / chance.choice(OUTPUTS)
            out.parent.mkdir()
            clip.write_bytes(data)
            ended, words = cut(clip, out)
            count[ended] += 1
            if ended not in FINE:
                print(f"{number} {name} to {out.name}: {ended}: {words}", flush=True)
                if options.keep:
                    options.keep.mkdir(parents=True, exist_ok=True)
                    shutil.copy(clip, options.keep / f"{number}-{name}")
            shutil.rmtree(place)
    for ended, times in count.most_common():
        print(f"{times:5} {ended}")
    return int(any(ended not in FINE for ended in count))


if __name__ == "__main__":
    sys.exit(main())
