import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.errors import DeviceError
from tools.bench import peer_child, peer_process, repeat
from tools.bench.boards import against_official, differing
from tools.bench.peer_process import PeerProcess
from tools.bench.peers import Photo, compare
from tools.bench.repeat import agreement
from tools.bench.report import markdown

SpotsMaker = Callable[..., Path]
MACHINE = {"cpu": "c", "cores": 2, "python": "3", "onnxruntime": "1", "date": "d"}

ECHO = """
import io, json, sys
import numpy as np
print(json.dumps({"version": sys.argv[1] + sys.argv[2]}), flush=True)
while length := sys.stdin.buffer.read(8):
    image = np.load(io.BytesIO(sys.stdin.buffer.read(int.from_bytes(length, "big"))))
    if not image.any():
        sys.exit("it is dark")
    print(json.dumps({"shape": image.shape, "sum": int(image.sum())}), flush=True)
"""


def page(section: str, figures: dict[str, object]) -> str:
    measured = {"command": "python -m tools.bench", "machine": MACHINE, "figures": figures}
    return markdown({section: measured})


def box(label: int, score: float, *edges: float) -> list[float]:
    return [label, score, *edges]


def boxes(*rows: list[float]) -> NDArray[np.float64]:
    return np.array(rows, np.float64).reshape(-1, 6)


def test_boxes_that_one_side_has_alone_are_counted() -> None:
    one, other = box(0, 0.9, 10, 10, 20, 20), box(1, 0.8, 30, 30, 40, 40)
    near = box(0, 0.9005, 10.05, 10, 20, 19.95)
    assert differing(boxes(one, other), boxes(other, near), (50, 50)) == 0
    assert differing(boxes(one, other), boxes(near), (50, 50)) == 1
    assert differing(boxes(), boxes(), (50, 50)) == 0
    assert differing(boxes(one), boxes(), (50, 50)) == 1
    for changed in (
        box(1, 0.9, 10, 10, 20, 20),
        box(0, 0.898, 10, 10, 20, 20),
        box(0, 0.9, 10, 10.2, 20, 20),
    ):
        assert differing(boxes(one), boxes(changed), (50, 50)) == 2


def test_a_box_has_one_partner_alone_and_ends_with_the_picture() -> None:
    one = box(0, 0.9, 10, 10, 20, 20)
    assert differing(boxes(one, one), boxes(one), (50, 50)) == 1
    outside = box(0, 0.9, -3, 10, 57, 20)
    assert differing(boxes(outside), boxes(box(0, 0.9, 0, 10, 50, 20)), (50, 50)) == 0


def test_agreement_of_a_run_and_the_next() -> None:
    found = agreement([1.0, 1.02, 1.06, 1.03])
    assert found == {"pairs": 3, "within": 2, "apart": [2.0, 3.92, 2.91], "most": 6.0}


def test_readers_are_compared_on_the_same_pictures() -> None:
    order: list[str] = []

    def reader(name: str, seconds: float, *texts: str) -> Callable[..., tuple[float, list[str]]]:
        def read(image: NDArray[np.uint8]) -> tuple[float, list[str]]:
            order.append(name)
            return seconds, list(texts)

        return read

    photos = [Photo(np.zeros((100, 200, 3), np.uint8), ("LOT 1", "B")) for _ in range(9)]
    peers = {"slow": reader("slow", 0.3, "LOT1", "B"), "blind": reader("blind", 0.2)}
    found = compare(photos, reader("ours", 0.1, "LOT1"), peers)
    assert (found["images"], found["lines"], found["our_recall"]) == (9, 18, 0.5)
    assert found["peers"]["slow"]["their_recall"] == 1
    assert found["peers"]["slow"]["ratio"] == 3
    assert found["peers"]["blind"]["their_recall"] == 0
    timed = [tuple(order[i : i + 3]) for i in range(len(order) - 18, len(order), 3)]
    assert len(set(timed)) == 6  # every order once
    text = page("peers", {"threads": 1, "sets": {"cartons": found}})
    assert "| cartons | 9 | 0.02 | slow | 300 | 100 | **3.00** (3.00 to 3.00) | 100.0% |" in text


@pytest.fixture
def echo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    child = tmp_path / "echo.py"
    child.write_text(ECHO)
    monkeypatch.setattr(peer_process, "CHILD", child)
    return child


def test_a_peer_is_shown_pictures(echo: Path) -> None:
    with PeerProcess("paddleocr", 3, {}) as peer:
        assert peer.version == 'paddleocr{"threads": 3}'
        picture = np.full((7, 5, 3), 2, np.uint8)
        for part in (picture, picture[:, ::-1], picture[::2]):
            assert peer.look(part) == {"shape": list(part.shape), "sum": 2 * part.size}


def test_a_peer_that_dies_says_why(echo: Path) -> None:
    with (
        PeerProcess("paddleocr", 1, {}) as peer,
        pytest.raises(DeviceError, match="paddleocr: ended, last said 'it is dark'"),
    ):
        peer.look(np.zeros((2, 2, 3), np.uint8))
    echo.write_text("import nothing_of_the_kind")
    with pytest.raises(DeviceError, match=r"paddledet: ended, .*nothing_of_the_kind"):
        PeerProcess("paddledet", 1, {})


def test_what_only_training_takes_can_be_imported_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(peer_child, "TRAINING", ("nobody_has_this",))
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, peer_child._Absent()])
    from nobody_has_this import part  # type: ignore[import-not-found]
    from nobody_has_this.deeper import Kind  # type: ignore[import-not-found]

    class Own(Kind):  # type: ignore[misc]
        pass

    assert isinstance(part, type)
    with pytest.raises(AttributeError):
        Own().work()
    with pytest.raises(ImportError):
        import nobody_has_that  # type: ignore[import-not-found]  # noqa: F401
    for name in [name for name in sys.modules if name.startswith("nobody_has_this")]:
        del sys.modules[name]


@pytest.mark.slow
def test_the_official_code_finds_the_same_defects() -> None:
    figures = against_official("zoo:pcb-defects-xs", threads=1, images=1)
    assert [row["set"] for row in figures["rows"]] == ["boards", "boards", "montages", "montages"]
    assert all(row["boxes"] > 0 for row in figures["rows"])
    assert sum(row["differing"] for row in figures["rows"]) == 0
    text = page("boards", figures)
    assert "paddledet 2.6.0" in text
    assert "`zoo:pcb-defects-xs`" in text


@pytest.mark.slow
def test_a_bench_is_run_again(
    spots: SpotsMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = {"model": str(spots(tmp_path)), "shapes": {"image": [1, 3, 64, 64]}}
    monkeypatch.setattr(repeat, "A", model)
    monkeypatch.setattr(repeat, "B", model)
    figures = repeat.repeatability(1, lambda runs: runs, runs=2, rounds=10)
    assert figures["pairs"] == 1
    assert all(run["low"] <= run["ratio"] <= run["high"] for run in figures["runs"])
    text = page("repeat", figures)
    assert f"in **{figures['within']} of 1** pairs" in text
