"""`search`, `sort` and suggested names through the command line, with an encoder that knows colors and their names."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

import imgcluster
import pages
from color_models import repository
from imgcluster import WorkspaceError
from imgcluster.cli.app import app
from imgcluster.clustering.suggested_names import suggest_names
from imgcluster.clustering.zero_shot import assign_to_groups
from imgcluster.encoders.vocabulary import bundled_vocabulary
from local_hub import LocalHub, serve
from samples import paint

NAME = "clip-vit-b32"
REPOSITORY = "Xenova/clip-vit-base-patch32"
OTHER = "other/gray.png"


@pytest.fixture(autouse=True)
def encoders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's encoder folder."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("IMGCLUSTER_ENCODERS", str(tmp_path / "encoders"))
    return tmp_path / "encoders"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    with serve() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        server.repos[REPOSITORY] = repository()
        yield server


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Three folders of four pictures of one color each, and a gray picture."""
    paint(tmp_path / "in", per_folder=4)
    (tmp_path / "in/other").mkdir()
    Image.new("RGB", (12, 10), (128, 128, 128)).save(tmp_path / "in" / OTHER)
    return tmp_path / "in"


@pytest.fixture
def workspace(hub: LocalHub, images: Path, tmp_path: Path) -> Path:
    answer(invoke("embed", images, "--encoder", NAME, "--device", "cpu", "-w", tmp_path / "out", "--json"))
    return tmp_path / "out"


def invoke(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def answer(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def fails(code: int, *words: str | Path, says: tuple[str, ...]) -> None:
    result = invoke(*words)
    assert result.exit_code == code, result.output
    for part in says:
        assert part in result.stderr.splitlines()[-1]


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def rows(workspace: Path) -> list[dict[str, Any]]:
    return [dict(row) for row in imgcluster.load(workspace).clusters]


# search


def test_a_text_finds_its_images(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    found = answer(invoke("search", "RED shoes", "-n", "4", "-w", workspace, "--json"))
    assert {row["path"].split("/")[0] for row in found["results"]} == {"red"}
    assert [row["rank"] for row in found["results"]] == [1, 2, 3, 4]
    scores = [row["score"] for row in found["results"]]
    assert scores == sorted(scores, reverse=True)
    assert all(Path(row["file"]).is_file() for row in found["results"])
    assert set(imgcluster.load(workspace).paths) > {row["path"] for row in found["results"]}
    assert (found["images"], found["left_out"]) == (13, 0)
    table = invoke("search", "blue", "-n", "1", "-w", workspace).stdout
    assert "blue/" in table.splitlines()[1]


def test_not_leaves_images_out(workspace: Path) -> None:
    everything = answer(invoke("search", "red green", "-w", workspace, "--json"))
    assert len(everything["results"]) == 13
    without = answer(invoke("search", "red green", "--not", "green", "--not", "blue", "-w", workspace, "--json"))
    assert (without["without"], without["left_out"]) == (["green", "blue"], 13 - len(without["results"]))
    folders = {row["path"].split("/")[0] for row in without["results"]}
    assert "red" in folders
    assert not folders & {"green", "blue"}


def test_moved_files_are_found_where_they_are(workspace: Path) -> None:
    answer(invoke("cluster", "--k", "4", "--place", "move", "-w", workspace, "--json"))
    (found,) = answer(invoke("search", "green", "-n", "1", "-w", workspace, "--json"))["results"]
    assert found["path"].startswith("green/")
    assert Path(found["file"]).is_file()
    assert Path(found["file"]).is_relative_to(workspace / "clusters")


@pytest.mark.parametrize(
    ("words", "says"),
    [(("search", " "), "empty"), (("search", "red", "--not", ""), "empty")],
)
def test_an_empty_text_is_refused(workspace: Path, words: tuple[str, ...], says: str) -> None:
    fails(2, *words, "-w", workspace, says=(says,))


def test_an_encoder_without_text_is_named(images: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert invoke("embed", images, "--encoder", tiny_encoder, "-w", out).exit_code == 0
    groups = written(tmp_path / "groups.txt", "red")
    for words in (("search", "red"), ("sort", "--into", groups), ("cluster", "--vocabulary", "everyday")):
        fails(2, *words, "-w", out, says=("tiny", "clip-vit-b32", "siglip2-base"))
    run = ("run", images, "--encoder", tiny_encoder, "--vocabulary", "everyday", "-w", tmp_path / "new")
    fails(2, *run, says=("clip-vit-b32",))
    assert not (tmp_path / "new").exists()
    fails(2, "encoders", "pull", "dinov2-small", "--text", says=("dinov2-small",))


# image and text part belong together


def test_the_text_part_is_downloaded_when_it_is_used_and_then_kept(
    workspace: Path, hub: LocalHub, encoders: Path
) -> None:
    assert not hub.asked("GET", "text_model")
    answer(invoke("search", "red", "-w", workspace, "--json"))
    entry = json.loads((encoders / "hub.lock.json").read_text(encoding="utf-8"))["encoders"][NAME]
    assert {"onnx/text_model.onnx", "tokenizer.json"} <= set(entry["files"])
    assert entry["pairing"] == {"fp32": 1.0}
    before = len(hub.requests)
    answer(invoke("search", "red", "-w", workspace, "--json"))
    assert len(hub.requests) == before


def test_a_changed_tokenizer_is_refused(workspace: Path, encoders: Path) -> None:
    answer(invoke("search", "red", "-w", workspace, "--json"))
    path = encoders / "hub" / NAME / "tokenizer.json"
    path.write_bytes(path.read_bytes() + b" ")
    fails(1, "search", "red", "-w", workspace, says=("tokenizer.json", "SHA-256"))


def test_another_commit_is_refused(workspace: Path, hub: LocalHub) -> None:
    assert invoke("encoders", "remove", NAME).exit_code == 0
    hub.repos[REPOSITORY].files["README.md"] = b"a new commit"
    fails(1, "search", "red", "-w", workspace, says=("commit", hub.repos[REPOSITORY].commit[:12], "--fresh"))
    assert not hub.asked("GET", "text_model")


def test_texts_of_another_size_are_refused(workspace: Path, hub: LocalHub) -> None:
    files = hub.repos[REPOSITORY].files
    commit = hub.repos[REPOSITORY].commit
    files["onnx/text_model.onnx"] = repository(text_size=768).files["onnx/text_model.onnx"]
    # The server has one commit at a time.
    hub.repos[REPOSITORY].revisions[commit] = commit
    assert invoke("encoders", "remove", NAME).exit_code == 0
    assert invoke("embed", workspace.parent / "in", "--encoder", NAME, "--fresh", "-w", workspace).exit_code == 0
    fails(1, "search", "red", "-w", workspace, says=("512", "768", "belong together"))


def test_images_of_another_output_are_refused(workspace: Path) -> None:
    manifest = json.loads((workspace / "manifest.json").read_text(encoding="utf-8"))
    manifest["encoder"]["output"] = "last_hidden_state"
    (workspace / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    fails(2, "search", "red", "-w", workspace, says=("last_hidden_state", "image_embeds"))


def test_parts_that_do_not_match_are_warned_of(workspace: Path, hub: LocalHub) -> None:
    colors = {"red": (40, 160, 60), "green": (40, 60, 200), "blue": (210, 40, 40), "yellow": (0, 0, 60)}
    assert invoke("encoders", "remove", NAME).exit_code == 0
    hub.repos[REPOSITORY] = repository(words=colors)
    assert invoke("embed", workspace.parent / "in", "--encoder", NAME, "--fresh", "-w", workspace).exit_code == 0
    for _ in range(2):
        result = invoke("search", "red", "-w", workspace)
        assert result.exit_code == 0
        assert "plain colors" in result.stderr


@pytest.mark.parametrize(
    ("name", "new"), [("input_ids", "tokens"), ("text_embeds", "sentence"), ("input_ids", "pixel_values")]
)
def test_another_graph_is_refused(hub: LocalHub, images: Path, tmp_path: Path, name: str, new: str) -> None:
    model = onnx.load_from_string(hub.repos[REPOSITORY].files["onnx/text_model.onnx"])
    for entry in (*model.graph.input, *model.graph.output):
        entry.name = new if entry.name == name else entry.name
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [new if value == name else value for value in names]
    hub.repos[REPOSITORY].files["onnx/text_model.onnx"] = model.SerializeToString()
    assert invoke("embed", images, "--encoder", NAME, "-w", tmp_path / "out").exit_code == 0
    fails(1, "search", "red", "-w", tmp_path / "out", says=("input_ids", "text_embeds", new))


@pytest.mark.parametrize("content", [b"{}", b"not JSON", b""])
def test_a_damaged_tokenizer_is_explained(hub: LocalHub, images: Path, tmp_path: Path, content: bytes) -> None:
    hub.repos[REPOSITORY].files["tokenizer.json"] = content
    assert invoke("embed", images, "--encoder", NAME, "-w", tmp_path / "out").exit_code == 0
    fails(1, "search", "red", "-w", tmp_path / "out", says=("tokenizer.json",))


def test_the_text_part_travels_in_a_tar(workspace: Path, hub: LocalHub, encoders: Path, tmp_path: Path) -> None:
    assert invoke("encoders", "pull", NAME, "--text").exit_code == 0
    answer(invoke("cluster", "-w", workspace, "--json"))  # keeps the vectors of the vocabulary
    assert invoke("encoders", "export", NAME, tmp_path / "clip.tar").exit_code == 0
    assert invoke("encoders", "remove", NAME).exit_code == 0
    assert not (encoders / "hub" / NAME).exists()
    hub.repos.clear()
    assert invoke("encoders", "import", tmp_path / "clip.tar").exit_code == 0
    found = answer(invoke("search", "red", "-n", "1", "-w", workspace, "--json"))
    assert found["results"][0]["path"].startswith("red/")


def test_the_repository_itself_has_text_too(hub: LocalHub, images: Path, tmp_path: Path) -> None:
    name = f"hub:{REPOSITORY}"
    assert invoke("embed", images, "--encoder", name, "-w", tmp_path / "out").exit_code == 0
    (found,) = answer(invoke("search", "blue", "-n", "1", "-w", tmp_path / "out", "--json"))["results"]
    assert found["path"].startswith("blue/")


# suggested names


def test_clusters_get_suggested_names_once_the_text_part_is_installed(workspace: Path, hub: LocalHub) -> None:
    before = answer(invoke("cluster", "--k", "4", "-w", workspace, "--json"))
    assert {row["suggested_name"] for row in before["clusters"]} == {""}
    assert not hub.asked("GET", "text_model")
    assert invoke("encoders", "pull", NAME, "--text").exit_code == 0
    after = answer(invoke("cluster", "--k", "4", "-w", workspace, "--json"))
    names = {row["medoid"].split("/")[0]: row["suggested_name"] for row in after["clusters"]}
    for color in ("red", "blue"):
        assert color in names[color].split(), names
    again = answer(invoke("cluster", "--k", "4", "-w", workspace, "--json"))
    assert again["clusters"] == after["clusters"]
    without = answer(invoke("cluster", "--k", "4", "--vocabulary", "none", "-w", workspace, "--json"))
    assert {row["suggested_name"] for row in without["clusters"]} == {""}


def test_a_vocabulary_of_the_user(workspace: Path, tmp_path: Path) -> None:
    words = written(tmp_path / "words.txt", "# colors", "red", "green", "", "green", "black", "white")
    done = invoke("cluster", "--k", "4", "--vocabulary", words, "-w", workspace)
    assert done.exit_code == 0, done.output
    assert "suggested name" in done.stdout
    suggested = {row["medoid"].split("/")[0]: row["suggested_name"] for row in rows(workspace)}
    assert (suggested["red"], suggested["green"]) == ("red", "green")
    # Each image supports one of the five words, so that the blue images support one, too.
    assert suggested["blue"] in ("", "black", "white")
    shown = pages.read(workspace / "report.html").document["clusters"]
    assert {cluster["suggestedName"] for cluster in shown} == set(suggested.values())
    assert {cluster["name"] for cluster in shown} == {""}
    # Folders have no suggested names.
    assert all(
        path.name in ("cluster_000", "cluster_001", "cluster_002", "cluster_003")
        for path in (workspace / "clusters").iterdir()
    )


def test_a_users_name_stays(workspace: Path, tmp_path: Path) -> None:
    words = written(tmp_path / "words.txt", "red", "green", "blue", "black")
    answer(invoke("cluster", "--k", "4", "--vocabulary", words, "-w", workspace, "--json"))
    identity = pages.read(workspace / "report.html").document["identity"]
    plan = {"imgcluster_plan": 1, "clustering": identity, "names": {"0": "mine"}, "merges": [{"from": 3, "into": 2}]}
    (tmp_path / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    before = [row["suggested_name"] for row in rows(workspace)]
    applied = answer(invoke("apply", tmp_path / "plan.json", "-w", workspace, "--json"))
    # A cluster that changed loses its suggestion.
    assert [row["suggested_name"] for row in applied["clusters"]] == [*before[:2], ""]
    assert [row["name"] for row in applied["clusters"]] == ["mine", "", ""]
    answer(invoke("cluster", "--k", "4", "--vocabulary", words, "-w", workspace, "--json"))
    assert (rows(workspace)[0]["name"], rows(workspace)[0]["suggested_name"]) == ("mine", before[0])


@pytest.mark.parametrize(
    ("content", "says"), [(None, "cannot be read"), (b"# none\n", "no word"), (b"\xff\xfe", "UTF-8")]
)
def test_an_invalid_vocabulary_is_refused_before_anything_is_embedded(
    hub: LocalHub, images: Path, tmp_path: Path, content: bytes | None, says: str
) -> None:
    file = tmp_path / "words.txt"
    if content is not None:
        file.write_bytes(content)
    words = ("run", images, "--encoder", NAME, "--vocabulary", file, "-w", tmp_path / "out")
    fails(2, *words, says=("--vocabulary", "words.txt", says))
    assert not (tmp_path / "out").exists()


def test_a_broken_text_part_does_not_stop_a_clustering(workspace: Path, encoders: Path) -> None:
    assert invoke("encoders", "pull", NAME, "--text").exit_code == 0
    (encoders / "hub" / NAME / "tokenizer.json").write_bytes(b"{}")
    done = answer(invoke("cluster", "-w", workspace, "--json"))
    assert any("No names" in warning and "tokenizer.json" in warning for warning in done["warnings"])
    fails(1, "cluster", "--vocabulary", "everyday", "-w", workspace, says=("tokenizer.json",))


def test_a_name_needs_the_support_of_half_of_the_images() -> None:
    words = np.eye(4, dtype=np.float32)
    labels = np.array([0, 0, 0, 1, 1, 1, 1, -1])
    supported = np.array([0, 0, 1, 2, 2, 3, 1, 3])
    assert suggest_names(words[supported], labels, words) == {0: 0, 1: 2}
    # One of four supporters fewer, and there is none.
    assert suggest_names(words[[0, 0, 1, 2, 0, 3, 1, 3]], labels, words) == {0: 0}
    # A word that all images support distinguishes nothing, unless there is one cluster only.
    assert suggest_names(words[[2] * 8], labels, words) == {}
    assert suggest_names(words[[2] * 8], np.zeros(8, np.int64), words) == {0: 2}
    assert suggest_names(words[[2] * 8], np.full(8, -1), words) == {}


def test_the_bundled_vocabulary() -> None:
    words = bundled_vocabulary()
    assert 1_900 <= len(words) <= 2_200
    assert {"dog", "beach", "wedding", "red panda"} <= set(words)
    assert all(word == word.strip().lower() and word.isascii() for word in words)


# sort


def test_images_are_sorted_into_described_groups_and_back(workspace: Path, images: Path, tmp_path: Path) -> None:
    groups = written(
        tmp_path / "groups.txt",
        "# my groups",
        "warm: something red",
        "warm: yellow",
        "",
        "green",
        "cold: a BLUE thing",
        "white",
    )
    preview = answer(invoke("sort", "--into", groups, "--dry-run", "-w", workspace, "--json"))
    assert (preview["placed"], (workspace / "clusters").exists()) == ({"symlink": 13}, False)
    done = answer(invoke("sort", "--into", groups, "--place", "copy", "-w", workspace, "--json"))
    assert {row["name"]: row["images"] for row in done["groups"]} == {"warm": 4, "green": 4, "cold": 4, "white": 0}
    assert done["groups"][0]["descriptions"] == ["something red", "yellow"]
    assert done["unsorted"] == 1
    placed = {path.name: len(list(path.iterdir())) for path in (workspace / "clusters").iterdir()}
    assert placed == {"warm": 4, "green": 4, "cold": 4, "unsorted": 1}
    assert [row["name"] for row in rows(workspace)] == ["warm", "green", "cold"]
    collection = imgcluster.load(workspace)
    assert collection.labels is not None
    by_path = dict(zip(collection.paths, collection.labels.tolist(), strict=True))
    assert by_path[OTHER] == -1
    assert {by_path[path] for path in by_path if path.startswith("blue/")} == {2}
    scores = answer(invoke("evaluate", "-w", workspace, "--json"))
    assert scores["accuracy"] == 1.0
    assert invoke("undo", "-w", workspace).exit_code == 0
    assert not (workspace / "clusters").exists()


def test_moved_images_return(workspace: Path, images: Path, tmp_path: Path) -> None:
    before = {path.relative_to(images): path.read_bytes() for path in images.rglob("*.png")}
    groups = written(tmp_path / "groups.txt", "red", "green", "blue")
    answer(invoke("sort", "--into", groups, "--place", "move", "-w", workspace, "--json"))
    assert list(images.rglob("*.png")) == []
    assert answer(invoke("cluster", "-w", workspace, "--json"))["placed"] == {"move": len(before)}
    assert list(images.rglob("*.png")) == []
    assert answer(invoke("undo", "-w", workspace, "--json"))["what"] == "cluster"
    assert answer(invoke("undo", "-w", workspace, "--json"))["what"] == "placing"
    assert {path.relative_to(images): path.read_bytes() for path in images.rglob("*.png")} == before


def test_corrections_of_a_sorting_keep_its_folders(workspace: Path, tmp_path: Path) -> None:
    groups = written(tmp_path / "groups.txt", "red", "green", "blue")
    answer(invoke("sort", "--into", groups, "-w", workspace, "--json"))
    identity = pages.read(workspace / "report.html").document["identity"]
    plan = {
        "imgcluster_plan": 1,
        "clustering": identity,
        "names": {"0": "Warm ones"},
        "misplaced": [{"path": OTHER, "to": 1}],
    }
    (tmp_path / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    assert invoke("apply", tmp_path / "plan.json", "-w", workspace).exit_code == 0
    clusters = workspace / "clusters"
    assert {path.name: len(list(path.iterdir())) for path in clusters.iterdir()} == {
        "warm_ones": 4,
        "green": 5,
        "blue": 4,
    }
    assert invoke("undo", "-w", workspace).exit_code == 0
    assert {path.name for path in clusters.iterdir()} == {"red", "green", "blue", "unsorted"}
    # A clustering replaces it.
    answer(invoke("cluster", "--k", "4", "-w", workspace, "--json"))
    assert {path.name.split("_")[0] for path in clusters.iterdir()} == {"cluster"}


def test_encoders_that_can_only_be_read(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = written(tmp_path / "groups.txt", "red")

    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr("imgcluster.encoders.text_encoder.atomic_path", refuse)
    assert answer(invoke("sort", "--into", groups, "-w", workspace, "--json"))["unsorted"] > 0
    answer(invoke("cluster", "--k", "4", "-w", workspace, "--json"))


def test_the_threshold_decides_what_is_unsorted(workspace: Path, tmp_path: Path) -> None:
    groups = written(tmp_path / "groups.txt", "red")
    counts = [
        answer(invoke("sort", "--into", groups, "--threshold", value, "--dry-run", "-w", workspace, "--json"))[
            "unsorted"
        ]
        for value in ("0", "0.99", "1")
    ]
    assert counts[0] == 0
    assert counts == sorted(counts)
    assert counts[1] == 9
    fails(2, "sort", "--into", groups, "--threshold", "2", "-w", workspace, says=("--threshold 2",))


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ((), "no group"),
        (("# nothing",), "no group"),
        ((": red",), "without a name"),
        (("Unsorted",), "unsorted"),
        (("Red shoes", "red: x", "red-shoes"), "red_shoes"),
    ],
)
def test_invalid_groups_are_refused(workspace: Path, tmp_path: Path, lines: tuple[str, ...], says: str) -> None:
    file = written(tmp_path / "groups.txt", *lines)
    fails(2, "sort", "--into", file, "-w", workspace, says=("groups.txt", says))
    fails(2, "sort", "--into", tmp_path / "absent.txt", "-w", workspace, says=("absent.txt",))
    assert not (workspace / "report.html").exists()


def test_the_same_images_are_sorted_the_same_in_any_order(hub: LocalHub, images: Path, tmp_path: Path) -> None:
    shutil.copytree(images, tmp_path / "renamed")
    for number, path in enumerate(sorted((tmp_path / "renamed").rglob("*.png"), reverse=True)):
        path.rename(path.with_name(f"{number:02d} renamed.png"))
    groups = written(tmp_path / "groups.txt", "green", "red", "blue")
    sizes = []
    for folder in (images, tmp_path / "renamed"):
        out = tmp_path / f"out-{folder.name}"
        assert invoke("embed", folder, "--encoder", NAME, "-w", out).exit_code == 0
        sorted_now = answer(invoke("sort", "--into", groups, "-w", out, "--json"))
        sizes.append([(row["name"], row["images"]) for row in sorted_now["groups"]])
    assert sizes[0] == sizes[1] == [("green", 4), ("red", 4), ("blue", 4)]


def test_groups_and_confidence() -> None:
    words = np.eye(4, dtype=np.float32)
    vectors = np.array([[1, 0, 0, 0], [0.8, 0.6, 0, 0], [0, 0, 1, 0]], np.float32)
    layer = assign_to_groups(vectors, [words[[3, 1]], words[[0]]], words, threshold=0.5)
    assert layer.labels.tolist() == [1, 1, -1]
    assert layer.runner_up.tolist() == [0, 0, 0]
    assert layer.confidence[0] == pytest.approx(1)
    assert layer.confidence[1] == pytest.approx(1 / (1 + np.exp(-20)))
    assert layer.confidence[2] == 0
    single = assign_to_groups(vectors, [words[[0]]], words, threshold=0)
    assert (single.labels.tolist(), single.runner_up.tolist()) == ([0, 0, 0], [-1, -1, -1])


def test_sort_joins_shards_first(hub: LocalHub, images: Path, tmp_path: Path) -> None:
    out, groups = tmp_path / "shards", tmp_path / "groups.txt"
    groups.write_text("red\n")
    for number in range(2):
        imgcluster.embed(images, workspace=out, encoder=NAME, device="cpu", shard=f"{number}/2")
    with pytest.raises(WorkspaceError, match="shards that are not joined"):
        imgcluster.sort(groups, workspace=out, dry_run=True)
    assert imgcluster.sort(groups, workspace=out, device="cpu").images > 0


def test_sort_without_embeddings(tmp_path: Path, pictures: Path, tiny_encoder: Path) -> None:
    out, groups = tmp_path / "out", tmp_path / "groups.txt"
    groups.write_text("red\n")
    imgcluster.embed(pictures, workspace=out, encoder=tiny_encoder, device="cpu")
    (out / "manifest.json").write_text("{}")
    with pytest.raises(WorkspaceError, match="contains no embeddings: run imgcluster embed PATH first"):
        imgcluster.sort(groups, workspace=out)


def test_an_incomplete_manifest_is_reported_in_one_line(tmp_path: Path, pictures: Path, tiny_encoder: Path) -> None:
    out = tmp_path / "out"
    imgcluster.embed(pictures, workspace=out, encoder=tiny_encoder, device="cpu")
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    kept = {name: manifest["encoder"][name] for name in ("name", "identity")}
    (out / "manifest.json").write_text(json.dumps(manifest | {"encoder": kept}), encoding="utf-8")
    assert len(imgcluster.cluster(workspace=out, k=3).clusters) == 3
    with pytest.raises(WorkspaceError, match="encoder"):
        imgcluster.search("red", workspace=out)
