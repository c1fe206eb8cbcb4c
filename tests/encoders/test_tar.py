"""Encoders as tar files for machines without network; a tar may come from a stranger."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import imgcluster
import tiny_models
from imgcluster import EncoderError
from imgcluster.cli.app import app
from local_hub import Repo, serve

NAME = "hub:test/tiny"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("IMGCLUSTER_ENCODERS", str(tmp_path / "encoders"))
    return tmp_path / "encoders"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tar of an encoder that was downloaded on another machine."""
    where = tmp_path_factory.mktemp("exported")
    with serve() as hub, pytest.MonkeyPatch.context() as patch:
        patch.setenv("IMGCLUSTER_ENCODERS", str(where / "encoders"))
        patch.setenv("HF_ENDPOINT", hub.endpoint)
        model = tiny_models.identity(where / "model.onnx", ["n", 3, 4, 4])
        hub.repos["test/tiny"] = Repo({"onnx/model.onnx": model.read_bytes()})
        imgcluster.encoder_pull(NAME)
        imgcluster.encoder_export(NAME, where / "tiny.tar")
        imgcluster.encoder_export(NAME, where / "again.tar")
        assert (where / "tiny.tar").read_bytes() == (where / "again.tar").read_bytes()
    return where / "tiny.tar"


def invoke(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_an_exported_encoder_works_on_a_machine_without_network(
    exported: Path, folder: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    # What a killed import left.
    (folder / "hub/.import/onnx").mkdir(parents=True)
    (folder / "hub/.import/onnx/model.onnx").write_bytes(b"half")
    result = invoke("encoders", "import", exported)
    assert result.exit_code == 0, result.output
    assert not (folder / "hub/.import").exists()
    assert "apache-2.0" in result.output
    assert invoke("encoders", "import", exported).exit_code == 0
    words = ("embed", pictures, "--encoder", NAME, "--device", "cpu", "-w", tmp_path / "out")
    assert invoke(*words, "--mean", "0", "--std", "1").exit_code == 0
    assert invoke("encoders", "export", NAME, tmp_path / "back.tar").exit_code == 0
    assert (tmp_path / "back.tar").read_bytes() == exported.read_bytes()


def test_names_of_exported_files(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert invoke("encoders", "import", exported).exit_code == 0
    monkeypatch.chdir(tmp_path)
    assert invoke("encoders", "export", NAME).exit_code == 0
    assert (tmp_path / "test--tiny.tar").is_file()
    again = invoke("encoders", "export", NAME)
    assert again.exit_code == 2
    assert "test--tiny.tar" in again.stderr
    missing = invoke("encoders", "export", "dinov2-small.tar")
    assert missing.exit_code == 2
    assert "'dinov2-small'" in missing.stderr
    assert invoke("encoders", "import", "nothing.tar").exit_code == 2


def read(path: Path) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(path) as tar:
        for member in tar:
            content = tar.extractfile(member)
            assert content is not None
            yield member, content.read()


def describe(content: bytes, **changes: Any) -> bytes:
    return json.dumps(json.loads(content) | changes).encode()


def add(tar: tarfile.TarFile, name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> None:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    member.size = len(content) if kind == tarfile.REGTYPE else 0
    tar.addfile(member, io.BytesIO(content))


Change = Callable[[tarfile.TarFile, bytes, bytes], None]


def whole(tar: tarfile.TarFile, description: bytes, model: bytes) -> None:
    add(tar, "imgcluster-encoder.json", description)
    add(tar, "files/onnx/model.onnx", model)


def extra(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> Change:
    def write(tar: tarfile.TarFile, description: bytes, model: bytes) -> None:
        whole(tar, description, model)
        add(tar, name, b"evil", kind, link)

    return write


def described(name: str, content: bytes = b"evil") -> Change:
    """A further file that is described, too."""

    def write(tar: tarfile.TarFile, description: bytes, model: bytes) -> None:
        entry = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        files = json.loads(description)["files"] | {name: entry}
        whole(tar, describe(description, files=files), model)
        add(tar, "files/" + name, content)

    return write


def changed(**changes: Any) -> Change:
    return lambda tar, description, model: whole(tar, describe(description, **changes), model)


def linked(kind: bytes) -> Change:
    def write(tar: tarfile.TarFile, description: bytes, model: bytes) -> None:
        add(tar, "imgcluster-encoder.json", description)
        add(tar, "files/onnx/model.onnx", b"", kind, "/etc/hostname")

    return write


def twice(tar: tarfile.TarFile, description: bytes, model: bytes) -> None:
    whole(tar, description, model)
    add(tar, "files/onnx/model.onnx", model)


def other_model(tar: tarfile.TarFile, description: bytes, model: bytes) -> None:
    whole(tar, description, bytes([model[0] ^ 1]) + model[1:])


def nested(tar: tarfile.TarFile, description: bytes, model: bytes) -> None:
    add(tar, "imgcluster-encoder.json", b"[" * 100_000)


def without_model(tar: tarfile.TarFile, description: bytes, model: bytes) -> None:
    add(tar, "imgcluster-encoder.json", description)


def model_first(tar: tarfile.TarFile, description: bytes, model: bytes) -> None:
    add(tar, "files/onnx/model.onnx", model)
    add(tar, "imgcluster-encoder.json", description)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (extra("../evil"), "'../evil'"),
        (extra("/tmp/evil"), "/tmp/evil"),
        (extra("files/../../evil"), "files/../../evil"),
        (extra("files/evil.py"), "files/evil.py"),
        (extra("files/link", tarfile.SYMTYPE, "/etc"), "files/link"),
        (extra("files/fifo", tarfile.FIFOTYPE), "files/fifo"),
        (extra("files/sub", tarfile.DIRTYPE), "files/sub"),
        (described("../../evil"), "not valid"),
        (described("a/../../../evil"), "not valid"),
        (described("C:\\evil"), "not valid"),
        (described("onnx/evil.py"), "onnx/evil.py"),
        (described("preprocessor_config.json.pkl"), "preprocessor_config.json.pkl"),
        (linked(tarfile.SYMTYPE), "files/onnx/model.onnx"),
        (linked(tarfile.LNKTYPE), "files/onnx/model.onnx"),
        (twice, "files/onnx/model.onnx"),
        (other_model, "SHA-256"),
        (without_model, "onnx/model.onnx is missing"),
        (model_first, "imgcluster-encoder.json"),
        (changed(imgcluster_encoder=2), "version is 2"),
        (changed(commit="main"), "not valid"),
        (changed(name="../x"), "not valid"),
        (changed(name="photos"), "photos"),
        (changed(name="dinov2-small"), "test/tiny"),
        (changed(name="hub:other/repo"), "other/repo"),
        (changed(files={}), "files/onnx/model.onnx"),
        (changed(available={"fp32": "../../model.onnx"}), "not valid"),
        (changed(available={"fp32": "model.pkl"}), "not valid"),
        (changed(files={"onnx/model.onnx": {"size": float("inf"), "sha256": "0" * 64}}), "not valid"),
        (changed(pairing={"text": 10**400}), "not valid"),
        (nested, "not valid"),
    ],
)
def test_what_is_not_described_is_refused(
    exported: Path, folder: Path, tmp_path: Path, change: Change, says: str
) -> None:
    (_, description), (_, model) = read(exported)
    path = tmp_path / "changed.tar"
    with tarfile.open(path, "w") as tar:
        change(tar, description, model)
    result = invoke("encoders", "import", path)
    assert result.exit_code == 1, result.output
    assert says in result.stderr
    assert "nothing was changed" in result.stderr
    left = {entry.relative_to(folder).as_posix() for entry in folder.rglob("*")} if folder.exists() else set()
    assert left <= {"hub", "hub/.lock"}
    assert not list(tmp_path.glob("**/evil*"))


def test_damaged_and_other_files_are_refused(exported: Path, tmp_path: Path) -> None:
    content = exported.read_bytes()
    cases = {
        "empty.tar": b"",
        "text.tar": b"no tar" * 200,
        "cut.tar": content[:1300],
        "zipped.tar": gzip.compress(content),
    }
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(EncoderError, match="nothing was changed"):
            imgcluster.encoder_import(tmp_path / name)


def test_other_content_under_an_installed_name_is_refused(exported: Path, tmp_path: Path) -> None:
    assert invoke("encoders", "import", exported).exit_code == 0
    (_, description), (_, model) = read(exported)
    other = tmp_path / "other.tar"
    for changes in ({"commit": "0" * 40}, {}):
        content = model if changes else tiny_models.identity(tmp_path / "x.onnx", ["n", 3, 5, 5]).read_bytes()
        entry = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        with tarfile.open(other, "w") as tar:
            whole(tar, describe(description, files={"onnx/model.onnx": entry}, **changes), content)
        with pytest.raises(EncoderError, match="other content.*encoders remove"):
            imgcluster.encoder_import(other)
    assert imgcluster.Encoder(NAME, device="cpu", install=False).info.width == 4
    imgcluster.encoder_remove(NAME)
    imgcluster.encoder_import(other)
    assert imgcluster.Encoder(NAME, device="cpu", install=False).info.width == 5


def test_a_changed_encoder_is_not_exported(exported: Path, folder: Path, tmp_path: Path) -> None:
    imgcluster.encoder_import(exported)
    (folder / "hub/test--tiny/onnx/model.onnx").write_bytes(b"changed")
    with pytest.raises(EncoderError, match="SHA-256"):
        imgcluster.encoder_export(NAME, tmp_path / "x.tar")
    assert not (tmp_path / "x.tar").exists()
