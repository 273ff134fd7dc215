"""How many CPUs this process may really use: a container's quota, not the machine's cores."""

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def usable_cpus(cgroup: Path = CGROUP) -> int:
    """CPUs by affinity and by the cgroup's quota (v2 and v1), rounded up, at least 1."""
    return max(1, math.ceil(min(len(os.sched_getaffinity(0)), _quota(cgroup))))


def _quota(cgroup: Path) -> float:
    try:
        if (cgroup / "cpu.max").exists():
            quota, period = (cgroup / "cpu.max").read_text().split()
        else:
            quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text().strip()
        return math.inf if quota in {"max", "-1"} else int(quota) / int(period)
    except (OSError, ValueError):  # not mounted, or in words that we do not know
        return math.inf
