"""How many CPUs this process may really use: a container's quota, not the machine's cores."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


def usable_cpus(cgroups: Path = CGROUPS, own: Path = OWN) -> int:
    """CPUs by affinity and by the tightest cgroup quota (v2 and v1) above this process, rounded up, at least 1."""
    quotas = [_quota(folder) for folder in _folders(cgroups, own)]
    return max(1, math.ceil(min([len(os.sched_getaffinity(0)), *quotas])))


def _folders(cgroups: Path, own: Path) -> Iterator[Path]:
    """Our group and all above it. In a container the root is ours; under systemd we are further down."""
    yield cgroups
    yield cgroups / "cpu"
    try:
        groups = [line.split(":", 2) for line in own.read_text().splitlines()]
    except OSError:
        return
    for _, controllers, path in groups:
        mount = cgroups if not controllers else cgroups / "cpu"
        if not controllers or "cpu" in controllers.split(","):
            group = mount / path.lstrip("/")
            yield from (folder for folder in (group, *group.parents) if folder.is_relative_to(mount))


def _quota(folder: Path) -> float:
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text().strip()
        return math.inf if quota in {"max", "-1"} else int(quota) / int(period)
    except (OSError, ValueError):  # not mounted, or in words that we do not know
        return math.inf
