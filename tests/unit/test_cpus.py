"""How many CPUs a container may use, from cgroup folders as the kernel writes them."""

import os
from pathlib import Path

import pytest

from runtime.cpus import usable_cpus


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight cores by affinity."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("content", "cpus"),
    [
        ("max 100000\n", 8),
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("50000 100000\n", 1),
        ("1000 100000\n", 1),
        ("1600000 100000\n", 8),
        ("", 8),
        ("garbage", 8),
        ("much 100000", 8),
    ],
)
def test_version_2(tmp_path: Path, content: str, cpus: int) -> None:
    """``cpu.max`` holds quota and period; a fraction is rounded up; what cannot be read limits nothing."""
    (tmp_path / "cpu.max").write_text(content)

    assert usable_cpus(tmp_path, tmp_path / "no own") == cpus


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("quota", "period", "cpus"),
    [("-1", "100000", 8), ("300000", "100000", 3), ("250000", "100000", 3), ("5000", "50000", 1), ("-1", "", 8)],
)
def test_version_1(tmp_path: Path, quota: str, period: str, cpus: int) -> None:
    """Two files in ``cpu``; -1 is no limit."""
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text(f"{period}\n")

    assert usable_cpus(tmp_path, tmp_path / "no own") == cpus


@pytest.mark.usefixtures("machine")
def test_no_cgroup(tmp_path: Path) -> None:
    """Outside of a container the affinity alone counts."""
    assert usable_cpus(tmp_path / "nothing", tmp_path / "no own") == 8


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("limited", ["a.slice", "a.slice/b.service"])
def test_the_tightest_group_above_counts(tmp_path: Path, limited: str) -> None:
    """Without a cgroup namespace the quota stands at our own group (systemd's CPUQuota=) or one above it."""
    own = tmp_path / "own"
    own.write_text("0::/a.slice/b.service\n")
    (tmp_path / "a.slice" / "b.service").mkdir(parents=True)
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / limited / "cpu.max").write_text("200000 100000\n")

    assert usable_cpus(tmp_path, own) == 2


def test_affinity_goes_before_a_larger_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pinned to one core, a quota of four helps nobody."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5})
    (tmp_path / "cpu.max").write_text("400000 100000\n")

    assert usable_cpus(tmp_path, tmp_path / "no own") == 1


def test_this_machine() -> None:
    """The real folders are read without an error."""
    assert 1 <= usable_cpus() <= len(os.sched_getaffinity(0))
