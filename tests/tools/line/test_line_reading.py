"""What a reader of print makes of OK parts: the line has to be one that can be read."""

from typing import Any

import pytest
from rapidocr_onnxruntime import RapidOCR

from models.ppocr.geometry import crop_line
from tools.line.render import render


@pytest.fixture(scope="module")
def ocr() -> Any:
    return RapidOCR(intra_op_num_threads=2, inter_op_num_threads=1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["carton", "cap", "marker"])
def test_an_independent_reader_reads_every_line_of_ok_parts(ocr: Any, kind: str) -> None:
    """PP-OCRv4's recogniser alone, on lines cut out and turned by the truth's quads."""
    wrong = []
    total = 0
    for index in range(10 if kind == "carton" else 40):
        image, truth = render(kind, 12, index, ng=0.0)
        for line in truth.lines:
            crop, _ = crop_line(image, line.quad, 48)
            found, _ = ocr(crop, use_det=False, use_cls=False, use_rec=True)
            text = "".join(found[0][0].split()) if found else ""
            total += 1
            if text != "".join(line.text.split()):
                wrong.append((line.text, text))
    assert len(wrong) <= 0.03 * total, wrong


@pytest.mark.slow
def test_nobody_reads_wiped_print(ocr: Any) -> None:
    for kind in ("carton", "cap", "marker"):
        for index in range(40):
            image, truth = render(kind, 13, index, ng=0.8)
            for line in (line for line in truth.lines if not line.text):
                crop, _ = crop_line(image, line.quad, 48)
                found, _ = ocr(crop, use_det=False, use_cls=False, use_rec=True)
                assert not found or found[0][1] < 0.6 or len(found[0][0]) < 3
