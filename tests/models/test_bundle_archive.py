"""The file: one form only, and nothing that a hostile one can do."""

import hashlib
import os
import random
import tarfile
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from bundle_lab import PAYLOAD, make_bundle, make_key, make_manifest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.bundle import CHUNK, Bundle, create_bundle, open_bundle, sign
from models.errors import BundleError, StorageError, UntrustedError

KEY = make_key()
TRUSTED = [KEY.public]
SMALL = {"golden/board.png": b"picture", "pcb/det.onnx": b"network" * 100, "empty.txt": b""}
BLOCK = 512


def whole(bundle: Bundle) -> dict[str, bytes]:
    entries = enumerate(bundle.manifest.files)
    return {entry.path: b"".join(bundle.read(index)) for index, entry in entries}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_bundle(tmp_path_factory.mktemp("small"), SMALL).read_bytes()


def opened(path: Path, data: bytes) -> dict[str, bytes]:
    """Write a file and take everything out of it as a box would."""
    path.write_bytes(data)
    with open_bundle(path, TRUSTED) as bundle:
        bundle.check()
        return whole(bundle)


def test_a_tar_as_everybody_knows_it(tmp_path: Path) -> None:
    path = make_bundle(tmp_path)
    with tarfile.open(path, "r:") as tar:
        members = tar.getmembers()
        assert [member.name for member in members] == [
            "manifest.dsse", *(f"files/{name}" for name in PAYLOAD)
        ]  # fmt: skip
        for member in members:
            assert member.isreg()
            assert (member.mtime, member.uid, member.gid, member.mode) == (0, 0, 0, 0o644)
            assert member.uname == member.gname == member.linkname == ""
        for name, content in PAYLOAD.items():
            assert tar.extractfile(f"files/{name}").read() == content  # type: ignore[union-attr]
    assert path.read_bytes()[257:265] == b"ustar\x0000"


def test_the_longest_path_is_one_for_tar_too(tmp_path: Path) -> None:
    long = "a" * 95 + ".onnx"
    models = {"pcb": {"family": "ppyoloe", "det": long}}
    path = make_bundle(tmp_path, {"golden/board.png": b"", long: b"network"}, models=models)
    with tarfile.open(path, "r:") as tar:
        assert tar.getnames()[2] == f"files/{long}"


def test_what_comes_out_is_what_went_in(tmp_path: Path) -> None:
    path = make_bundle(tmp_path)
    with open_bundle(path, TRUSTED) as bundle:
        assert whole(bundle) == PAYLOAD
        assert bundle.manifest == make_manifest()
        assert bundle.envelope == sign(make_manifest(), KEY)
        bundle.check()


def test_same_inputs_same_bytes(tmp_path: Path) -> None:
    first = make_bundle(tmp_path / "one").read_bytes()
    os.utime(tmp_path / "one", (1, 1))
    old = os.umask(0o077)
    try:
        turned = dict(reversed(list(PAYLOAD.items())))
        path = tmp_path / "two" / "deeper" / "other.lgb"
        create_bundle(path, make_manifest(), turned, make_key())
        again = path.read_bytes()
        assert path.stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(old)
    assert again == first


def test_the_same_bytes_as_ever(small: bytes) -> None:
    # Changes only with the format: boxes in the field know this one.
    assert (
        hashlib.sha256(small).hexdigest()
        == "709eb6538a4c264da7a7da2fe3c2bf96d2ee2a13d2de3bb81e82d3513607e1d4"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"pcb/det.onnx": b"another"},
        {"more.txt": b""},
    ],
)
def test_only_what_the_manifest_says_goes_in(change: dict[str, bytes], tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="manifest"):
        create_bundle(tmp_path / "x.lgb", make_manifest(), {**PAYLOAD, **change}, KEY)
    with pytest.raises(BundleError, match="manifest"):
        create_bundle(tmp_path / "x.lgb", make_manifest(), {}, KEY)
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError):
        make_bundle(tmp_path / "file")


def test_what_no_box_could_read_is_not_made(tmp_path: Path) -> None:
    deep: object = 0
    for _ in range(20):
        deep = [deep]
    with pytest.raises(BundleError, match="levels"):
        make_bundle(tmp_path, figures={"deep": deep})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("at", [0, CHUNK, 2 * CHUNK])
def test_reads_from_any_chunk_on(at: int, tmp_path: Path) -> None:
    with open_bundle(make_bundle(tmp_path), TRUSTED) as bundle:
        content = PAYLOAD["pcb/det.onnx"]
        assert b"".join(bundle.read(2, at)) == content[at:]
        assert list(bundle.read(2, len(content))) == []
        for wrong in (1, CHUNK - 1, -1, -CHUNK, 3 * CHUNK):
            with pytest.raises(ValueError, match="not where a chunk begins"):
                list(bundle.read(2, wrong))


def test_an_altered_chunk_is_named_and_never_handed_out(tmp_path: Path) -> None:
    path = make_bundle(tmp_path)
    data = bytearray(path.read_bytes())
    place = data.rindex(b"the last chunk")
    data[place] ^= 1
    path.write_bytes(data)
    taken: list[bytes] = []
    with open_bundle(path, TRUSTED) as bundle:
        with pytest.raises(BundleError, match=r"pcb/det\.onnx: was altered at 131072"):
            taken += bundle.read(2)
        with pytest.raises(BundleError, match="was altered"):
            bundle.check()
    assert taken == [PAYLOAD["pcb/det.onnx"][n * CHUNK : (n + 1) * CHUNK] for n in range(2)]


def test_what_changes_under_the_reader_is_noticed(tmp_path: Path) -> None:
    path = make_bundle(tmp_path)
    with open_bundle(path, TRUSTED) as bundle:
        os.truncate(path, 4096)
        with pytest.raises(BundleError, match="ends too early"):
            list(bundle.read(2))


def test_chunks_that_are_not_the_file(tmp_path: Path) -> None:
    good = make_manifest(SMALL)
    bad = good.files[1].model_copy(update={"sha256": "0" * 64})
    files = (good.files[0], bad, good.files[2])
    manifest = make_manifest(SMALL, files=files)
    data = tar(envelope=sign(manifest, KEY))
    with pytest.raises(BundleError, match="its chunks are not its sha256"):
        opened(tmp_path / "x.lgb", data)


def test_a_strangers_bundle(tmp_path: Path) -> None:
    path = make_bundle(tmp_path, key=make_key(2))
    with pytest.raises(UntrustedError, match=rf"{path.name}: manifest\.dsse: signed by"):
        open_bundle(path, TRUSTED)
    with pytest.raises(UntrustedError):
        open_bundle(path, [])
    with open_bundle(path, None) as bundle:
        assert whole(bundle) == PAYLOAD


# What follows is made by tarfile, which knows all that a tar may hold.

Members = list[tuple[tarfile.TarInfo, bytes]]
Change = Callable[[Members], object]


def tar(
    change: Change = len, kind: Literal[0, 1, 2] = tarfile.USTAR_FORMAT, **envelope: bytes
) -> bytes:
    """The small bundle after a change of its members."""
    contents = {"manifest.dsse": envelope.get("envelope", sign(make_manifest(SMALL), KEY))}
    contents |= {f"files/{name}": content for name, content in SMALL.items()}
    members = []
    for name, content in contents.items():
        info = tarfile.TarInfo(name)
        info.size = len(content)
        members.append((info, content))
    change(members)
    out = bytearray()
    for info, content in members:
        out += form(info.tobuf(kind))
        if info.size:
            out += content + bytes(-len(content) % BLOCK)
    return bytes(out + bytes(2 * BLOCK))


def form(blocks: bytes) -> bytes:
    """A header as it is in a bundle: ``files`` stands in the field for the prefix."""
    header = bytearray(blocks[-BLOCK:])
    if header.startswith(b"files/"):
        header[:100] = header[6:100] + bytes(6)
        header[345:350] = b"files"
    if header[156:157] == tarfile.REGTYPE:
        header[329:345] = b"0000000\x00" * 2  # numbers of a device; some versions leave them empty
    return blocks[:-BLOCK] + summed(header)


def summed(header: bytearray) -> bytes:
    """With the sum that it should have."""
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return bytes(header)


def typed(letter: bytes, link: str = "") -> Change:
    def change(members: Members) -> None:
        members[2][0].type, members[2][0].linkname = letter, link
        if letter not in {tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE}:
            members[2][0].size = 0

    return change


def said(**fields: object) -> Change:
    def change(members: Members) -> None:
        for key, value in fields.items():
            setattr(members[2][0], key, value)

    return change


HOSTILE: dict[str, bytes] = {
    "symbolic link": tar(typed(tarfile.SYMTYPE, "/etc/passwd")),
    "hard link": tar(typed(tarfile.LNKTYPE, "manifest.dsse")),
    "device": tar(typed(tarfile.CHRTYPE)),
    "block device": tar(typed(tarfile.BLKTYPE)),
    "pipe": tar(typed(tarfile.FIFOTYPE)),
    "folder": tar(typed(tarfile.DIRTYPE)),
    "contiguous file": tar(typed(tarfile.CONTTYPE)),
    "GNU sparse file": tar(typed(tarfile.GNUTYPE_SPARSE), tarfile.GNU_FORMAT),
    "path upwards": tar(said(name="files/../../etc/passwd")),
    "absolute path": tar(said(name="/etc/passwd")),
    "another path": tar(said(name="files/pcb/other.onnx")),
    "GNU long name": tar(said(name="files/" + "x/" * 200), tarfile.GNU_FORMAT),
    "pax header": tar(said(pax_headers={"path": "../x"}), tarfile.PAX_FORMAT),
    "pax size": tar(said(pax_headers={"size": "99999999999"}), tarfile.PAX_FORMAT),
    "executable": tar(said(mode=0o4755)),
    "somebody's": tar(said(uid=1000, uname="me")),
    "of a time": tar(said(mtime=1)),
    "a member twice": tar(lambda members: members.insert(2, members[1])),
    "a member more": tar(lambda members: members.append((tarfile.TarInfo("files/x"), b""))),
    "a member less": tar(lambda members: members.pop()),
    "the last two turned round": tar(lambda members: members.insert(2, members.pop())),
    "manifest last": tar(lambda members: members.append(members.pop(0))),
    "no manifest": tar(lambda members: members.pop(0)),
    "manifest twice": tar(lambda members: members.insert(1, members[0])),
    "no members": tar(lambda members: members.clear()),
    "nothing": b"",
    "zeros": bytes(10 * BLOCK),
    "noise": random.Random(7).randbytes(10_000),
    "zip": b"PK\x03\x04" + bytes(1000),
    "gzip": b"\x1f\x8b\x08" + bytes(1000),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile(case: str, tmp_path: Path) -> None:
    with pytest.raises(BundleError) as caught:
        opened(tmp_path / "x.lgb", HOSTILE[case])
    assert str(caught.value).startswith(f"{tmp_path / 'x.lgb'}: ")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["x.lgb"]


def test_they_begin_as_a_good_one(small: bytes, tmp_path: Path) -> None:
    assert tar() == small
    assert tar(kind=tarfile.PAX_FORMAT) == small
    assert opened(tmp_path / "x.lgb", small) == SMALL


def resized(small: bytes, size: bytes) -> bytes:
    """The first member says another size, with the right sum."""
    header = bytearray(small[:BLOCK])
    header[124:136] = size
    return summed(header) + small[BLOCK:]


@pytest.mark.parametrize(
    "size",
    [
        b"77777777777\0",  # 8 GiB
        b"\x80\0\0\0\0\0\0\xff\xff\xff\xff\xff",  # GNU's for more
        b"00000000000\0",
        b"-0000000001\0",
        b"0x000000100\0",
        b"1_000000000\0",
        b"           \0",
        b"\0" * 12,
    ],
)
def test_no_length_is_believed(size: bytes, small: bytes, tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match=r"does not begin with manifest\.dsse"):
            opened(tmp_path / "x.lgb", resized(small, size))
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_cut_off_anywhere(small: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.lgb"
    path.write_bytes(small)
    for end in reversed(range(len(small))):
        os.truncate(path, end)
        with pytest.raises(BundleError), open_bundle(path, TRUSTED) as bundle:
            bundle.check()


@pytest.mark.parametrize("tail", [b"\0", b"x", bytes(BLOCK), bytes(10_240), b"PK\x05\x06"])
def test_nothing_may_stand_behind_it(tail: bytes, small: bytes, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="does not end where it should"):
        opened(tmp_path / "x.lgb", small + tail)


@pytest.mark.slow
def test_one_bit_anywhere(small: bytes, tmp_path: Path) -> None:
    bits = random.Random(11)
    envelope = small.index(b'"signatures"')
    rest = small.index(b"golden/board.png\0") - BLOCK
    places = [*range(BLOCK), *range(BLOCK, rest, 5), *range(rest, len(small))]
    for place in places:
        data = bytearray(small)
        data[place] ^= 1 << bits.randrange(8)
        try:
            assert opened(tmp_path / "x.lgb", bytes(data)) == SMALL
        except BundleError:
            continue
        assert envelope < place < len(small)  # a bit of base64 that says nothing


@settings(max_examples=200)
@given(st.data())
def test_no_change_makes_anything_else_of_it(small: bytes, data: st.DataObject) -> None:
    altered = bytearray(small)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(altered)))
        end = data.draw(st.integers(start, min(len(altered), start + 600)))
        piece = data.draw(st.binary(max_size=20) | st.just(bytes(altered[:BLOCK])))
        altered[start:end] = piece * data.draw(st.integers(0, 3))
    with tempfile.NamedTemporaryFile() as file:
        try:
            assert opened(Path(file.name), bytes(altered)) == SMALL
        except BundleError:
            return


def test_what_is_no_file_at_all(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, words in (
        (tmp_path, "is no file|directory"),
        (tmp_path / "none", "cannot be read"),
        (tmp_path / "pipe", "is no file"),
        (Path("/dev/zero"), "is no file"),
    ):
        with pytest.raises(BundleError, match=words):
            open_bundle(path, TRUSTED)


def test_a_large_bundle_takes_little_memory(tmp_path: Path) -> None:
    payload = {**SMALL, "pcb/det.onnx": bytes(16 * 2**20)}
    path = make_bundle(tmp_path, payload)
    tracemalloc.start()
    try:
        with open_bundle(path, TRUSTED) as bundle:
            bundle.check()
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_no_file_stays_open_after_a_refusal(small: bytes, tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for data in (small[:-1], b"x", HOSTILE["device"]):
        with pytest.raises(BundleError):
            opened(tmp_path / "x.lgb", data)
    assert len(os.listdir("/proc/self/fd")) == before
