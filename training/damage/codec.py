"""Codecs: a frame as it travels, lossy."""

from dataclasses import dataclass

import numpy as np

from runtime.decode import Pixels
from runtime.errors import ConfigError
from runtime.opencv import cv2


@dataclass(frozen=True, slots=True)
class Codec:
    """A still-picture codec, at 4:2:0 where it has a choice; qualities 1 to 100, each codec's own scale."""

    extension: str
    quality_flag: int
    longest_side: int
    """Pixels; more the format, or its library, cannot say."""

    def encode(self, pixels: Pixels, quality: float) -> bytes:
        """Encode uint8 RGB.

        Raises:
            ConfigError: a side is longer than ``longest_side``.
        """
        height, width = pixels.shape[:2]
        if max(height, width) > self.longest_side:
            name, longest = self.extension[1:], self.longest_side
            raise ConfigError(f"{name} cannot hold a picture of {width} x {height} px; a side may have {longest}")
        bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
        done, encoded = cv2.imencode(self.extension, bgr, [self.quality_flag, round(quality)])
        assert done
        return encoded.tobytes()

    def decode(self, encoded: bytes) -> Pixels:
        """Decode what ``encode`` made, to uint8 RGB."""
        return np.asarray(cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB), np.uint8)

    def compress(self, pixels: Pixels, quality: float) -> Pixels:
        """There and back."""
        return self.decode(self.encode(pixels, quality))


CODECS = {
    "jpeg": Codec(".jpg", cv2.IMWRITE_JPEG_QUALITY, 65_500),
    "webp": Codec(".webp", cv2.IMWRITE_WEBP_QUALITY, 16_383),
    "avif": Codec(".avif", cv2.IMWRITE_AVIF_QUALITY, 32_768),
}
"""AVIF's 100 is lossless."""
