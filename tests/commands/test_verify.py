"""`verify`: a sound workspace has no problem, each damage is found, and what can be rebuilt is rebuilt."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import imgcluster
import pages
from imgcluster.cli.app import app
from imgcluster.commands.support import verify_stored
from imgcluster.commands.support.placed_files import current_files
from imgcluster.placement.journal import Entry
from interruptions import Kills
from samples import paint
from tiny_models import mean_colour


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures and three workspaces: of links, of moved files, and of copies with decisions."""
    folder = tmp_path_factory.mktemp("verify")
    encoder = mean_colour(folder / "tiny.onnx")
    for place in ("symlink", "move", "copy"):
        paint(folder / place / "pictures", per_folder=6)
        options: dict[str, Any] = {"encoder": encoder, "device": "cpu", "k": 3, "place": place}
        imgcluster.run(folder / place / "pictures", workspace=folder / place / "out", **options)
        assert not imgcluster.verify(workspace=folder / place / "out", rerun=True).findings
    apply(folder / "copy/out", names={"0": "first"}, misplaced=[{"path": "red/00.png", "to": 1}], pinned=["red/01.png"])
    return folder


@pytest.fixture
def work(original: Path, tmp_path: Path) -> Path:
    """A copy of the folder at the same path, because workspaces record absolute paths."""
    kept = tmp_path / "kept"
    shutil.copytree(original, kept, symlinks=True)
    yield original  # type: ignore[misc]
    shutil.rmtree(original)
    shutil.copytree(kept, original, symlinks=True)


def apply(out: Path, **plan: Any) -> None:
    identity = pages.read(out / "report.html").document["identity"]
    (out.parent / "plan.json").write_text(
        json.dumps({"imgcluster_plan": 1, "clustering": identity, **plan}), encoding="utf-8"
    )
    imgcluster.apply(out.parent / "plan.json", workspace=out)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:50])


def remedy(out: Path, *words: str) -> list[str]:
    """Return the command that an error of a command names."""
    result = CliRunner().invoke(app, [*words, "-w", str(out)])
    assert result.exit_code == 1
    _, _, command = result.stderr.strip().rpartition("run imgcluster ")
    return shlex.split(command)


def problems(out: Path, **options: Any) -> set[str]:
    found = imgcluster.verify(workspace=out, **options).findings
    return {finding.check for finding in found if finding.level == "problem"}


def edit(name: str, before: str, after: str) -> Callable[[Path], None]:
    def change(out: Path) -> None:
        text = (out / name).read_text(encoding="utf-8")
        assert before in text
        (out / name).write_text(text.replace(before, after, 1), encoding="utf-8")

    return change


def change_rows(change: Callable[[list[str]], list[str]]) -> Callable[[Path], None]:
    def rewrite(out: Path) -> None:
        first, *rows = (out / "assignments.csv").read_text(encoding="utf-8").splitlines(keepends=True)
        (out / "assignments.csv").write_text("".join([first, *change(rows)]), encoding="utf-8")

    return rewrite


def spoil(pattern: str) -> Callable[[Path], None]:
    def change(out: Path) -> None:
        path = sorted(out.glob(pattern))[0]
        path.write_bytes(b"damaged" + path.read_bytes()[7:])

    return change


def delete(pattern: str) -> Callable[[Path], None]:
    return lambda out: sorted(out.glob(pattern))[0].unlink()


def swap_files(out: Path) -> None:
    first, second = sorted((out / "clusters/cluster_000").iterdir())[0], out / "clusters/cluster_001/elsewhere.png"
    first.rename(second)
    journal = (out / "placed.jsonl").read_text(encoding="utf-8")
    before, after = (path.relative_to(out).as_posix() for path in (first, second))
    (out / "placed.jsonl").write_text(journal.replace(f'"{before}"', f'"{after}"'), encoding="utf-8")


DAMAGES: list[tuple[str, str, Callable[[Path], None]]] = [
    ("symlink", "counts", edit("manifest.json", '"found": 18', '"found": 19')),
    ("copy", "counts", spoil("manifest.json")),
    ("copy", "counts", delete("manifest.json")),
    ("symlink", "counts", delete("skipped.csv")),
    ("symlink", "tables", edit("assignments.csv", "blue/00.png,", "blue/zz.png,")),
    ("symlink", "tables", edit("assignments.csv", "path,", "pat,")),
    ("symlink", "tables", change_rows(lambda rows: rows[:-1])),
    ("copy", "tables", change_rows(lambda rows: [*rows, rows[0]])),
    ("copy", "tables", change_rows(lambda rows: rows[::-1])),
    ("symlink", "tables", change_rows(lambda rows: [])),
    ("symlink", "tables", edit("clusters.csv", "\n0,6,", "\n0,7,")),
    ("symlink", "tables", edit("metrics.json", '"images": 18', '"images": 17')),
    ("symlink", "tables", spoil("metrics.json")),
    ("symlink", "page", delete("report.html")),
    ("symlink", "placement", delete("clusters/cluster_000/*")),
    ("symlink", "placement", delete("placed.jsonl")),
    ("symlink", "decisions", delete("known_clusters.parquet")),
    ("symlink", "decisions", spoil("known_clusters.parquet")),
    ("move", "placement", delete("placed.jsonl")),
    ("move", "placement", spoil("placed.jsonl")),
    ("move", "placement", swap_files),
    ("copy", "placement", delete("clusters/cluster_001/*")),
    ("copy", "placement", delete("placed.jsonl")),
    ("copy", "decisions", delete("decisions.json")),
    ("copy", "decisions", spoil("decisions.json")),
    ("copy", "decisions", edit("clusters.csv", ",first\n", ",other\n")),
    ("copy", "tables", spoil("metrics.json")),
    ("copy", "tables", spoil("assignments.csv")),
]


@pytest.mark.parametrize(("place", "check", "damage"), DAMAGES)
def test_damage_is_found_and_repaired(work: Path, place: str, check: str, damage: Callable[[Path], None]) -> None:
    out = work / place / "out"
    before = tables(out)
    damage(out)
    assert check in problems(out, quick=True)
    summary = imgcluster.verify(workspace=out, repair=True)
    assert summary.consistent, summary.findings
    assert summary.repaired
    assert tables(out) == before
    # What was moved can still be moved back.
    while imgcluster.history(workspace=out).steps:
        imgcluster.undo(workspace=out)
    # A journal that was written again follows from files that a stranger may have written.
    imgcluster.undo(workspace=out, trust=check == "placement")
    assert len(list((work / place / "pictures").rglob("*.png"))) == 18
    assert not list((out / "clusters").rglob("*.png"))


def test_a_manifest_whose_encoder_is_not_known(work: Path) -> None:
    out, pictures = work / "symlink/out", work / "symlink/pictures"
    before, vectors = tables(out), imgcluster.load(out).vectors
    spoil("manifest.json")(out)
    for words in (["embed", str(pictures)], ["history"]):
        assert "--repair" in CliRunner().invoke(app, [*words, "-w", str(out)]).stderr
    summary = imgcluster.verify(workspace=out, repair=True)
    assert not summary.consistent
    assert not summary.repaired
    (finding,) = summary.findings
    assert (finding.check, "--encoder" in finding.remedy) == ("counts", True)
    (out / "manifest.json").unlink()
    # Another encoder would throw the vectors away.
    for encoder in (None, "photos-fast"):
        with pytest.raises(imgcluster.WorkspaceError, match="manifest.json"):
            imgcluster.embed(pictures, workspace=out, encoder=encoder, device="cpu")
    assert imgcluster.embed(pictures, workspace=out, encoder=work / "tiny.onnx", device="cpu").unchanged == 18
    assert not imgcluster.verify(workspace=out, rerun=True).findings
    assert (tables(out), (imgcluster.load(out).vectors == vectors).all()) == (before, True)


def test_a_manifest_of_a_bundled_encoder_is_written_again(tmp_path: Path) -> None:
    out, pictures = tmp_path / "out", tmp_path / "in"
    paint(pictures, per_folder=2)
    (pictures / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    options: dict[str, Any] = {"workspace": out, "device": "cpu"}
    imgcluster.embed(pictures, encoder="photos-fast", **options)
    before = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    (out / "manifest.json").unlink()
    assert imgcluster.verify(workspace=out, repair=True).consistent
    after = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    for name in ("encoder", "base", "fingerprint", "roots", "counts"):
        assert after[name] == before[name]
    assert [finding.level for finding in imgcluster.verify(workspace=out).findings] == ["note"]
    assert imgcluster.embed(pictures, **options).unchanged == 6
    assert not imgcluster.verify(workspace=out).findings


@pytest.mark.parametrize("file", ["skipped.csv", "embeddings/*"])
def test_what_is_lost_is_not_counted_away(work: Path, file: str) -> None:
    out, pictures = work / "symlink/out", work / "symlink/pictures"
    (pictures / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    options: dict[str, Any] = {"workspace": out, "encoder": work / "tiny.onnx", "device": "cpu"}
    imgcluster.embed(pictures, **options)
    (path,) = out.glob(file)
    if path.suffix == ".csv":
        path.write_bytes(b"path,reason\n")
    else:
        path.unlink()
    counts = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["counts"]
    assert not imgcluster.verify(workspace=out, repair=True).consistent
    assert json.loads((out / "manifest.json").read_text(encoding="utf-8"))["counts"] == counts
    imgcluster.embed(pictures, **options)
    assert imgcluster.verify(workspace=out).consistent
    assert json.loads((out / "manifest.json").read_text(encoding="utf-8"))["counts"] == counts


@pytest.mark.parametrize("damage", [spoil, delete])
@pytest.mark.parametrize(
    "name", ["manifest.json", "known_clusters.parquet", "assignments.csv", "decisions.json", "step.json"]
)
def test_a_damaged_state_is_found_and_replaces_nothing(
    work: Path, name: str, damage: Callable[[str], Callable[[Path], None]]
) -> None:
    out = work / "copy/out"
    apply(out, names={"1": "second"})
    before, decisions = tables(out), (out / "decisions.json").read_bytes()
    damage(f"applied/002/{name}")(out)
    assert problems(out) == {"steps"}
    with pytest.raises(imgcluster.WorkspaceError, match=rf"applied/002/{name}.*delete that folder"):
        imgcluster.undo(workspace=out)
    assert (tables(out), (out / "decisions.json").read_bytes()) == (before, decisions)
    assert "steps" in problems(out, repair=True)
    shutil.rmtree(out / "applied/002")
    assert not problems(out)


DAMAGED: list[dict[str, Callable[[Path], None]]] = [
    {"metrics.json": truncate},
    {"metrics.json": truncate, "clusters.csv": truncate},
    {"metrics.json": Path.unlink},
    {"assignments.csv": truncate},
]


def test_a_clustering_is_not_repeated_if_its_table_lacks_rows(work: Path) -> None:
    out = work / "symlink/out"
    change_rows(lambda rows: rows[1:])(out)
    summary = imgcluster.verify(workspace=out, rerun=True)
    assert summary.reassigned is None
    assert not summary.consistent


@pytest.mark.parametrize("damages", DAMAGED)
def test_the_remedy_for_damaged_results_keeps_decisions(work: Path, damages: dict[str, Callable[[Path], None]]) -> None:
    out = work / "copy/out"
    before = tables(out)
    for name, damage in damages.items():
        damage(out / name)
    assert CliRunner().invoke(app, remedy(out, "report")).exit_code == 0
    assert tables(out) == before
    assert not problems(out)


@pytest.mark.parametrize("how", [truncate, Path.unlink])
def test_the_remedy_with_embeddings_that_have_changed(work: Path, how: Callable[[Path], None]) -> None:
    out = work / "copy/out"
    before = tables(out)[1]
    shutil.copyfile(work / "copy/pictures/red/00.png", work / "copy/pictures/red/new.png")
    imgcluster.embed(work / "copy/pictures", workspace=out, encoder=work / "tiny.onnx", device="cpu")
    how(out / "metrics.json")
    imgcluster.verify(workspace=out, repair=True)
    assert tables(out)[1] == before
    assert imgcluster.assign(workspace=out).assigned == 1


def test_a_damaged_clustering_is_not_saved_for_undo(work: Path) -> None:
    out, shown = work / "copy/out", tables(work / "copy/out")
    truncate(out / "metrics.json")
    (work / "copy/pictures/red/00.png").rename(work / "copy/pictures/red/new.png")
    words = ["embed", str(work / "copy/pictures"), "--encoder", str(work / "tiny.onnx"), "--device", "cpu"]
    assert CliRunner().invoke(app, remedy(out, *words)).exit_code == 0
    assert tables(out) == shown


def test_metrics_that_were_deleted_after_a_plan(work: Path) -> None:
    out = work / "copy/out"
    (out / "metrics.json").unlink()
    assert "steps" in problems(out)
    before = (out / "decisions.json").read_bytes()
    imgcluster.cluster(workspace=out, k=2)
    assert (out / "decisions.json").read_bytes() == before
    assert [step.command for step in imgcluster.history(workspace=out).steps] == ["cluster", "apply"]


def test_a_repair_that_completes_a_step_says_so(work: Path) -> None:
    out = work / "copy/out"
    before, steps = tables(out), imgcluster.history(workspace=out).steps
    (out / "metrics.json").unlink()
    (done,) = imgcluster.verify(workspace=out, repair=True).repaired
    assert ("metrics.json" in done, "undone" in done) == (True, False)
    assert (tables(out), imgcluster.history(workspace=out).steps) == (before, steps)


def test_a_repair_that_is_killed_loses_no_decision(work: Path) -> None:
    out = work / "copy/out"
    before, kills = tables(out), Kills()
    truncate(out / "metrics.json")
    shutil.copytree(out, work / "damaged", symlinks=True)
    with kills.after(None):
        imgcluster.verify(workspace=out, repair=True)
    for number in range(kills.count):
        shutil.rmtree(out)
        shutil.copytree(work / "damaged", out, symlinks=True)
        with kills.after(number):
            imgcluster.verify(workspace=out, repair=True)
        with suppress(imgcluster.WorkspaceError):
            imgcluster.apply(out.parent / "plan.json", workspace=out, dry_run=True)
        imgcluster.verify(workspace=out, repair=True)
        assert tables(out) == before, number


@pytest.mark.parametrize("file", ["assignments.csv", "clusters.csv", "metrics.json"])
def test_a_clustering_that_assign_extended(work: Path, file: str) -> None:
    out, pictures = work / "copy/out", work / "copy/pictures"
    for name in ("new", "other"):
        shutil.copyfile(pictures / "blue/00.png", pictures / f"blue/{name}.png")
        imgcluster.embed(pictures, workspace=out, encoder=work / "tiny.onnx", device="cpu")
        assert imgcluster.assign(workspace=out).assigned == 1
    before = tables(out)
    truncate(out / file)
    assert CliRunner().invoke(app, remedy(out, "report")).exit_code == 0
    assert tables(out) == before
    assert not problems(out)


def tables(out: Path) -> tuple[list[str], ...]:
    """Return the cluster and the decision of each image, and the name of each cluster."""
    columns = {"assignments.csv": ("path", "cluster", "decision"), "clusters.csv": ("cluster", "size", "name")}
    found = []
    for name, wanted in columns.items():
        with (out / name).open(encoding="utf-8", newline="") as file:
            found.append([" ".join(str(row.get(column)) for column in wanted) for row in csv.DictReader(file)])
    return tuple(found)


@pytest.mark.parametrize("place", ["symlink", "move"])
def test_a_damaged_shard_is_embedded_again(work: Path, place: str) -> None:
    out, encoder = work / place / "out", work / "tiny.onnx"
    before = tables(out)
    (shard,) = (out / "embeddings").iterdir()
    shard.write_bytes(shard.read_bytes()[:-100])
    assert "shards" in problems(out)
    assert imgcluster.verify(workspace=out, repair=True).repaired
    imgcluster.embed(work / place / "pictures", workspace=out, encoder=encoder, device="cpu")
    assert not problems(out)
    assert tables(out) == before


def test_a_file_that_changed_without_a_new_time_is_damaged(work: Path) -> None:
    path = work / "symlink/pictures/red/00.png"
    facts, content = path.stat(), path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert not problems(work / "symlink/out", quick=True)
    (finding,) = imgcluster.verify(workspace=work / "symlink/out").findings
    assert (finding.check, finding.paths) == ("contents", (str(path),))
    os.utime(path)
    assert not problems(work / "symlink/out")


def test_changed_and_deleted_images_are_notes(work: Path) -> None:
    (work / "symlink/pictures/red/00.png").write_bytes(b"changed")
    (work / "symlink/pictures/red/01.png").unlink()
    done = imgcluster.verify(workspace=work / "symlink/out")
    assert {(finding.check, finding.level) for finding in done.findings} == {("files", "note")}
    # Only what is as it was embedded is compared.
    assert done.read == done.images - 2
    assert imgcluster.verify(workspace=work / "symlink/out", quick=True).read == 0


def test_a_lost_moved_image_is_a_problem(work: Path) -> None:
    delete("clusters/cluster_000/*")(work / "move/out")
    assert "placement" in problems(work / "move/out", repair=True)


@pytest.mark.parametrize("place", ["symlink", "move"])
def test_the_journal_is_not_searched_for_each_image(work: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    calls = {"comparisons": 0, "lists": 0}

    def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            calls[name] += 1
            return function(*arguments)

        return call

    monkeypatch.setattr(Entry, "__eq__", counted("comparisons", Entry.__eq__))
    monkeypatch.setattr(verify_stored, "current_files", counted("lists", current_files))
    assert not imgcluster.verify(workspace=work / place / "out").findings
    assert calls["comparisons"] < 18
    assert calls["lists"] == 1


def test_a_repeated_clustering_is_compared(work: Path) -> None:
    out = work / "symlink/out"
    edit("assignments.csv", "blue/00.png,1,", "blue/00.png,0,")(out)
    summary = imgcluster.verify(workspace=out, rerun=True)
    assert summary.reassigned == 1
    assert "rerun" in {finding.check for finding in summary.findings}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (r"(blue/00\.png,1),[0-9.]+,", r"\1,0.1234,"),
        (r"(blue/00\.png,1,[0-9.]+),[0-9.]+,", r"\1,0.9876,"),
        (r"(blue/00\.png,1,.*),([0-9]+),([0-9]+),,,", r"\1,\2,7,,,"),
        (r"(blue/00\.png,1,.*),,,$", r"\1,,A camera,"),
    ],
)
def test_all_values_of_a_repeated_clustering_are_compared(work: Path, before: str, after: str) -> None:
    out = work / "symlink/out"
    table = out / "assignments.csv"
    text = table.read_text(encoding="utf-8")
    table.write_text(re.sub(before, after, text, flags=re.M), encoding="utf-8")
    assert table.read_text(encoding="utf-8") != text
    summary = imgcluster.verify(workspace=out, rerun=True)
    (finding,) = summary.findings
    assert (summary.reassigned, finding.check, finding.paths) == (0, "rerun", ("blue/00.png",))
    imgcluster.cluster(workspace=out, k=3)
    assert table.read_text(encoding="utf-8") == text
    assert not imgcluster.verify(workspace=out, rerun=True).findings


def test_plans_change_values_that_are_not_repeated(work: Path) -> None:
    out = work / "copy/out"
    assert not imgcluster.verify(workspace=out, rerun=True).findings
    imgcluster.cluster(workspace=out, k=3)
    assert not imgcluster.verify(workspace=out, rerun=True).findings


def record_options(out: Path, **options: object) -> None:
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    metrics["options"] |= options
    (out / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")


def test_a_repair_moves_no_originals_because_a_workspace_says_so(work: Path) -> None:
    out, originals = work / "symlink/out", sorted((work / "symlink/pictures").rglob("*.png"))
    record_options(out, place="move")
    delete("clusters.csv")(out)
    assert imgcluster.verify(workspace=out, repair=True).consistent
    assert sorted((work / "symlink/pictures").rglob("*.png")) == originals


def test_a_repair_leaves_moved_originals_in_the_folders_of_their_clusters(work: Path) -> None:
    out = work / "move/out"
    moved = sorted((out / "clusters").rglob("*.png"))
    delete("clusters.csv")(out)
    assert imgcluster.verify(workspace=out, repair=True).consistent
    assert sorted((out / "clusters").rglob("*.png")) == moved


def test_a_repair_reads_no_file_because_a_workspace_says_so(work: Path) -> None:
    out = work / "symlink/out"
    record_options(out, vocabulary=str(work / "missing.txt"))
    assert imgcluster.verify(workspace=out, rerun=True).reassigned == 0
    delete("clusters.csv")(out)
    assert imgcluster.verify(workspace=out, repair=True).consistent


def test_exit_code_and_json(work: Path) -> None:
    out = str(work / "symlink/out")
    result = CliRunner().invoke(app, ["verify", "-w", out, "--json"])
    assert (result.exit_code, json.loads(result.stdout)["consistent"]) == (0, True)
    delete("report.html")(Path(out))
    result = CliRunner().invoke(app, ["verify", "-w", out, "--json"])
    answer = json.loads(result.stdout)
    assert (result.exit_code, answer["consistent"]) == (1, False)
    assert [finding["repair"] for finding in answer["findings"]] == ["page"]
    result = CliRunner().invoke(app, ["verify", "-w", out])
    assert "report.html" in result.stdout
    assert CliRunner().invoke(app, ["verify", "-w", str(work / "nothing")]).exit_code == 1


def test_shards_that_are_not_joined(tmp_path: Path, pictures: Path, tiny_encoder: Path) -> None:
    imgcluster.embed(pictures, workspace=tmp_path / "out", encoder=tiny_encoder, device="cpu", shard="0/2")
    found = imgcluster.verify(workspace=tmp_path / "out")
    assert found.consistent
    assert [(finding.level, "--finish" in finding.remedy) for finding in found.findings] == [("note", True)]
