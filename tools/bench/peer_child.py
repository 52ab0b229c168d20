"""The official codes, in a process of their own: ``python -I peer_child.py NAME SETTINGS``.

It imports nothing of ours, and nothing of ours imports it: a package of PaddleOCR's is called
``tools``, as ours is. Pictures come in on stdin, each a file of NumPy's after its length of eight
bytes; answers go out on stdout as lines of JSON. :mod:`tools.bench.peer_process` is the other end.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.metadata
import importlib.util
import io
import json
import os
import sys
import time
import types
import zlib  # noqa: F401 - before paddle, which crashes the process otherwise
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["main"]

Answer = Callable[[NDArray[np.uint8]], dict[str, Any]]

TRAINING = ("albumentations", "lmdb", "pandas", "pycocotools", "skimage")
"""What both import for their training alone, and our lock leaves out."""


class _Nothing(types.ModuleType):
    """A module in whose place any name is an empty class: it can be imported, not used."""

    __version__ = "0"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class _Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds :data:`TRAINING` where nobody else does."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] not in TRAINING:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _Nothing(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


def _options(threads: int) -> Any:
    options = importlib.import_module("onnxruntime").SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    return options


def _paddleocr(det: str, rec: str, cls: str, keys: str, threads: int) -> Answer:
    """``TextSystem``, which is all that ``PaddleOCR.ocr`` calls of a picture, with its defaults."""
    spec = importlib.util.find_spec("paddleocr")
    sys.path[:0] = (spec and spec.submodule_search_locations) or ()  # as it does itself
    args = importlib.import_module("tools.infer.utility").init_args().parse_args([])
    vars(args).update(
        use_gpu=False,
        use_onnx=True,
        onnx_sess_options=_options(threads),
        det_model_dir=det,
        rec_model_dir=rec,
        cls_model_dir=cls,
        rec_char_dict_path=keys,
        use_angle_cls=True,
        show_log=False,
    )
    read = importlib.import_module("tools.infer.predict_system").TextSystem(args)

    def answer(image: NDArray[np.uint8]) -> dict[str, Any]:
        start = time.perf_counter()
        _, found, _ = read(image)
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "texts": [text for text, _ in found or ()]}

    return answer


def _paddledet(
    model: str, size: Sequence[int], threshold: float, nms_iou: float, threads: int
) -> Answer:
    """A plain session between PaddleDetection's transforms and the last step of its head.

    ``size`` is width and height of the network's input. The transforms, ``nms_top_k`` and
    ``keep_top_k`` are those of its configuration ppyoloe_plus.
    """
    paddle = importlib.import_module("paddle")
    transforms = importlib.import_module("ppdet.data.transform.operators")
    layers = importlib.import_module("ppdet.modeling.layers")
    heads = importlib.import_module("ppdet.modeling.heads.ppyoloe_head")
    cv2 = importlib.import_module("cv2")
    prepare = [
        transforms.Resize(target_size=[size[1], size[0]], keep_ratio=False, interp=cv2.INTER_CUBIC),
        transforms.NormalizeImage(mean=[0.0] * 3, std=[1.0] * 3, norm_type="none"),
        transforms.Permute(),
    ]
    nms = layers.MultiClassNMS(
        score_threshold=threshold, nms_threshold=nms_iou, nms_top_k=1000, keep_top_k=300
    )
    # The network itself is in the session: of the head only what comes after it is taken.
    head = types.SimpleNamespace(
        eval_size=(size[1], size[0]),
        fpn_strides=(32, 16, 8),
        grid_cell_offset=0.5,
        exclude_post_process=False,
        exclude_nms=False,
        nms=nms,
    )
    points, strides = heads.PPYOLOEHead._generate_anchors(head)
    ort = importlib.import_module("onnxruntime")
    session = ort.InferenceSession(model, _options(threads), ["CPUExecutionProvider"])

    def answer(image: NDArray[np.uint8]) -> dict[str, Any]:
        start = time.perf_counter()
        sample: dict[str, Any] = {"image": cv2.cvtColor(image, cv2.COLOR_BGR2RGB)}
        for each in prepare:
            sample = each(sample)
        tensor = np.ascontiguousarray(sample["image"][None])
        ready = time.perf_counter()
        distances, scores = session.run(None, {"image": tensor})
        done = time.perf_counter()
        with paddle.no_grad():
            outputs = (
                paddle.to_tensor(scores),
                paddle.to_tensor(distances.transpose(0, 2, 1)),
                points,
                strides,
            )
            scale = paddle.to_tensor(sample["scale_factor"][None])
            found, _, _ = heads.PPYOLOEHead.post_process(head, outputs, scale)
            boxes = found.numpy()
        end = time.perf_counter()
        return {
            "pre": ready - start,
            "infer": done - ready,
            "post": end - done,
            "boxes": boxes.tolist(),
        }

    return answer


PEERS: dict[str, Callable[..., Answer]] = {"paddleocr": _paddleocr, "paddledet": _paddledet}


def main() -> None:
    """Open the peer that the arguments name, and answer until there are no more pictures."""
    name, settings = sys.argv[1], json.loads(sys.argv[2])
    sys.argv[1:] = []
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # both print
    sys.meta_path.append(_Absent())
    answer = PEERS[name](**settings)
    print(json.dumps({"version": importlib.metadata.version(name)}), file=answers, flush=True)
    while length := sys.stdin.buffer.read(8):
        image = np.load(io.BytesIO(sys.stdin.buffer.read(int.from_bytes(length, "big"))))
        print(json.dumps(answer(image)), file=answers, flush=True)


if __name__ == "__main__":
    main()
