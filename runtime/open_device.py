"""Which GPU there is, and what drives it."""

import ctypes
from importlib.util import find_spec

from runtime.device import Device
from runtime.errors import ConfigError

DRIVER = "libcuda.so.1"
REMEDY = "install NVIDIA's driver; in a container, start it with the GPU (docker run --gpus all)"


def open_device() -> Device:
    """The first GPU that ``CUDA_VISIBLE_DEVICES`` leaves visible, in its primary context.

    cuda.core drives it where it is installed, since it captures graphs; else pycuda.

    Raises:
        ConfigError: no driver, no GPU, or neither package.
        InferenceError: the driver fails.
    """
    require_gpu()
    try:
        if _installed("cuda.core"):
            from runtime.device_cuda_core import CudaCoreDevice  # noqa: PLC0415 - imported when it is needed

            return CudaCoreDevice()
        if _installed("pycuda"):
            from runtime.device_pycuda import PycudaDevice  # noqa: PLC0415 - likewise

            return PycudaDevice()
    except ImportError as error:
        raise ConfigError(
            f"what drives the GPU is installed but cannot be loaded: {error}. "
            "Install the extra anew: pip install --force-reinstall 'framegate[cuda]' (docs/gpu.md)"
        ) from error
    raise ConfigError(
        "nothing here drives the GPU: neither cuda.core nor pycuda is installed. "
        "Install an extra that brings one: pip install 'framegate[cuda]' (docs/gpu.md)"
    )


def require_gpu(driver: str = DRIVER) -> None:
    """Ask the driver itself, before any library that would crash without one.

    Args:
        driver: the library's name or path.

    Raises:
        ConfigError: there is no driver, or it has no GPU for us; the text says what to do.
    """
    try:
        cuda = ctypes.CDLL(driver)
    except OSError as error:
        raise ConfigError(f"no GPU: the driver's {driver} cannot be loaded ({error}); {REMEDY}") from error
    result, count = cuda.cuInit(0), ctypes.c_int(0)
    result = result or cuda.cuDeviceGetCount(ctypes.byref(count))
    if result:
        raise ConfigError(f"no GPU: the driver answers {_name(cuda, result)}; {REMEDY}")
    if count.value == 0:
        raise ConfigError(f"no GPU: the driver has no device; look at CUDA_VISIBLE_DEVICES and nvidia-smi, or {REMEDY}")


def _name(cuda: ctypes.CDLL, result: int) -> str:
    text = ctypes.c_char_p()
    cuda.cuGetErrorName(result, ctypes.byref(text))
    return text.value.decode() if text.value else f"error {result}"


def _installed(package: str) -> bool:
    parent = package.partition(".")[0]
    return find_spec(parent) is not None and find_spec(package) is not None
