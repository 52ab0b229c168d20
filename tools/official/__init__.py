"""Our PP-YOLOE against PaddleDetection's own code, by hand: ``python -m tools.official --help``."""

import zlib  # noqa: F401 - before paddle, or pycocotools, which ppdet imports, crashes the process
