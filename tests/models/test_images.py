import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.errors import ImageError
from models.images import as_bgr, encode_image, load_image


def picture(height: int = 40, width: int = 60) -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (5, 5), 2), np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".webp"])
def test_colour_comes_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"part{suffix}"
    cv2.imwrite(str(path), picture(), [cv2.IMWRITE_WEBP_QUALITY, 101])
    assert np.array_equal(load_image(path), picture())


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    grey = picture()[:, :, 0]
    cv2.imwrite(str(tmp_path / "g.png"), grey)
    image = load_image(tmp_path / "g.png")
    assert image.shape == (40, 60, 3)
    assert all(np.array_equal(image[:, :, c], grey) for c in range(3))


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_sixteen_bit_files_of_fewer_bits_are_not_black(tmp_path: Path, bits: int) -> None:
    full = np.linspace(0, 2**bits - 1, 60 * 40).reshape(40, 60).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "deep.png"), full)
    image = load_image(tmp_path / "deep.png")
    assert image.dtype == np.uint8
    assert image.max() == 255
    assert abs(float(image.mean()) - 127.5) < 2


def test_transparency_is_laid_over_white() -> None:
    rgba = np.zeros((2, 2, 4), np.uint8)
    rgba[0, 0] = (10, 20, 30, 255)
    assert as_bgr(rgba)[0, 0].tolist() == [10, 20, 30]
    assert as_bgr(rgba)[1, 1].tolist() == [255, 255, 255]


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nowhere\.png: cannot be read"):
        load_image(tmp_path / "nowhere.png")


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path, suffix: str, share: float) -> None:
    whole = encode_image(picture(200, 300), suffix)
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ImageError, match="cut off"):
        load_image(path)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 200), (200, 1), (16385, 2)])
def test_sides_out_of_bounds_are_refused(tmp_path: Path, height: int, width: int) -> None:
    path = tmp_path / "odd.png"
    cv2.imwrite(str(path), np.zeros((height, width, 3), np.uint8))
    with pytest.raises(ImageError, match=f"{width}x{height} pixels"):
        load_image(path)


def test_a_header_that_promises_too_many_pixels_is_refused(tmp_path: Path) -> None:
    whole = bytearray(encode_image(picture(), ".png"))
    whole[16:24] = (60_000).to_bytes(4, "big") * 2
    path = tmp_path / "bomb.png"
    path.write_bytes(bytes(whole))
    with pytest.raises(ImageError):
        load_image(path)


def test_a_text_file_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "readme.png").write_text("not a picture")
    with pytest.raises(ImageError, match="not an image"):
        load_image(tmp_path / "readme.png")


def test_transparency_of_a_tall_picture_is_blended_row_by_row() -> None:
    rgba = np.dstack([picture(700, 5), picture(700, 5)[:, :, :1]])
    share = rgba[:, :, 3:] / 255
    expected = rgba[:, :, :3] * share + 255 * (1 - share)
    assert np.abs(as_bgr(rgba) - expected).max() <= 1


def test_more_pixels_than_any_sensor_has_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "wide.png"
    cv2.imwrite(str(path), picture(40, 60))
    monkeypatch.setattr("models.images.MAX_PIXELS", 40 * 60)
    assert load_image(path).shape == (40, 60, 3)
    monkeypatch.setattr("models.images.MAX_PIXELS", 40 * 60 - 1)
    with pytest.raises(ImageError, match="60x40 pixels"):
        load_image(path)


@pytest.mark.parametrize("name", ["folder", "pipe", "/dev/zero"])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ImageError, match="is no file"):
        load_image(tmp_path / name)


@pytest.mark.parametrize("suffix", ["", ".pdf"])
def test_a_format_that_there_is_not_is_refused(suffix: str) -> None:
    with pytest.raises(ImageError, match="no such image format"):
        encode_image(picture(), suffix)
