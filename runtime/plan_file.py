"""A TensorRT plan and the manifest beside it, checked before the library or a device sees them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from runtime.device import Device
from runtime.errors import EngineError
from runtime.manifest import Manifest, Plan, parse_manifest

BUILD = "build it here: python -m export tensorrt HALF.onnx"


@dataclass(frozen=True)
class PlanFile:
    """A plan that is what its manifest says.

    Raises:
        EngineError: one of the two is missing, cut off or of another pair.
    """

    path: Path
    content: bytes
    manifest: Manifest
    plan: Plan

    @classmethod
    def read(cls, path: Path) -> "PlanFile":
        """Read NAME.plan and NAME.json."""
        sidecar = path.with_suffix(".json")
        if not sidecar.is_file():
            raise EngineError(
                f"--engine {path}: its manifest {sidecar} is not there. Copy it beside the plan, or {BUILD} "
                f"--output {path}"
            )
        manifest = parse_manifest(_text(sidecar), str(sidecar))
        if manifest.plan is None:
            raise EngineError(
                f"{sidecar}: it says nothing of a plan (no 'plan' in it), so it is of another engine. "
                f"Copy the right one, or {BUILD} --output {path}"
            )
        file = cls(path, path.read_bytes(), manifest, manifest.plan)
        digest = hashlib.sha256(file.content).hexdigest()
        if digest != file.plan.sha256:
            raise EngineError(
                f"--engine {path}: truncated, or not the plan of {sidecar.name}: its {len(file.content)} bytes have "
                f"the SHA-256 {digest}, the manifest says {file.plan.sha256}. Copy both files again, or {file.rebuild}"
            )
        return file

    @property
    def rebuild(self) -> str:
        """The remedy for a plan that does not fit."""
        return f"{BUILD} --runtime {self.plan.runtime} --output {self.path}"

    def require_version(self, version: str) -> None:
        """Hold the plan to the library that is here.

        Raises:
            EngineError: it was built with another version, and not to be compatible with this one.
        """
        if self.plan.version == version:
            return
        older = _numbers(self.plan.version) < _numbers(version)
        if self.plan.version_compatible and older:
            return
        raise EngineError(
            f"--engine {self.path}: built with {self.plan.runtime} {self.plan.version}, here is {version}; "
            f"install that version, or {self.rebuild}"
        )

    def require_device(self, device: Device) -> None:
        """Hold the plan to the GPU that is here.

        Raises:
            EngineError: it was built for another one, and not to be compatible with this one.
        """
        plan, here = self.plan, "{}.{}".format(*device.compute_capability)
        built = f"{plan.gpu or 'any GPU'} (compute capability {plan.compute_capability})"
        refused = {
            "none": plan.compute_capability not in {None, here} or plan.gpu not in {None, device.name},
            "same-compute-capability": plan.compute_capability not in {None, here},
            "ampere-plus": device.compute_capability < (8, 0),
        }
        if plan.hardware_compatibility not in refused:
            raise EngineError(
                f"{self.path.with_suffix('.json')}: hardware_compatibility {plan.hardware_compatibility!r} is not one "
                f"of {', '.join(refused)}"
            )
        if refused[plan.hardware_compatibility]:
            raise EngineError(
                f"--engine {self.path}: built for {built}, hardware compatibility {plan.hardware_compatibility}; here "
                f"is {device.name} (compute capability {here}); {self.rebuild}"
            )

    def require_batch(self, max_batch: int) -> None:
        """Hold the plan to the largest batch that it will be given.

        Raises:
            EngineError: it takes smaller ones only.
        """
        if max_batch > self.plan.max_batch:
            raise EngineError(
                f"--max-batch {max_batch}: {self.path} takes at most {self.plan.max_batch}; serve with --max-batch "
                f"{self.plan.max_batch}, or {self.rebuild} --max-batch {max_batch}"
            )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise EngineError(f"{path}: the manifest is not text: {error}") from error


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
