"""``python -m benchmarks preprocess``: from a JPEG to the engine's input, beside what a user would write himself.

One thread. A round runs every contender over all pictures, one after another; the ratios are of one round, and
the median round is reported. Answers are compared before anything is timed.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.frames import PHOTOS, load_frames
from benchmarks.report import print_table, write_json
from runtime.decode import Decoder
from runtime.manifest import Input, Patches, Resize
from runtime.opencv import cv2
from runtime.preprocess import Preprocessor

Pixels = NDArray[np.uint8]
Contender = Callable[[int], object]
"""Does its work on picture i."""

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
PATCHES = Input(name="patches", height=64, width=64, patches=Patches(rows=4, columns=5))
"""A second view at the pictures' own resolution (``docs/resize.md``)."""
STAGES = ("decode", "uint8", "float32", "whole uint8", "whole float32", "patches")


def main(argv: list[str] | None = None) -> int:
    """Measure, compare the answers, print, and write JSON where asked.

    Returns:
        0 where the answers agree; a disagreement raises.
    """
    arguments = _parser().parse_args(argv)
    bench = Bench(load_frames(arguments.pictures), arguments.size)
    bench.check_answers()
    distances = bench.distances()
    stages = {name: _race(bench.stage(name), len(bench.values), arguments.rounds) for name in STAGES}
    for name, results in stages.items():
        rows = [[who, row["ms"], row["speed"]] for who, row in results.items()]
        print_table(name, ["contender", "ms a frame", "speed"], rows)
    columns = ["rule", "mean", "99 %", "from halving + bilinear"]
    print_table("levels of 255 from the area's mean", columns, [[rule, *row] for rule, row in distances.items()])
    print(bench.what())
    write_json(arguments.json, {"pictures": bench.what(), "stages": stages, "distances": distances})
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks preprocess", description=__doc__.partition(": ")[2])
    parser.add_argument("--pictures", type=Path, default=PHOTOS, help="folder of JPEGs (default: %(default)s)")
    parser.add_argument("--size", type=int, default=224, help="the input's sides in pixels (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=15, help="rounds to take the median of (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="also write the results there")
    return parser


class Bench:
    """The contenders, and what they must agree on."""

    def __init__(self, values: Sequence[bytes], size: int) -> None:
        self.values = list(values)
        self.size = size
        self.decoder = Decoder()
        self.pixels = [self.decoder.decode(value).pixels.copy() for value in values]

    def what(self) -> str:
        """The pictures and the input, in words."""
        height, width = self.pixels[0].shape[:2]
        kilobytes = statistics.mean(len(value) for value in self.values) / 1000
        return f"{len(self.values)} JPEGs of {width} x {height}, {kilobytes:.0f} kB each, to {self.size} x {self.size}"

    def input(self, dtype: str, **resize: Any) -> Input:
        """An input of that kind: uint8 NHWC or float32 NCHW with mean and std."""
        scale: dict[str, Any] = {} if dtype == "uint8" else {"mean": MEAN, "std": STD, "layout": "NCHW"}
        fields = {"name": "image", "dtype": dtype, "height": self.size, "width": self.size, **scale}
        return Input.model_validate(fields | {"resize": Resize(**resize)})

    def check_answers(self) -> None:
        """Both decoders, and both preprocessings by the same rule, give the same.

        Raises:
            AssertionError: they don't.
        """
        for value, pixels in zip(self.values, self.pixels, strict=True):
            np.testing.assert_array_equal(_imdecode(value)[..., ::-1], pixels)
            for dtype, naive in (("uint8", _naive_uint8), ("float32", _naive_float)):
                expected = naive(pixels[..., ::-1].copy(), self.size)
                np.testing.assert_allclose(self._fused(pixels, dtype, halve=False), expected, rtol=1e-5, atol=1e-5)

    def distances(self) -> dict[str, list[float]]:
        """How far each rule is from the picture that loses nothing to aliasing: the mean over each pixel's area.

        Mean and 99th percentile; then the mean distance from halving + bilinear.
        """
        found: dict[str, list[list[float]]] = {"bilinear": [], "halving + bilinear": [], "scaled decode": []}
        for value, pixels in zip(self.values, self.pixels, strict=True):
            size = (self.size, self.size)
            ideal = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(int)
            scaled = self.decoder.decode(value, size).pixels.copy()
            halved = self._fused(pixels, "uint8")
            for rule, sample in (
                ("bilinear", self._fused(pixels, "uint8", halve=False)),
                ("halving + bilinear", halved),
                ("scaled decode", self._fused(scaled, "uint8")),
            ):
                away = np.abs(sample - ideal)
                found[rule].append([away.mean(), np.percentile(away, 99), np.abs(sample.astype(int) - halved).mean()])
        return {rule: np.mean(rows, axis=0).tolist() for rule, rows in found.items()}

    def stage(self, name: str) -> dict[str, Contender]:
        """The contenders of one stage, by name; the baseline is among them."""
        if name == "decode":
            return self._decoders()
        if name == "patches":
            return self._views()
        dtype = name.removeprefix("whole ")
        naive = _naive_uint8 if dtype == "uint8" else _naive_float
        whole = name.startswith("whole")
        return self._wholes(dtype, naive) if whole else self._preprocessings(dtype, naive)

    def _decoders(self) -> dict[str, Contender]:
        least = (self.size, self.size)
        return {
            "cv2.imdecode": lambda i: _imdecode(self.values[i]),
            "full": lambda i: self.decoder.decode(self.values[i]),
            "scaled": lambda i: self.decoder.decode(self.values[i], least),
        }

    def _preprocessings(self, dtype: str, naive: Callable[[Pixels, int], object]) -> dict[str, Contender]:
        """Always on the same picture: its pixels lie in the cache, as they do when they were just decoded."""
        rgb, bgr = self.pixels[0], self.pixels[0][..., ::-1].copy()
        halving, slot = self._filler(dtype)
        bilinear, _ = self._filler(dtype, halve=False)
        return {
            "naive": lambda _: naive(bgr, self.size),
            "fused, bilinear only": lambda _: bilinear.fill(rgb, slot),
            "fused": lambda _: halving.fill(rgb, slot),
        }

    def _wholes(self, dtype: str, naive: Callable[[Pixels, int], object]) -> dict[str, Contender]:
        fused, slot = self._filler(dtype)
        bilinear, _ = self._filler(dtype, halve=False)
        scaled, _ = self._filler(dtype, scaled_decode=True)
        return {
            "naive": lambda i: naive(_imdecode(self.values[i]), self.size),
            "fused, bilinear only": lambda i: bilinear.fill(self.decoder.decode(self.values[i]).pixels, slot),
            "fused": lambda i: fused.fill(self.decoder.decode(self.values[i]).pixels, slot),
            "fused, scaled decode": lambda i: scaled.fill(
                self.decoder.decode(self.values[i], scaled.least).pixels, slot
            ),
        }

    def _views(self) -> dict[str, Contender]:
        """What patches cost beside the view of the whole picture, of the same pixels and with their decoding."""
        whole, slot = self._filler("uint8")
        patches = Preprocessor(PATCHES)
        parts = patches.batch(1)[0]

        def both(picture: int) -> None:
            pixels = self.decoder.decode(self.values[picture]).pixels
            whole.fill(pixels, slot)
            patches.fill(pixels, parts)

        return {
            "JPEG to one view": lambda i: whole.fill(self.decoder.decode(self.values[i]).pixels, slot),
            "JPEG to both": both,
            "pixels to the whole view": lambda _: whole.fill(self.pixels[0], slot),
            "pixels to 4 x 5 patches": lambda _: patches.fill(self.pixels[0], parts),
        }

    def _filler(self, dtype: str, **resize: Any) -> tuple[Preprocessor, NDArray[Any]]:
        preprocessor = Preprocessor(self.input(dtype, **resize))
        return preprocessor, preprocessor.batch(1)[0]

    def _fused(self, pixels: Pixels, dtype: str, **resize: Any) -> NDArray[Any]:
        preprocessor, slot = self._filler(dtype, **resize)
        preprocessor.fill(pixels, slot)
        return slot


def _imdecode(value: bytes) -> Pixels:
    return np.asarray(cv2.imdecode(np.frombuffer(value, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def _naive_uint8(bgr: Pixels, size: int) -> Pixels:
    return np.asarray(cv2.resize(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), (size, size)), np.uint8)


def _naive_float(bgr: Pixels, size: int) -> NDArray[np.float32]:
    resized = cv2.resize(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), (size, size)).astype(np.float32)
    normalised = (resized - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    return np.ascontiguousarray(normalised.transpose(2, 0, 1))


def _race(contenders: Mapping[str, Contender], pictures: int, rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds a frame, and the speed beside the first contender's: medians over the rounds, the first left out."""
    laps = [{name: _lap(work, pictures) for name, work in contenders.items()} for _ in range(rounds + 1)][1:]
    first = next(iter(contenders))
    return {
        name: {
            "ms": statistics.median(lap[name] for lap in laps),
            "speed": statistics.median(lap[first] / lap[name] for lap in laps),
        }
        for name in contenders
    }


def _lap(work: Contender, pictures: int) -> float:
    start = time.perf_counter()
    for picture in range(pictures):
        work(picture)
    return (time.perf_counter() - start) * 1000 / pictures
