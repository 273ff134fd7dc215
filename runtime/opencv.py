"""OpenCV, set up once for the whole process: import ``cv2`` from here.

Its own thread pool is off: frames are decoded and resized in many threads at once, one frame each, and a pool
that all of them call splits work of 0.1 ms and makes them wait for each other. Its log is off: what it says of
a bad picture is said by a ``FrameError``.
"""

import cv2

cv2.setNumThreads(0)  # 0: each call runs in the thread that makes it
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

__all__ = ["cv2"]
