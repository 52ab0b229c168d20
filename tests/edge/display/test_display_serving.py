"""Where a display is served, and the token that changes need."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from display_lab import Lab, served

from edge.display.server import serve
from edge.display.token import matches, read_token
from edge.station import Display
from models.errors import ConfigError, DeviceError, StorageError


@pytest.fixture
def lab() -> Iterator[Lab]:
    with served() as lab:
        yield lab


def table(folder: Path, port: int, **more: object) -> Display:
    said = {"token_file": str(folder / "made" / "display.token"), "port": port, **more}
    return Display.model_validate(said)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_served_as_the_station_says(lab: Lab, tmp_path: Path) -> None:
    port = free_port()
    with serve(lab.state, lab.line, table(tmp_path, port, names=("line1.plant",))) as serving:
        assert serving.address == f"http://127.0.0.1:{port}/"
        path = tmp_path / "made" / "display.token"
        assert path.stat().st_mode & 0o777 == 0o600
        assert serving.link == f"{serving.address}#token={path.read_text().strip()}"
        ours = httpx.get(f"{serving.address}api/v1/job", headers={"Host": "line1.plant"})
        assert ours.status_code == 200
        with pytest.raises(DeviceError, match=r"port .* another program has it"):  # noqa: SIM117
            with serve(lab.state, lab.line, table(tmp_path, port)):
                pass


@pytest.mark.parametrize(
    ("host", "said"), [("203.0.113.7", "no such address"), ("no.invalid", "no such")]
)
def test_an_address_that_is_not_ours(lab: Lab, tmp_path: Path, host: str, said: str) -> None:
    with (
        pytest.raises(DeviceError, match=said),
        serve(lab.state, lab.line, table(tmp_path, 9, host=host)),
    ):
        pass


def test_a_token_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "t"
    token = read_token(path)
    assert read_token(path) == token
    assert [entry.name for entry in tmp_path.iterdir()] == ["t"]
    assert matches(token, token)
    assert not matches("", token)
    assert not matches("é" + token, token)


def test_a_token_that_others_read_is_none(tmp_path: Path) -> None:
    path = tmp_path / "t"
    read_token(path)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_token(path)
    path.write_text("short")
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="holds no token"):
        read_token(path)
    with pytest.raises(StorageError, match="token cannot be written"):
        read_token(Path("/proc/none/token"))


def test_many_starts_at_once_make_one_token(tmp_path: Path) -> None:
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(read_token(tmp_path / "t"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
