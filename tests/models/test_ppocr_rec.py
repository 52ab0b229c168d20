from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rapidocr_onnxruntime.ch_ppocr_rec.utils import CTCLabelDecode

from models.errors import InputError, ModelError
from models.ppocr.rec import (
    BATCH_PIXELS,
    HEIGHT,
    MAX_WIDTH,
    check_dictionary,
    ctc_decode,
    load_dictionary,
    plan_batches,
    rec_input,
)

LETTERS = ("", *"ABCDEFGH", " ")


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=30), min_size=1, max_size=4))
def test_decoding_equals_an_independent_implementation(rows: list[list[int]]) -> None:
    steps = max(len(row) for row in rows)
    rng = np.random.default_rng(0)
    probabilities = rng.uniform(0, 0.1, (len(rows), steps, 10)).astype(np.float32)
    for i, row in enumerate(rows):
        for j, k in enumerate(row):
            probabilities[i, j, k] = rng.uniform(0.5, 1)
    theirs = CTCLabelDecode(character=list("ABCDEFGH"))(probabilities)
    ours = ctc_decode(probabilities, LETTERS)
    assert [text for text, _ in ours] == [text for text, _ in theirs]
    for (text, scores), (_, mean) in zip(ours, theirs, strict=True):
        assert len(scores) == len(text)
        if text:
            assert np.mean(scores) == pytest.approx(mean, abs=1e-6)


def test_repeats_merge_and_blanks_part() -> None:
    path = [1, 1, 0, 1, 2, 2, 0, 0, 9, 3]
    probabilities = np.eye(10, dtype=np.float32)[path][None]
    assert ctc_decode(probabilities, LETTERS)[0][0] == "AAB C"


@given(st.lists(st.tuples(st.integers(1, 200), st.integers(1, 6000)), max_size=40))
def test_every_crop_is_in_one_batch_that_holds_it(sizes: list[tuple[int, int]]) -> None:
    crops = [np.zeros((h, w, 3), np.uint8) for h, w in sizes]
    batches = plan_batches(crops)
    assert sorted(i for _, members in batches for i in members) == list(range(len(crops)))
    for width, members in batches:
        assert width % 64 == 0
        assert width <= MAX_WIDTH
        assert len(members) == 1 or width * len(members) <= BATCH_PIXELS
        for i in members:
            height, wide = crops[i].shape[:2]
            assert min(MAX_WIDTH, -(-HEIGHT * wide // height)) <= width


def test_input_is_scaled_and_padded_with_grey() -> None:
    white = np.full((24, 40, 3), 255, np.uint8)
    batch = rec_input([white], 128)
    assert batch.shape == (1, 3, 48, 128)
    assert np.allclose(batch[..., :80], 1)
    assert np.allclose(batch[..., 80:], 0)


def test_dictionary_has_blank_and_space(tmp_path: Path) -> None:
    (tmp_path / "keys.txt").write_text("A\nB\n中\n", "utf-8")
    assert load_dictionary(tmp_path / "keys.txt") == ("", "A", "B", "中", " ")


def test_a_byte_order_mark_is_no_character(tmp_path: Path) -> None:
    (tmp_path / "keys.txt").write_text("A\nB\n", "utf-8-sig")
    assert load_dictionary(tmp_path / "keys.txt") == ("", "A", "B", " ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no characters"),
        (b"A\n\nB\n", r"keys\.txt:2: an empty line"),
        (b"\xff\xfe", "not UTF-8 at byte 0"),
    ],
)
def test_bad_dictionaries_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "keys.txt").write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_dictionary(tmp_path / "keys.txt")


def test_a_dictionary_of_another_model_is_refused() -> None:
    with pytest.raises(ModelError, match="8 characters, but the recogniser has 6623"):
        check_dictionary(LETTERS, 6625, "keys.txt")


def test_more_classes_than_characters_never_reads_wrong() -> None:
    probabilities: NDArray[np.float32] = np.eye(20, dtype=np.float32)[[15]][None]
    with pytest.raises(IndexError):
        ctc_decode(probabilities, LETTERS)
