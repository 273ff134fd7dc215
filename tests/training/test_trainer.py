"""The loop: equal runs give equal bytes, and a run that was stopped, however, comes to the same end."""

import csv
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra (pip install 'framegate[train]')")
pytest.importorskip("safetensors", reason="needs the train extra (pip install 'framegate[train]')")

from safetensors.torch import save  # noqa: E402 - what follows needs torch
from torch import nn  # noqa: E402

from runtime.errors import ConfigError  # noqa: E402
from tests.training.networks_to_fit import RECIPE, Line, make_network, make_trainer  # noqa: E402
from training.feeder import made_ahead  # noqa: E402
from training.progress_log import STEPS, VALIDATIONS, ProgressLog, last_row  # noqa: E402
from training.recipe import Recipe  # noqa: E402
from training.schedule import mean_decay, plateau_share, rate_share  # noqa: E402
from training.snapshot import FILE, load_snapshot  # noqa: E402
from training.trainer import Plan, Trainer  # noqa: E402

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """As the process that is killed: equal bytes are promised for equal threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def content(network: nn.Module) -> bytes:
    return bytes(save({name: value.contiguous() for name, value in network.state_dict().items()}))


def rows(folder: Path, table: str) -> list[list[str]]:
    """Without the time that a step took."""
    return [row[:-1] if table == STEPS else row for row in csv.reader((folder / table).read_text().splitlines())]


def test_equal_seeds_give_equal_bytes_and_other_seeds_do_not(tmp_path: Path) -> None:
    """Weights, and what the logs say, are settled by the seed."""
    one, same, other = (make_trainer(tmp_path / name, seed=seed).fit() for name, seed in (("a", 0), ("b", 0), ("c", 1)))

    assert content(one) == content(same) != content(other)
    assert rows(tmp_path / "a", STEPS) == rows(tmp_path / "b", STEPS)


def test_it_learns(tmp_path: Path) -> None:
    make_trainer(tmp_path, steps=300).fit()

    errors = [float(row[1]) for row in rows(tmp_path, VALIDATIONS)[1:]]
    assert errors[-1] < 0.2
    assert errors[0] > 1


class Stop(Exception):  # noqa: N818 - no error
    """What ends a run from outside."""


@pytest.mark.parametrize("stop", [1, 5, 9, 14, 20])
def test_a_stopped_run_comes_to_the_same_end(tmp_path: Path, stop: int) -> None:
    """Whatever the step it stops after: before any snapshot, at one, between two, at a validation, after the last."""

    def watch(step: int) -> None:
        if step == stop:
            raise Stop

    whole = make_trainer(tmp_path / "whole").fit()
    with pytest.raises(Stop):
        make_trainer(tmp_path / "stopped").fit(watch=watch)
    resumed = make_trainer(tmp_path / "stopped").fit()

    assert content(resumed) == content(whole)
    for table in (STEPS, VALIDATIONS):
        assert rows(tmp_path / "stopped", table) == rows(tmp_path / "whole", table)


def test_sgd_goes_on_with_its_momentum(tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={"optimizer": "sgd", "ema_decay": 0.0})
    seen: list[int] = []

    def watch(step: int) -> None:
        seen.append(step)
        if len(seen) == 12:
            raise Stop

    whole = make_trainer(tmp_path / "whole", recipe=recipe).fit()
    with pytest.raises(Stop):
        make_trainer(tmp_path / "stopped", recipe=recipe).fit(watch=watch)
    resumed = make_trainer(tmp_path / "stopped", recipe=recipe).fit(watch=seen.append)

    assert content(resumed) == content(whole)
    assert seen[12] == 10  # the last snapshot


def test_a_killed_process_comes_to_the_same_end(tmp_path: Path) -> None:
    """SIGKILL in the middle of a step: files are whole, and the same command ends as if nothing had been."""
    command = [sys.executable, "-m", "tests.training.networks_to_fit", str(tmp_path / "killed"), "40"]
    process = subprocess.Popen([*command, "0.05"], cwd=ROOT)
    deadline = time.monotonic() + 60
    while len(_lines(tmp_path / "killed" / STEPS)) < 18:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    snapshot = load_snapshot(tmp_path / "killed")
    assert snapshot is not None
    assert 15 <= snapshot.step < 40
    subprocess.run([*command, "0"], cwd=ROOT, check=True)
    make_trainer(tmp_path / "whole", steps=40).fit()
    assert _snapshot(tmp_path / "killed") == _snapshot(tmp_path / "whole")
    assert rows(tmp_path / "killed", STEPS) == rows(tmp_path / "whole", STEPS)


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("snapshot*")}


def test_only_the_last_snapshot_is_kept_and_a_changed_one_refused(tmp_path: Path) -> None:
    make_trainer(tmp_path).fit()
    kept = sorted(path.name for path in tmp_path.glob("snapshot*"))
    assert kept == ["snapshot-20.network.safetensors", "snapshot-20.optimizer.safetensors", FILE]

    path = tmp_path / kept[0]
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    with pytest.raises(ConfigError, match="not those that"):
        make_trainer(tmp_path).fit()
    path.unlink()
    with pytest.raises(ConfigError, match="missing"):
        make_trainer(tmp_path).fit()


def test_the_trained_network_is_the_mean_of_the_weights(tmp_path: Path) -> None:
    """EMA: each step, the mean keeps ``mean_decay`` of itself; the weights that learn are not touched by it."""
    plain = RECIPE.model_copy(update={"ema_decay": 0.0})
    weights = [make_network().state_dict()["0.weight"].clone()]
    trainer = make_trainer(tmp_path / "plain", recipe=plain, steps=6)
    trainer.fit(watch=lambda step: weights.append(trainer._network.state_dict()["0.weight"].clone()) if step else None)
    mean = weights[0]
    for step, value in enumerate(weights[1:]):
        decay = mean_decay(RECIPE, step)
        mean = decay * mean + (1 - decay) * value

    trained = make_trainer(tmp_path / "mean", steps=6).fit().state_dict()["0.weight"]
    torch.testing.assert_close(trained, mean)
    assert not torch.allclose(trained, weights[-1])


def test_new_layers_learn_faster_and_biases_do_not_decay(tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(update={"optimizer": "sgd"})
    plan = Plan(steps=1, validate_every=1, snapshot_every=1)
    network = make_network()
    groups = Trainer(network, Line(), recipe, plan, tmp_path)._optimizer.param_groups
    names = {id(value): name for name, value in network.named_parameters()}

    found = {tuple(names[id(value)] for value in group["params"]): group for group in groups}
    assert {key: (group["lr"], group["weight_decay"]) for key, group in found.items()} == {
        ("0.weight",): (0.02, 0.01),
        ("0.bias",): (0.02, 0.0),
        ("2.weight",): (0.04, 0.01),
        ("2.bias",): (0.04, 0.0),
    }


def test_a_loss_that_is_not_finite_ends_the_run_with_its_cause(tmp_path: Path) -> None:
    recipe = Recipe(learning_rate=1e30)
    with pytest.raises(ConfigError, match="learning rate 1e\\+30 is too high"):
        make_trainer(tmp_path, recipe=recipe).fit()


def test_the_rate_warms_up_and_falls() -> None:
    """From one step's part to the full rate in the warm-up, then a half cosine to the last rate."""
    recipe = Recipe(schedule="cosine", warmup=0.1, last_rate=0.2)
    shares = [rate_share(recipe, step, 100) for step in range(100)]

    assert shares[:10] == pytest.approx([0.1 * n for n in range(1, 11)])
    assert shares[10] == 1
    assert shares[55] == pytest.approx(0.6)
    assert shares[99] == pytest.approx(0.2, abs=1e-3)
    assert all(a > b for a, b in pairwise(shares[10:]))
    assert {rate_share(Recipe(), step, 100) for step in range(100)} == {1.0}


def test_the_rate_drops_where_errors_stop_falling() -> None:
    """After ``patience`` validations without a new least error, which later errors have to fall below, too."""
    recipe = Recipe(schedule="plateau", patience=2, drop=0.5)
    errors = [5.0, 4.0, 4.0, 4.0, 3.9, 4.0, 3.95, 3.8, 9.0, 9.0]
    shares = [plateau_share(recipe, errors[:told]) for told in range(len(errors) + 1)]
    assert shares == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]
    assert plateau_share(recipe.model_copy(update={"drops": 1}), errors) == 0.5
    assert plateau_share(Recipe(), errors) == 1
    assert {rate_share(recipe, step, 10) for step in range(10)} == {1.0}


class Stuck(Line):
    """Its error never falls."""

    def validate(self, network: nn.Module) -> dict[str, float]:
        return {"error": 1.0 + 0 * super().validate(network)["error"]}


def test_a_stopped_run_knows_its_plateaus(tmp_path: Path) -> None:
    """Validations at 7, 14, 20: with a patience of 1 the rate has dropped once after the second. The resumed
    run goes on with the lower rate, to the same weights."""
    recipe = RECIPE.model_copy(update={"schedule": "plateau", "patience": 1, "warmup": 0.0})

    def watch(step: int) -> None:
        if step == 16:
            raise Stop

    def trainer(folder: Path) -> Trainer:
        plan = Plan(steps=20, validate_every=7, snapshot_every=5)
        return Trainer(make_network(), Stuck(), recipe, plan, folder)

    whole = trainer(tmp_path / "whole").fit()
    with pytest.raises(Stop):
        trainer(tmp_path / "stopped").fit(watch=watch)
    assert content(trainer(tmp_path / "stopped").fit()) == content(whole)
    head, *steps = rows(tmp_path / "stopped", STEPS)
    rates = [float(row[head.index("learning_rate")]) for row in steps]
    assert rates == [0.02] * 14 + [0.002] * 6


def test_a_plateau_needs_an_error_to_watch(tmp_path: Path) -> None:
    class Nameless(Line):
        def validate(self, network: nn.Module) -> dict[str, float]:
            return {"miss": super().validate(network)["error"]}

    recipe = RECIPE.model_copy(update={"schedule": "plateau"})
    plan = Plan(steps=2, validate_every=1, snapshot_every=1)
    with pytest.raises(ConfigError, match="watches the error of validations, and they tell miss"):
        Trainer(make_network(), Nameless(), recipe, plan, tmp_path).fit()


def test_batches_are_made_ahead_in_order_and_no_further() -> None:
    begun: list[int] = []
    lock = threading.Lock()

    def make(item: int) -> int:
        with lock:
            begun.append(item)
        time.sleep(0.02 if item % 2 else 0)
        return item * item

    made = made_ahead(make, range(100), workers=3, ahead=4)
    assert [next(made) for _ in range(6)] == [0, 1, 4, 9, 16, 25]
    made.close()
    assert max(begun) <= 6 + 4


def test_an_error_in_a_batch_comes_where_the_batch_is_due() -> None:
    made = made_ahead(lambda item: 1 // (3 - item), range(10), workers=2, ahead=5)
    assert [next(made) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(made)


def test_the_curves_are_drawn(tmp_path: Path) -> None:
    """A real PNG, from logs with a measure that was NaN."""
    pytest.importorskip("matplotlib", reason="needs the train extra (pip install 'framegate[train]')")
    log = ProgressLog(tmp_path)
    for step in range(1, 4):
        log.step({"step": step, "loss": 1 / step, "learning_rate": 0.1})
        log.validation({"step": step, "auroc": float("nan"), "kept": 0.5})
    log.draw()

    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert last_row(tmp_path, VALIDATIONS)["kept"] == 0.5


def test_a_table_whose_first_row_was_never_written_begins_anew(tmp_path: Path) -> None:
    """The run was killed between making the file and writing to it."""
    (tmp_path / STEPS).touch()
    log = ProgressLog(tmp_path)
    log.step({"step": 1, "loss": 0.5})
    assert rows(tmp_path, STEPS)[1][0] == "1"


def test_memory_that_is_kept_is_not_zeroed_anew() -> None:
    """On Linux with glibc: large arrays that come and go cost page faults once, not each time."""
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("the allocator is not glibc's")
    program = (
        "import resource, sys, numpy as np\n"
        "from training.allocator import keep_memory\n"
        "assert sys.argv[1] == 'plain' or keep_memory()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "for _ in range(20): np.full(50_000_000, 1, np.uint8)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)"
    )
    plain, kept = (
        int(subprocess.run([sys.executable, "-c", program, way], cwd=ROOT, check=True, capture_output=True).stdout)
        for way in ("plain", "kept")
    )
    assert kept < plain / 5
