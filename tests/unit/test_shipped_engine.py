"""The engine that ships, on photographs that no training saw."""

import json
from collections import Counter
from pathlib import Path

from demo.cameras import film
from tests.command import ROOT, run

UTILITY = ROOT / "models" / "utility.onnx"


def test_it_keeps_what_is_whole_and_drops_what_nobody_could_use(tmp_path: Path) -> None:
    """The demo's twelve photographs pass at the engine's own threshold; blurred away, dark or black they do not."""
    ruins = {}
    for number, frame in enumerate(film()):
        _, _, ruin = frame.shows.partition(", ")
        if ruin in ("", "blurred", "dark", "all black"):
            ruins[f"{number:02d}.jpg"] = ruin
            (tmp_path / f"{number:02d}.jpg").write_bytes(frame.value)
    done = run("runtime.assess", "--engine", UTILITY, tmp_path, "--json", timeout_s=60)

    lines = [json.loads(line) for line in done.stdout.splitlines()]
    judged = [(ruins[Path(one["source"]["file"]).name], one) for one in lines if "verdict" in one]
    assert Counter(ruin for ruin, _ in judged) == {"": 12, "blurred": 5, "dark": 3, "all black": 3}
    for ruin, one in judged:
        assert one["verdict"] == ("drop" if ruin else "keep"), one


def test_its_manifest_tells_where_it_comes_from() -> None:
    """Data, labels' digest, damage, and the command: enough to make it again."""
    done = run("export", "manifest", UTILITY, timeout_s=60)
    manifest = json.loads(done.stdout)
    assert manifest["heads"] == [{"kind": "utility", "output": "utility", "threshold": 0.3}]
    assert "sha256:" in manifest["provenance"]["data"]
    assert manifest["provenance"]["command"].startswith("python -m training train utility")
