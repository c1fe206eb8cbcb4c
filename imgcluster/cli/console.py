"""What is printed for people: bars, tables and summaries, with Rich."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from imgcluster.pathtext import printable, to_text

if TYPE_CHECKING:
    from imgcluster.clustering import Candidate
    from imgcluster.pipeline.apply import ApplySummary
    from imgcluster.pipeline.cluster import ClusterRow, ClusterSummary
    from imgcluster.pipeline.compare import Comparison
    from imgcluster.pipeline.doctor import DoctorSummary
    from imgcluster.pipeline.embed import EmbedSummary
    from imgcluster.pipeline.encoders import EncoderEntry
    from imgcluster.pipeline.evaluate import EvaluateSummary
    from imgcluster.pipeline.generate import GenerateSummary
    from imgcluster.pipeline.reconstruct import ReconstructSummary
    from imgcluster.pipeline.run import RunSummary
    from imgcluster.pipeline.undo import UndoSummary
    from imgcluster.scoring import Interval
    from training.train import TrainResult

__all__ = [
    "show_apply",
    "show_cluster",
    "show_comparison",
    "show_doctor",
    "show_embed",
    "show_encoder",
    "show_encoders",
    "show_evaluate",
    "show_generate",
    "show_reconstruct",
    "show_report",
    "show_run",
    "show_training",
    "show_undo",
]

# More clusters than this are for clusters.csv and the page.
_ROWS: Final = 25
_FIGURES: Final = ("cluster", "size", "share", "confidence", "stability")
_PLAIN_WIDTH: Final = 10_000


def show_embed(summary: EmbedSummary) -> None:
    """Print what `embed` did."""
    done = summary.new + summary.changed
    rate = f", {summary.images_per_second:,.0f} images/s" if summary.images_per_second else ""
    _say(
        f"Embedded {_images(done)} with {summary.encoder} on {summary.device.upper()} ({summary.seconds:.1f} s{rate})."
    )
    if summary.embedded != done or summary.vanished:
        parts = ((summary.new, "new"), (summary.changed, "changed"), (summary.unchanged, "unchanged"))
        told = [f"{count:,} {word}" for count, word in parts if count]
        told += [f"{summary.vanished:,} left because they are gone or left out now"] if summary.vanished else []
        _say(f"The workspace holds {_images(summary.embedded)}: {', '.join(told)}.")
    if len(summary.roots) > 1:
        _say(f"They are of {len(summary.roots)} folders; --fresh keeps only those named now.")
    if summary.skipped:
        _say(f"Skipped {_images(summary.skipped)} that could not be read; {summary.workspace}/skipped.csv says why.")
    if summary.ignored:
        _say(f"Left {summary.ignored:,} other {'file' if summary.ignored == 1 else 'files'} alone.")


def show_cluster(summary: ClusterSummary) -> None:
    """Print the clusters, one sentence on how far they can be trusted, and where things lie."""
    noise = f", {_images(summary.noise)} in none of them (noise)" if summary.noise else ""
    reduction = "" if summary.reduction == "none" else f" after {summary.reduction}"
    _say(
        f"{_images(summary.images)}, {len(summary.clusters)} "
        f"{'cluster' if len(summary.clusters) == 1 else 'clusters'}{noise}, by {summary.method}{reduction} "
        f"({summary.seconds:.1f} s)."
    )
    _show_clusters(summary.clusters, summary.workspace)
    _say(summary.quality)
    if len(summary.layers) > 1:
        others = (f"{count} clusters" for number, count in enumerate(summary.layers) if number != summary.layer)
        _say(f"Finer and coarser: {', '.join(others)}; the same command with --level fine or coarse picks them.")
    _show_candidates(summary.candidates)
    for warning in summary.warnings:
        _say(f"Note: {warning}")
    placed = ", ".join(f"{count:,} by {how}" for how, count in summary.placed.items())
    if summary.dry_run:
        _say(
            f"Nothing was written. Without --dry-run: assignments.csv, clusters.csv, metrics.json and report.html in "
            f"{summary.workspace}, and {_files(placed)} in {summary.workspace}/clusters."
        )
        return
    folder, undo = f"{summary.workspace}/clusters", f"imgcluster undo -w {shlex.quote(summary.workspace)}"
    if placed and summary.place == "move":
        _say(f"The originals are now in {folder}: do not delete it. To put them back: {undo}")
    elif placed:
        _say(f"Placed {_files(placed)} in {folder}. To take them back: {undo}")
    _say(f"Page: {summary.report}")


def _show_candidates(candidates: Sequence[Candidate]) -> None:
    if not candidates:
        return
    numbers = ("clusters", "silhouette", "stability", "persistence")
    table = _table(*numbers, "", right=numbers)
    for candidate in candidates:
        scores = f"{candidate.silhouette:.2f}", f"{candidate.stability:.2f}", f"{candidate.persistence:.2f}"
        table.add_row(str(candidate.k), *scores, "chosen" if candidate.chosen else "")
    _say("Numbers of clusters, scored without labels:")
    _print(table)


def show_apply(summary: ApplySummary) -> None:
    """Print what a plan changed, and the clusters after it."""
    parts = (
        (summary.named, "named", "cluster"),
        (summary.merged, "merged", "cluster"),
        (summary.misplaced, "put right", "image"),
    )
    told = [f"{count:,} {noun}{'' if count == 1 else 's'} {verb}" for count, verb, noun in parts if count]
    would = "The plan would change" if summary.dry_run else "The plan changed"
    _say(f"{would}: {', '.join(told) or 'nothing'}.")
    _show_clusters(summary.clusters, summary.workspace)
    if summary.dry_run:
        _say("Nothing was written.")
        return
    if summary.moved:
        files = "file" if summary.moved == 1 else "files"
        _say(f"Moved {summary.moved:,} placed {files} in {summary.workspace}/clusters.")
    _say(f"To take the plan back: imgcluster undo -w {shlex.quote(summary.workspace)}")
    _say(f"Page: {summary.report}")


def _show_clusters(rows: Sequence[ClusterRow], workspace: str) -> None:
    if not rows:
        return
    named = any(row.name for row in rows)
    names = ("name",) if named else ()
    table = _table(
        "cluster",
        *names,
        "size",
        "share",
        "confidence",
        "stability",
        "most typical image",
        right=_FIGURES,
    )
    for row in rows[:_ROWS]:
        name = (_text(row.name),) if named else ()
        table.add_row(
            str(row.cluster),
            *name,
            f"{row.size:,}",
            f"{row.share:.1%}",
            f"{row.mean_confidence:.2f}",
            "" if row.stability is None else f"{row.stability:.2f}",
            _text(row.medoid),
        )
    _print(table)
    if len(rows) > _ROWS:
        _say(f"… and {len(rows) - _ROWS} more in {workspace}/clusters.csv.")


def show_run(summary: RunSummary) -> None:
    """Print what both halves of `run` did."""
    show_embed(summary.embed)
    show_cluster(summary.cluster)


def show_evaluate(summary: EvaluateSummary) -> None:
    """Print the scores."""
    _say(
        f"{_images(summary.images)} against {summary.classes} labels ({summary.labels}): "
        f"accuracy {_with_interval(summary.accuracy, summary.accuracy_interval)}, "
        f"NMI {_with_interval(summary.nmi, summary.nmi_interval)}, "
        f"ARI {_with_interval(summary.ari, summary.ari_interval)}, purity {summary.purity:.3f}."
    )
    if summary.noise:
        _say(f"{_images(summary.noise)} of no cluster (noise) count as one more cluster.")
    if summary.unlabelled:
        _say(f"{_images(summary.unlabelled)} have no label and were left out.")
    _say(f"Confusion matrix: {summary.confusion_table}, {summary.confusion_picture}")


def show_comparison(comparison: Comparison) -> None:
    """Print clusterings side by side."""
    right = ("images", "clusters", "noise", "accuracy", "NMI", "ARI", "purity")
    table = _table("workspace", "encoder", "method", *right, right=right)
    for row in comparison.rows:
        table.add_row(
            _text(row.workspace),
            _text(row.encoder),
            row.method,
            f"{row.images:,}",
            str(row.clusters),
            f"{row.noise / row.images:.0%}",
            _with_interval(row.accuracy, row.accuracy_interval),
            _with_interval(row.nmi, row.nmi_interval),
            _with_interval(row.ari, row.ari_interval),
            f"{row.purity:.3f}",
        )
    _print(table)
    _say(f"Labels: {comparison.labels}; in brackets 95 % bootstrap intervals.")


def show_report(written: tuple[str, str | None]) -> None:
    """Print where the page lies, and the figures where there are any."""
    page, figures = written
    if figures:
        _say(f"Figures: {figures}")
    _say(f"Page: {page}")


def show_undo(summary: UndoSummary) -> None:
    """Print what was taken back."""
    would = "Would take" if summary.dry_run else "Took"
    if summary.what == "plan":
        files = f"{summary.taken_back:,} placed {'file' if summary.taken_back == 1 else 'files'}"
        moved = f"; {files} moved back" if summary.taken_back else ""
        _say(f"{would} back the last plan{moved}.")
        return
    total = summary.taken_back + len(summary.left)
    count = f"{summary.taken_back:,} of {total:,}" if summary.left else f"{total:,}"
    _say(f"{would} back {count} {'file' if total == 1 else 'files'} placed by {summary.place}.")
    for target, reason in summary.left[:_ROWS]:
        _say(f"Not taken back: {target} ({reason})")
    if len(summary.left) > _ROWS:
        _say(f"… and {len(summary.left) - _ROWS} more.")


def show_encoders(entries: Sequence[EncoderEntry]) -> None:
    """Print all encoders as a table."""
    table = _table("name", "values", "input", "trained on", "score", "licence", "from", right=("values",))
    for entry in entries:
        origin = "imgcluster" if entry.bundled else entry.file
        if entry.info is None:
            table.add_row(_text(entry.name), "", "", _text(entry.problem), "", "", _text(origin))
            continue
        info = entry.info
        table.add_row(
            _text(entry.name),
            f"{info.embedding_size:,}",
            f"{info.width}×{info.height}×{info.channels}",
            _text(info.trained_on),
            _text(info.score),
            _text(info.licence),
            _text(origin),
        )
    _print(table)


def show_encoder(entry: EncoderEntry) -> None:
    """Print one encoder: its card where it has one, and what it says about itself."""
    assert entry.info is not None
    table = _table("", "")
    table.show_header = False
    rows = {
        "name": entry.name,
        "version": entry.info.version,
        "file": entry.file,
        "values per image": f"{entry.info.embedding_size:,}, compared by {entry.info.metric}",
        "input": f"{entry.info.width}×{entry.info.height} px, {'grey' if entry.info.channels == 1 else 'RGB'}",
        "resize": f"{entry.info.resize} {entry.info.crop_fraction:g}, {entry.info.filter}",
        "trained on": entry.info.trained_on,
        "score": entry.info.score,
        "licence": entry.info.licence,
        "source": entry.info.source,
        "decoder": entry.info.decoder,
        "refined": entry.info.refined,
    }
    for name, value in rows.items():
        if value:
            table.add_row(name, _text(value))
    _print(table)
    if entry.card:
        _say("\n" + entry.card.rstrip())


def show_training(result: TrainResult) -> None:
    """Print what a training came to."""
    fit, refinement = result.fit, result.refinement
    if fit.history:
        _say(
            f"Trained {result.name} for {len(fit.history)} epochs in {timedelta(seconds=round(fit.seconds))}; "
            f"the best was epoch {fit.best_epoch}."
        )
    if refinement is not None:
        _say(f"Refined by {refinement.summary}, in {timedelta(seconds=round(refinement.seconds))}.")
    if result.folds is not None:
        table = _table("measure", "mean", "sd", right=("mean", "sd"))
        for name, value in result.folds.measures.items():
            deviation = "" if math.isnan(value.sd) else f"{value.sd:.5f}"
            table.add_row(name.replace("_", " "), f"{value.mean:.5f}", deviation)
        _say(f"Cross-validation, {len(result.folds.folds)} of {result.folds.planned} folds:")
        _print(table)
    if result.test is not None:
        _say(f"Test images: MSE {result.test.mse:.5f}, PSNR {result.test.psnr:.2f} dB, SSIM {result.test.ssim:.4f}.")
    if result.clusters is not None:
        _say(
            f"k-means on the test codes: accuracy {result.clusters.hungarian_accuracy:.3f} (Hungarian), "
            f"{result.clusters.majority_accuracy:.3f} (majority class), NMI {result.clusters.nmi:.3f}, "
            f"ARI {result.clusters.ari:.3f}."
        )
    if result.unreadable:
        _say(f"Left out {_images(result.unreadable)} that could not be read.")
    _say(f"Card: {to_text(result.card)}")
    _say(f"Encoder: {to_text(result.encoder)}")


def show_reconstruct(summary: ReconstructSummary) -> None:
    """Print what was reconstructed."""
    _say(
        f"Reconstructed {_images(summary.images)} with {summary.encoder} on {summary.device.upper()}: "
        f"mean squared error {summary.mean_mse:.5f} ({summary.seconds:.1f} s)."
    )
    _say(f"Worst: {summary.worst}")
    if summary.skipped:
        _say(f"Skipped {_images(summary.skipped)} that could not be read; {summary.output}/skipped.csv says why.")
    if summary.denoised:
        _say(f"Reconstructions alone: {summary.denoised}")
    _say(f"Ranked by error: {summary.output}/reconstruction.csv")
    _say(f"Originals beside reconstructions: {summary.output}/pairs")


def show_generate(summary: GenerateSummary) -> None:
    """Print what was generated."""
    around = f" around {summary.around}" if summary.around else ""
    _say(f"Generated {_images(summary.images)}{around} with {summary.encoder}, seed {summary.seed}.")
    _say(f"Grid: {summary.output}/grid.png")


def show_doctor(summary: DoctorSummary) -> None:
    """Print what runs here and what is missing."""
    _say(
        f"imgcluster {summary.imgcluster}, Python {summary.python}, {summary.platform}, {summary.processors} processors"
    )
    _say(", ".join(f"{name} {found}" for name, found in summary.packages.items()))
    table = _table("device", "runs", "images/s", "difference from CPU", "", right=("images/s",))
    for check in summary.devices:
        table.add_row(
            check.device,
            "yes" if check.runs else "no",
            "" if check.images_per_second is None else f"{check.images_per_second:,.0f}",
            "" if check.difference is None else f"{check.difference:.1e}",
            _text(check.problem),
        )
    _print(table)
    _say(f"Encoder {summary.encoder} runs on {summary.best.upper()} under --device auto.")
    missing = [name for name, present in summary.formats.items() if not present]
    _say("All picture formats can be read." if not missing else f"Cannot be read here: {', '.join(missing)}.")
    for what, command in summary.missing:
        _say(f"For {what}: {command}")


def _table(*columns: str, right: Sequence[str] = ()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def _print(table: Table) -> None:
    # Without a terminal to fit into, a table is as wide as it likes: paths stay whole.
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
    # Not printed by Rich, which ends the program itself where the reader has gone.
    with console.capture() as captured:
        console.print(table)
    sys.stdout.write(captured.get())


def _say(text: str) -> None:
    sys.stdout.write("\n".join(printable(line) for line in text.split("\n")) + "\n")


def _text(text: str) -> Text:
    """Return text as it is, without Rich's markup and without control characters."""
    return Text(printable(text))


def _with_interval(value: float, ends: Interval) -> str:
    return f"{value:.3f} ({ends[0]:.3f}–{ends[1]:.3f})"


def _images(count: int) -> str:
    return f"{count:,} {'image' if count == 1 else 'images'}"


def _files(placed: str) -> str:
    return f"files ({placed})" if placed else "no files"
