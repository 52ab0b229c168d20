"""Parts: the same for ever, inside their frame, and as their truth says."""

import importlib.util
import re
import tracemalloc
from datetime import date, timedelta
from itertools import pairwise

import cv2
import numpy as np
import pytest

from models.errors import InputError
from models.ppocr.geometry import crop_line
from tools.line import DEMO_JOB, KINDS, TODAY, Job, fonts, render
from tools.line.render import MAX_SIDE

LABELLED = ("carton", "cap", "marker")


def squeeze(text: str) -> str:
    return "".join(text.split())


def day_of(text: str, pattern: str) -> date | None:
    """The date that ``pattern`` finds, ``None`` if there is none or no calendar has it."""
    found = re.search(pattern, squeeze(text))
    try:
        return date(*(int(n) for n in found.groups())) if found else None
    except ValueError:
        return None


def judged(kind: str, texts: list[str], job: Job = DEMO_JOB) -> bool:
    """An inspector's own reading of the print: good or not. Knows nothing of faults."""
    if kind == "marker":
        return texts == [job.code]
    one = " ".join(texts)
    lots = re.findall(r"L\d{4}[A-Z]", one)
    if kind == "cap":
        expires = day_of(one, r"EXP(\d{4})(\d\d)(\d\d)(?!\d)")
        return bool(lots == [job.lot] and expires and expires >= TODAY)
    made = day_of(one, r"MFG(\d{4})-(\d\d)-(\d\d)")
    expires = day_of(one, r"EXP(\d{4})-(\d\d)-(\d\d)")
    return bool(
        lots == [job.lot]
        and made
        and expires
        and expires >= TODAY
        and expires - made == timedelta(days=job.shelf_days)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_part_is_the_same_bytes_in_whatever_order(kind: str) -> None:
    first = [render(kind, 5, i, ng=0.5) for i in range(4)]
    render(kind, 6, 0)  # another line in between
    for i in reversed(range(4)):
        image, truth = render(kind, 5, i, ng=0.5)
        assert image.tobytes() == first[i][0].tobytes()
        assert truth.fault == first[i][1].fault
        assert [line.text for line in truth.lines] == [line.text for line in first[i][1].lines]
    for (one, _), (other, _) in pairwise(first):
        assert one.tobytes() != other.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_belongs_to_whoever_holds_it(kind: str) -> None:
    image, _ = render(kind, 5, 0)
    before = image.tobytes()
    image[:] = 0
    assert render(kind, 5, 0)[0].tobytes() == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [0.75, 1.0, 1.5])
def test_all_truth_lies_inside_the_frame(kind: str, scale: float) -> None:
    width, height = (round(scale * n) for n in KINDS[kind].size)
    for index in range(12):
        image, truth = render(kind, 8, index, size=(width, height), ng=0.5)
        assert image.shape == (height, width, 3)
        assert image.dtype == np.uint8
        places = [line.quad for line in truth.lines]
        places += [defect.box.reshape(2, 2) for defect in truth.defects]
        for place in places:
            assert place.dtype == np.float32
            assert (place >= 0).all()
            assert (place <= (width, height)).all()


@pytest.mark.parametrize("kind", ["cap", "marker", "board"])
@pytest.mark.parametrize("size", [None, (640, 480), (800, 700)])
def test_the_zone_holds_what_it_is_for(kind: str, size: tuple[int, int] | None) -> None:
    size = size or KINDS[kind].size
    x0, y0, x1, y1 = KINDS[kind].zone(size)
    assert x0 >= 0
    assert y0 >= 0
    assert x1 <= size[0]
    assert y1 <= size[1]
    for index in range(20):
        _, truth = render(kind, 2, index, size=size, ng=0.5)
        places = [line.quad for line in truth.lines]
        places += [defect.box.reshape(2, 2) for defect in truth.defects]
        for place in places:
            assert (place >= (x0, y0)).all()
            assert (place <= (x1, y1)).all()


@pytest.mark.parametrize("kind", LABELLED)
def test_a_line_cut_out_by_its_quad_is_upright_ink_on_ground(kind: str) -> None:
    """Against the same text drawn by OpenCV's own font: upright fits better than upside down."""
    better = total = 0
    for index in range(15):
        image, truth = render(kind, 4, index, ng=0.0)
        for line in truth.lines:
            if not line.text.isascii():
                continue
            crop, _ = crop_line(image, line.quad, 32)
            grey = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY).astype(np.float32)
            ink = np.abs(grey - np.median(grey))
            (w, h), _ = cv2.getTextSize(line.text, cv2.FONT_HERSHEY_SIMPLEX, 1, 3)
            page = np.zeros((h + 8, w + 8), np.uint8)
            cv2.putText(page, line.text, (4, h + 4), cv2.FONT_HERSHEY_SIMPLEX, 1, (255,), 3)
            drawn = cv2.GaussianBlur(cv2.resize(page, ink.shape[::-1]), (0, 0), 3)
            up, down = (np.corrcoef(g.ravel(), drawn.ravel())[0, 1] for g in (ink, ink[::-1, ::-1]))
            total += 1
            better += up > down
    assert better >= 0.9 * total, f"{better} of {total}"


@pytest.mark.parametrize("kind", ["carton", "marker"])
def test_some_parts_are_upside_down_and_say_so(kind: str) -> None:
    turned = 0
    for index in range(60):
        quad = render(kind, 1, index, ng=0.0)[1].lines[0].quad
        turned += bool(quad[0, 0] > quad[1, 0])
    low, high = (2, 20) if kind == "carton" else (18, 42)
    assert low <= turned <= high


@pytest.mark.parametrize("kind", ["marker", "board"])
def test_the_fraction_of_bad_parts_is_as_asked(kind: str) -> None:
    bad = sum(not render(kind, 3, i, ng=0.2)[1].ok for i in range(300))
    assert 36 <= bad <= 84  # 60 expected; four standard deviations either way
    assert all(render(kind, 3, i, ng=0.0)[1].ok for i in range(20))
    assert not any(render(kind, 3, i, ng=1.0)[1].ok for i in range(20))


@pytest.mark.parametrize("kind", LABELLED)
def test_print_is_good_exactly_when_the_truth_says_ok(kind: str) -> None:
    seen = set()
    for index in range(120):
        _, truth = render(kind, 11, index, ng=0.7)
        texts = [line.text for line in truth.lines]
        assert judged(kind, texts) == truth.ok, (truth.fault, texts)
        assert truth.ok == (truth.fault is None)
        assert all(line.score == bool(line.text) for line in truth.lines)
        assert ("" in texts) == (truth.fault == "wiped")
        seen.add(truth.fault)
    assert seen == {None, *KINDS[kind].faults}


def test_another_job_is_printed_and_the_same_rules_hold() -> None:
    job = Job(lot="L2544K", made=date(2026, 6, 1), shelf_days=180, code="-F23")
    for kind in LABELLED:
        for index in range(25):
            _, truth = render(kind, 1, index, job, ng=0.5)
            texts = [line.text for line in truth.lines]
            assert judged(kind, texts, job) == truth.ok, (truth.fault, texts)


def test_wiped_print_keeps_no_stroke() -> None:
    """What is left of it varies along the line no more than bare metal or card does."""
    for kind in LABELLED:
        wiped: list[float] = []
        legible: list[float] = []
        for index in range(25):
            image, truth = render(kind, 6, index, ng=0.7)
            for line in truth.lines:
                crop, _ = crop_line(image, line.quad, 32)
                grey = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY).astype(np.float32)[10:-10]
                edges = np.abs(cv2.Sobel(cv2.GaussianBlur(grey, (0, 0), 1.5), cv2.CV_32F, 1, 0))
                (legible if line.text else wiped).append(float(np.percentile(edges, 90)))
        assert wiped
        assert max(wiped) < 0.5 * min(legible), kind


@pytest.mark.parametrize(
    ("kind", "seed", "size", "ng"),
    [
        ("bottle", 1, None, 0.2),
        ("carton", -1, None, 0.2),
        ("carton", 1, (320, 240), 0.2),
        ("carton", 1, (640, MAX_SIDE + 1), 0.2),
        ("cap", 1, None, 1.5),
        ("cap", 1, None, float("nan")),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(
    kind: str, seed: int, size: tuple[int, int] | None, ng: float
) -> None:
    with pytest.raises(InputError, match=r"^line: [^\n]+$"):
        render(kind, seed, 0, size=size, ng=ng)


def test_missing_type_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"install lineguard\[line\]"):
        fonts.text_mask("sans", 31, "never drawn before")


def test_memory_stays_bounded_over_many_parts() -> None:
    for kind in KINDS:
        for index in range(15):
            render(kind, 1, index)
    tracemalloc.start()
    try:
        for kind in KINDS:
            for index in range(15, 35):
                render(kind, 1, index, ng=0.5)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 8 * 2**20
