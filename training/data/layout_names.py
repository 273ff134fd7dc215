"""What the layouts of folders are called: apart from their readers, so that a command line needs no reader."""

from typing import Literal, get_args

Layout = Literal["salient", "voc", "alpha", "pictures", "composed"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
