"""Labelled sets: what stands in the files is what was drawn, and the folder is whole or absent."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.errors import InputError, StorageError
from models.images import load_image
from tools.line import KINDS, dataset, render, render_dataset
from tools.line.board import CLASSES


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_files_hold_what_was_drawn(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    summary = render_dataset(folder, list(KINDS), 6, 3, ng=0.5, image_format="png", one_job=True)
    assert summary.parts == 24
    det = dict(line.split("\t") for line in (folder / "det.txt").read_text("utf-8").splitlines())
    rec = dict(line.split("\t") for line in (folder / "rec.txt").read_text("utf-8").splitlines())
    verdicts = [line.split("\t") for line in (folder / "verdicts.txt").read_text().splitlines()]
    coco = json.loads((folder / "boards.json").read_text())
    regions = dict(line.split("\t") for line in (folder / "regions.txt").read_text().splitlines())
    assert len(regions) == summary.regions == len(list((folder / "regions").iterdir()))
    assert {Path(name).stem.split("_")[0] for name in regions} == {"cap", "marker"}
    assert len(rec) == summary.crops == len(list((folder / "crops").iterdir()))
    assert len(coco["annotations"]) == summary.defects
    assert [c["name"] for c in coco["categories"]] == list(CLASSES)
    assert len(verdicts) == summary.parts
    for path, verdict, fault in verdicts:
        kind, index = Path(path).stem.split("_")
        image, truth = render(kind, 3, int(index), ng=0.5)
        assert np.array_equal(load_image(folder / path), image)
        assert (verdict, fault) == ("OK" if truth.ok else "NG", truth.fault or "")
        if kind == "board":
            entry = next(e for e in coco["images"] if e["file_name"] == path)
            mine = [a for a in coco["annotations"] if a["image_id"] == entry["id"]]
            assert [CLASSES[a["category_id"] - 1] for a in mine] == [d.label for d in truth.defects]
            for a, d in zip(mine, truth.defects, strict=True):
                x, y, w, h = a["bbox"]
                assert [x, y, x + w, y + h] == pytest.approx(d.box.tolist(), abs=0.1)
            continue
        region = f"regions/{Path(path).stem}.png"
        single = truth.lines[0].text if len(truth.lines) == 1 else ""
        assert regions.get(region, "") == single
        if single:
            height, width = image.shape[:2]
            x0, y0, x1, y1 = KINDS[kind].zone((width, height))
            assert np.array_equal(load_image(folder / region), image[y0:y1, x0:x1])
        labels = json.loads(det[path])
        assert [label["transcription"] for label in labels] == [
            line.text or "###" for line in truth.lines
        ]
        for number, (label, line) in enumerate(zip(labels, truth.lines, strict=True)):
            assert np.abs(np.array(label["points"]) - line.quad).max() <= 0.5
            crop = f"crops/{Path(path).stem}_{number}.png"
            assert rec.get(crop) == (line.text or None)
            if line.text:
                height, width = load_image(folder / crop).shape[:2]
                assert width > height


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        render_dataset(tmp_path / name, ["marker", "board"], 3, seed)
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b")
    assert bytes_of(tmp_path / "a") != bytes_of(tmp_path / "c")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o755


def test_jobs_vary_unless_one_is_wanted(tmp_path: Path) -> None:
    render_dataset(tmp_path / "many", ["marker"], 12, 1, ng=0)
    render_dataset(tmp_path / "one", ["marker"], 12, 1, ng=0, one_job=True)
    many, one = (
        {line.split("\t")[1] for line in (tmp_path / name / "rec.txt").read_text().splitlines()}
        for name in ("many", "one")
    )
    assert len(many) > 6
    assert len(one) == 1


def test_an_empty_folder_is_taken_and_a_full_one_left_alone(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    render_dataset(empty, ["marker"], 1)
    assert (empty / "det.txt").exists()
    before = bytes_of(empty)
    with pytest.raises(InputError, match="choose a new or an empty folder"):
        render_dataset(empty, ["marker"], 2)
    assert bytes_of(empty) == before
    with pytest.raises(InputError, match="choose a new or an empty folder"):
        render_dataset(empty / "det.txt", ["marker"], 2)


@pytest.mark.parametrize("failing", [0, 1, 4])
def test_a_full_disk_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    real = Path.write_bytes
    written = 0

    def write(path: Path, data: bytes) -> int:
        nonlocal written
        written += 1
        if written > failing:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, data)

    monkeypatch.setattr(Path, "write_bytes", write)
    with pytest.raises(StorageError, match="No space left"):
        render_dataset(tmp_path / "set", ["marker"], 4, ng=0)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(dataset, "encode_image", interrupted)
    with pytest.raises(KeyboardInterrupt):
        render_dataset(tmp_path / "set", ["marker"], 4)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_run_leaves_no_set(tmp_path: Path) -> None:
    script = "import sys, pathlib, tools.line; "
    script += "tools.line.render_dataset(pathlib.Path(sys.argv[1]), ['board'], 1000000)"
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "set")], stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 20
        while not list(tmp_path.glob(".set.*/images/*")):
            assert time.monotonic() < deadline
            assert child.poll() is None
            time.sleep(0.01)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("kinds", "count", "complaint"),
    [
        ([], 1, "name one or more"),
        (["cap", "cap"], 1, "each once"),
        (["bottle"], 1, "no such part"),
        (["cap"], 0, "must be 1 to"),
    ],
)
def test_what_cannot_be_rendered_is_refused(
    tmp_path: Path, kinds: list[str], count: int, complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint):
        render_dataset(tmp_path / "set", kinds, count)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="choose another"):
        render_dataset(tmp_path / "file" / "set", ["cap"], 1)


def test_a_line_longer_than_two_seconds_shows_its_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dataset, "PATIENCE_S", 0.0)
    monkeypatch.setenv("FORCE_COLOR", "1")
    render_dataset(tmp_path / "set", ["marker"], 2)
    assert "rendering" in capsys.readouterr().err


def test_jpeg_is_what_opencv_writes(tmp_path: Path) -> None:
    render_dataset(tmp_path / "set", ["board"], 1, 5, one_job=True)
    image, _ = render("board", 5, 0)
    stored = load_image(tmp_path / "set" / "images" / "board_000000.jpg")
    assert cv2.PSNR(image, stored) > 30
