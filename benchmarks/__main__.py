"""``python -m benchmarks NAME``: every reported number comes from one of these."""

import importlib
import sys

from runtime.errors import FramegateError

NAMES = {
    "gateway": "the whole gateway on Apache Kafka, beside its limits and the naive loop; latency; delivery's cost",
    "memory": "peak memory with few and with many frames waiting",
    "kernel": "the CUDA preprocessing kernel beside a copy, on a GPU",
    "preprocess": "decoding and preprocessing, fused and naive",
    "engine": "the bare engine by batch and threads",
    "half": "two converters to half precision, by difference and Casts",
    "cost": "what a frame costs on one core, by engine, whatever their inputs",
    "precision": "engines of one network in FP32, INT8, ... beside each other: frames a second and answers",
    "gpu": "JPEG decoding, preprocessing, inference and the whole of it on a GPU",
}


def main(argv: list[str]) -> int:
    """Run the benchmark named first; the rest are its own flags."""
    if argv in ([], ["-h"], ["--help"]):
        print("usage: python -m benchmarks NAME [flags]\n")
        for name, what in NAMES.items():
            print(f"  {name:<12}{what}")
        return 0
    if argv[0] not in NAMES:
        print(f"error: {argv[0]}: no such benchmark; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    try:
        status: int = importlib.import_module(f"benchmarks.{argv[0]}").main(argv[1:])
    except FramegateError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
