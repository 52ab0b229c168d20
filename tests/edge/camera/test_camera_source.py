from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import edge.camera
from edge.camera import KINDS, Source, check_source, list_cameras, open_camera, register
from edge.camera.folder import ImageFolder
from edge.camera.source import mask
from edge.camera.stream import StreamCamera
from edge.camera.v4l2 import V4l2Camera
from edge.camera.video import VideoFile
from models.errors import CameraError, InputError


@pytest.mark.parametrize(
    ("source", "kind", "name", "fps"),
    [
        ("v4l2:/dev/video9?width=1280&height=720&fps=30", V4l2Camera, "v4l2:/dev/video9", 30),
        ("V4L2:/dev/v4l/by-id/usb-cam", V4l2Camera, "v4l2:/dev/v4l/by-id/usb-cam", 0),
        ("v4l2:/dev/video0?fourcc=MJPG", V4l2Camera, "v4l2:/dev/video0", 0),
        ("rtsp://10.0.0.7:554/live", StreamCamera, "rtsp://10.0.0.7:554/live", 0),
        ("rtsp://u:p@cam/live#fps=12.5", StreamCamera, "rtsp://***@cam/live", 12.5),
        ("http://cam/video.cgi?channel=2", StreamCamera, "http://cam/video.cgi?channel=2", 0),
        ("https://[::1]:8443/x", StreamCamera, "https://[::1]:8443/x", 0),
        ("file:part.mp4", VideoFile, "file:part.mp4", 0),
        ("file:一号线/part.mp4?fps=10", VideoFile, "file:一号线/part.mp4", 10),
        ("folder:parts/?fps=4&loop=1", ImageFolder, "folder:parts", 4),
    ],
)
def test_source_becomes_camera(source: str, kind: type, name: str, fps: float) -> None:
    check_source(source)
    camera = open_camera(source)
    assert isinstance(camera, kind)
    assert camera.name == name
    assert camera.fps == fps


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("", "no camera source"),
        ("/dev/video0", "v4l2:"),
        ("rstp://cam/live", "did you mean 'rtsp'"),
        ("gopher://cam/live", "there are v4l2:, rtsp:"),
        ("v4l2:", "v4l2:/dev/video0"),
        ("v4l2:video0", "v4l2:/dev/video0"),
        ("v4l2:/dev/video0?widht=1280", "did you mean 'width'"),
        ("v4l2:/dev/video0?width=0", "must be 1 to 16384"),
        ("v4l2:/dev/video0?width=99999", "must be 1 to 16384"),
        ("v4l2:/dev/video0?width=12.5", "whole number"),
        ("v4l2:/dev/video0?width=nan", "must be 1 to 16384"),
        ("v4l2:/dev/video0?width=wide", "must be a number"),
        ("v4l2:/dev/video0?width=1&width=2", "given twice"),
        ("v4l2:/dev/video0?fourcc=JPG", "four letters"),
        ("folder:", "folder:parts/"),
        ("folder:parts?loop=2", "must be 0 to 1"),
        ("folder:parts?fps=-1", "must be 0 to 1000"),
        ("folder:parts?fps=0.01", "must be 0 or 0.1 to 1000"),
        ("folder:parts?fps", "NAME=VALUE"),
        ("file:", "file:part.mp4"),
        ("file:a.mp4?loop=1", "unknown option 'loop'"),
        ("file:a\nb.mp4", "no camera source"),
        ("http:cam/live", "http://host/path"),
        ("http:///live", "malformed address"),
        ("http://cam:99999/live", "malformed address"),
        ("http://[::1/live", "malformed address"),
        ("rtsp://u:p@ss@cam/live", "%40 for @"),
        ("rtsp://cam/live#fsp=3", "did you mean 'fps'"),
    ],
)
def test_bad_source_is_refused_in_one_line(source: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        check_source(source)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def refusal(source: str) -> str:
    """What is said against it; empty if nothing is."""
    try:
        open_camera(source)
    except InputError as error:
        return str(error)
    return ""


@given(
    text=st.one_of(
        st.text(max_size=60),
        st.tuples(
            st.sampled_from([*KINDS, "line", "x"]),
            st.text(alphabet=":/@?#&=%[].%abc1é\n", max_size=30),
        ).map(":".join),
    )
)
def test_any_text_is_a_camera_or_one_line(text: str) -> None:
    assert "\n" not in refusal(text)


SECRET = "s3cr3t"  # noqa: S105 - the point of it


@pytest.mark.parametrize(
    "template",
    [
        "rtsp://admin:{}@cam/live",
        "rtsp://admin:{}@cam:no/live",
        "rtsp://admin:{}@cam/live#fsp=3",
        "rtsp://admin:{}@cam/live#nonsense",
        "rtsp:/admin:{}@cam/live",
        "rtsp:admin:{}@cam/live?x",
        "rstp://admin:{}@cam/live",
        "rtsp://admin:a/{}@cam/live",
        "rtsp://admin:a#{}@cam/live",
        "rtsp://admin:a@{}@cam/live",
        "rtsp://admin:a?{}@cam/live",
        "http://cam/live?user=admin&pwd={}",
        "http://cam/live?{}",
        "http://cam/live?pwd={}#fsp=1",
        "admin:{}@cam/live",
    ],
)
def test_password_is_nowhere_to_be_seen(template: str) -> None:
    source = template.format(SECRET)
    said = refusal(source)
    assert SECRET not in said
    if not said:
        camera = open_camera(source)
        assert SECRET not in camera.name
        assert SECRET not in repr(camera)


@given(user=st.text(max_size=8), password=st.text(max_size=12))
@example("a", "://@#?&=/")
def test_mask_hides_any_credential(user: str, password: str) -> None:
    secret = f"<{password}>"
    shown = mask(f"rtsp://{user}:{secret}@cam/live?channel=1&key={secret}#{secret}")
    assert "<" not in shown
    assert shown.startswith("rtsp://***@")


def test_options_do_not_show_in_repr_of_source() -> None:
    assert SECRET not in repr(Source("rtsp://***@cam", "rtsp", f"rtsp://u:{SECRET}@cam"))


@pytest.fixture
def line_kind() -> Iterator[list[Source]]:
    seen: list[Source] = []

    def factory(source: Source) -> ImageFolder:
        source.only("rate", "seed")
        source.number("rate", 4.0, 0.1, 100.0)
        seen.append(source)
        return ImageFolder(Path("parts"))

    before = dict(KINDS)
    register("line", factory)
    yield seen
    KINDS.clear()
    KINDS.update(before)


def test_registered_kind_is_a_source(line_kind: list[Source]) -> None:
    check_source("line:?rate=4&seed=7")
    assert line_kind[0].integer("seed", 0, 0, 2**31) == 7
    assert line_kind[0].number("rate", 1.0, 0.1, 100.0) == 4.0
    with pytest.raises(InputError, match="did you mean 'rate'"):
        check_source("line:?rat=4")
    with pytest.raises(InputError, match="did you mean 'line'"):
        check_source("lien:?rate=4")


def device(root: Path, node: str, index: str, name: str) -> None:
    (root / node).mkdir(parents=True)
    (root / node / "index").write_text(index + "\n")
    (root / node / "name").write_text(name + "\n")


def test_cameras_are_listed_by_number_without_metadata_nodes(tmp_path: Path) -> None:
    device(tmp_path, "video10", "0", "USB Camera: 相机")
    device(tmp_path, "video2", "0", "HD Webcam")
    device(tmp_path, "video3", "1", "HD Webcam")
    (tmp_path / "v4l-subdev0").mkdir()
    (tmp_path / "video4").mkdir()
    assert list_cameras(tmp_path) == [
        "/dev/video2 (HD Webcam)",
        "/dev/video4 (unnamed)",
        "/dev/video10 (USB Camera: 相机)",
    ]


def test_no_camera_at_all_is_an_empty_list(tmp_path: Path) -> None:
    assert list_cameras(tmp_path / "video4linux") == []


def test_missing_camera_lists_what_there_is(tmp_path: Path) -> None:
    device(tmp_path, "video2", "0", "HD Webcam")
    with pytest.raises(CameraError) as caught:
        V4l2Camera("/dev/video99", root=tmp_path).open()
    assert str(caught.value) == (
        "v4l2:/dev/video99: no such camera: there is /dev/video2 (HD Webcam); "
        "or use another source (rtsp:, http:, https:, file:, folder:)"
    )


def test_machine_without_usb_says_so_and_what_else_there_is(tmp_path: Path) -> None:
    with pytest.raises(CameraError) as caught:
        V4l2Camera("/dev/video99", root=tmp_path).open()
    assert str(caught.value) == (
        "v4l2:/dev/video99: no such camera: this machine has no USB camera: plug one in, "
        "or use another source (rtsp:, http:, https:, file:, folder:)"
    )


@pytest.mark.parametrize("node", ["/dev/null", "/dev"])
def test_device_that_is_no_camera(node: str) -> None:
    with pytest.raises(CameraError, match="no capture device"):
        V4l2Camera(node).open()


def test_reading_before_opening_is_a_camera_error() -> None:
    for source in ("v4l2:/dev/video0", "rtsp://cam/x", "file:a.mp4", "folder:x"):
        camera = open_camera(source)
        with pytest.raises(CameraError, match="open it first"):
            camera.read()
        camera.close()


def test_all_is_exactly_what_is_public() -> None:
    for name in edge.camera.__all__:
        assert hasattr(edge.camera, name)
