import json
from pathlib import Path

import numpy as np
import pytest
from shapely.geometry import Polygon

from models.errors import InputError
from models.ppocr.geometry import box_quad
from models.ppocr.labels import Label, load_labels
from models.ppocr.score import count_detections, exact, match_quads, ned, quad_iou
from models.results import TextLine


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def entry(text: str, *points: tuple[float, float]) -> dict[str, object]:
    return {"transcription": text, "points": points}


SQUARE = ((0, 0), (10, 0), (10, 5), (0, 5))


def test_crops(folder: Path) -> None:
    (folder / "rec.txt").write_text("a.png\tLOT 1\nb.png\t[A]\n\n", "utf-8")
    assert [item.text for item in load_labels(folder / "rec.txt")] == ["LOT 1", "[A]"]


def test_photos(folder: Path) -> None:
    five = (*SQUARE[:3], (5, 6), SQUARE[3])
    rows = [[entry("X", *SQUARE), entry("###", *SQUARE)], [entry("Y", *five)]]
    text = "".join(f"{n}.png\t{json.dumps(r)}\n" for n, r in zip("ab", rows, strict=True))
    (folder / "det.txt").write_text(text, "utf-8")
    one, two = load_labels(folder / "det.txt")
    assert [line.ignored for line in one.lines] == [False, True]
    assert one.lines[0].quad.tolist() == [list(map(float, p)) for p in SQUARE]
    assert two.lines[0].quad.shape == (4, 2)


def test_all_faults_are_named_at_once(folder: Path) -> None:
    rows = ["a.png LOT", "c.png\tX", 'a.png\t[{"points": 3}]', f"b.png\t{json.dumps([entry('Z')])}"]
    (folder / "bad.txt").write_text("\n".join(rows), "utf-8")
    with pytest.raises(InputError) as caught:
        load_labels(folder / "bad.txt")
    lines = str(caught.value).splitlines()
    assert [line.split("bad.txt:")[1].split(":")[0] for line in lines] == ["1", "2", "3", "4"]
    assert "no tab" in lines[0]
    assert "no such image" in lines[1]


def test_a_thousand_faults_are_ten_lines_and_a_count(folder: Path) -> None:
    (folder / "bad.txt").write_text("x\n" * 1000, "utf-8")
    with pytest.raises(InputError, match="and 990 more"):
        load_labels(folder / "bad.txt")


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xff\t1"])
def test_empty_or_not_text(folder: Path, content: bytes) -> None:
    (folder / "bad.txt").write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.txt"):
        load_labels(folder / "bad.txt")


def test_exact_and_ned_leave_out_white_space() -> None:
    assert exact("LOT 12 A", "LOT12A")
    assert not exact("LOT 12B", "LOT12A")
    assert ned("LOT12B", "LOT12A") == pytest.approx(5 / 6)
    assert ned("", "ABC") == 0
    assert ned("", "") == 1


def test_iou_equals_an_independent_implementation() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        one = box_quad(0, 0, 100, 40) + rng.normal(0, 5, (4, 2)).astype(np.float32)
        two = box_quad(20, 10, 110, 45) + rng.normal(0, 5, (4, 2)).astype(np.float32)
        p, q = Polygon(one), Polygon(two)
        assert quad_iou(one, two) == pytest.approx(p.intersection(q).area / p.union(q).area, 1e-3)


def test_each_line_is_matched_once_best_first() -> None:
    truth = [box_quad(0, 0, 100, 20), box_quad(0, 30, 100, 50)]
    found = [box_quad(0, 0, 90, 20), box_quad(0, 0, 99, 20), box_quad(300, 300, 320, 310)]
    assert match_quads(found, truth) == {0: 1}


def test_counting_leaves_out_unreadable_lines() -> None:
    labels = [Label("A1", box_quad(0, 0, 50, 10)), Label("###", box_quad(0, 20, 50, 30), True)]
    labels.append(Label("B2", box_quad(0, 40, 50, 50)))
    lines = [TextLine("A1", 0.9, box_quad(0, 0, 50, 10)), TextLine("x", 0.9, labels[1].quad)]
    count = count_detections(lines, labels)
    assert (count.hits, count.found, count.labelled, count.exact) == (1, 1, 2, 1)
    assert (count.precision, count.recall) == (1.0, 0.5)
    assert count.hmean == pytest.approx(2 / 3)
    assert count.ned == 1.0


def test_a_text_may_hold_what_unicode_calls_a_line_end(folder: Path) -> None:
    text = "LOT\x0c1\u2028\x85"
    (folder / "rec.txt").write_bytes(f"a.png\t{text}\r\nb.png\tX\r\n".encode())
    assert [item.text for item in load_labels(folder / "rec.txt")] == [text, "X"]


def test_an_unreadable_line_may_be_of_no_size(folder: Path) -> None:
    (folder / "det.txt").write_text("a.png\t" + json.dumps([entry("###", *[(5, 5)] * 4)]))
    assert load_labels(folder / "det.txt")[0].lines[0].ignored


def test_a_name_that_no_file_can_have_is_a_fault_of_its_row(folder: Path) -> None:
    (folder / "bad.txt").write_text("x" * 300 + ".png\tA\n", "utf-8")
    with pytest.raises(InputError, match=r"bad\.txt:1: .* no such image"):
        load_labels(folder / "bad.txt")
