"""What is printed of embed, cluster, run, apply, evaluate, report and undo."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from imgcluster.cli.console import images, new_table, plain, print_table, say

if TYPE_CHECKING:
    from imgcluster.clustering import Candidate
    from imgcluster.pipeline.apply import ApplySummary
    from imgcluster.pipeline.cluster import ClusterRow, ClusterSummary
    from imgcluster.pipeline.compare import Comparison
    from imgcluster.pipeline.embed import EmbedSummary
    from imgcluster.pipeline.evaluate import EvaluateSummary
    from imgcluster.pipeline.run import RunSummary
    from imgcluster.pipeline.undo import UndoSummary
    from imgcluster.scoring import Interval

__all__ = [
    "show_apply",
    "show_cluster",
    "show_comparison",
    "show_embed",
    "show_evaluate",
    "show_report",
    "show_run",
    "show_undo",
]

# More clusters than this are for clusters.csv and the page.
_ROWS: Final = 25
_FIGURES: Final = ("cluster", "size", "share", "confidence", "stability")


def show_embed(summary: EmbedSummary) -> None:
    """Print what `embed` did."""
    done = summary.new + summary.changed
    rate = f", {summary.images_per_second:,.0f} images/s" if summary.images_per_second else ""
    say(f"Embedded {images(done)} with {summary.encoder} on {summary.device.upper()} ({summary.seconds:.1f} s{rate}).")
    if summary.embedded != done or summary.vanished:
        parts = ((summary.new, "new"), (summary.changed, "changed"), (summary.unchanged, "unchanged"))
        told = [f"{count:,} {word}" for count, word in parts if count]
        told += [f"{summary.vanished:,} left because they are gone or left out now"] if summary.vanished else []
        say(f"The workspace holds {images(summary.embedded)}: {', '.join(told)}.")
    if len(summary.roots) > 1:
        say(f"They are of {len(summary.roots)} folders; --fresh keeps only those named now.")
    if summary.skipped:
        say(f"Skipped {images(summary.skipped)} that could not be read; {summary.workspace}/skipped.csv says why.")
    if summary.ignored:
        say(f"Left {summary.ignored:,} other {'file' if summary.ignored == 1 else 'files'} alone.")
    for note in summary.notes:
        say(f"Note: {note}")


def show_cluster(summary: ClusterSummary) -> None:
    """Print the clusters, one sentence on how far they can be trusted, and where things lie."""
    noise = f", {images(summary.noise)} in none of them (noise)" if summary.noise else ""
    reduction = "" if summary.reduction == "none" else f" after {summary.reduction}"
    say(
        f"{images(summary.images)}, {len(summary.clusters)} "
        f"{'cluster' if len(summary.clusters) == 1 else 'clusters'}{noise}, by {summary.method}{reduction} "
        f"({summary.seconds:.1f} s)."
    )
    _show_clusters(summary.clusters, summary.workspace)
    say(summary.quality)
    if len(summary.layers) > 1:
        others = (f"{count} clusters" for number, count in enumerate(summary.layers) if number != summary.layer)
        say(f"Finer and coarser: {', '.join(others)}; the same command with --level fine or coarse picks them.")
    _show_candidates(summary.candidates)
    for warning in summary.warnings:
        say(f"Note: {warning}")
    placed = ", ".join(f"{count:,} by {how}" for how, count in summary.placed.items())
    if summary.dry_run:
        say(
            f"Nothing was written. Without --dry-run: assignments.csv, clusters.csv, metrics.json and report.html in "
            f"{summary.workspace}, and {_files(placed)} in {summary.workspace}/clusters."
        )
        return
    folder, undo = f"{summary.workspace}/clusters", f"imgcluster undo -w {shlex.quote(summary.workspace)}"
    if placed and summary.place == "move":
        say(f"The originals are now in {folder}: do not delete it. To put them back: {undo}")
    elif placed:
        say(f"Placed {_files(placed)} in {folder}. To take them back: {undo}")
    say(f"Page: {summary.report}")


def show_run(summary: RunSummary) -> None:
    """Print what both halves of `run` did."""
    show_embed(summary.embed)
    show_cluster(summary.cluster)


def show_apply(summary: ApplySummary) -> None:
    """Print what a plan changed, and the clusters after it."""
    parts = (
        (summary.named, "named", "cluster"),
        (summary.merged, "merged", "cluster"),
        (summary.misplaced, "put right", "image"),
    )
    told = [f"{count:,} {noun}{'' if count == 1 else 's'} {verb}" for count, verb, noun in parts if count]
    would = "The plan would change" if summary.dry_run else "The plan changed"
    say(f"{would}: {', '.join(told) or 'nothing'}.")
    _show_clusters(summary.clusters, summary.workspace)
    if summary.dry_run:
        say("Nothing was written.")
        return
    if summary.moved:
        files = "file" if summary.moved == 1 else "files"
        say(f"Moved {summary.moved:,} placed {files} in {summary.workspace}/clusters.")
    say(f"To take the plan back: imgcluster undo -w {shlex.quote(summary.workspace)}")
    say(f"Page: {summary.report}")


def show_evaluate(summary: EvaluateSummary) -> None:
    """Print the scores."""
    say(
        f"{images(summary.images)} against {summary.classes} labels ({summary.labels}): "
        f"accuracy {_with_interval(summary.accuracy, summary.accuracy_interval)}, "
        f"NMI {_with_interval(summary.nmi, summary.nmi_interval)}, "
        f"ARI {_with_interval(summary.ari, summary.ari_interval)}, purity {summary.purity:.3f}."
    )
    if summary.noise:
        say(f"{images(summary.noise)} of no cluster (noise) count as one more cluster.")
    if summary.unlabelled:
        say(f"{images(summary.unlabelled)} have no label and were left out.")
    say(f"Confusion matrix: {summary.confusion_table}, {summary.confusion_picture}")


def show_comparison(comparison: Comparison) -> None:
    """Print clusterings side by side."""
    right = ("images", "clusters", "noise", "accuracy", "NMI", "ARI", "purity")
    table = new_table("workspace", "encoder", "method", *right, right=right)
    for row in comparison.rows:
        table.add_row(
            plain(row.workspace),
            plain(row.encoder),
            row.method,
            f"{row.images:,}",
            str(row.clusters),
            f"{row.noise / row.images:.0%}",
            _with_interval(row.accuracy, row.accuracy_interval),
            _with_interval(row.nmi, row.nmi_interval),
            _with_interval(row.ari, row.ari_interval),
            f"{row.purity:.3f}",
        )
    print_table(table)
    say(f"Labels: {comparison.labels}; in brackets 95 % bootstrap intervals.")


def show_report(written: tuple[str, str | None]) -> None:
    """Print where the page lies, and the figures where there are any."""
    page, figures = written
    if figures:
        say(f"Figures: {figures}")
    say(f"Page: {page}")


def show_undo(summary: UndoSummary) -> None:
    """Print what was taken back."""
    would = "Would take" if summary.dry_run else "Took"
    if summary.what == "plan":
        files = f"{summary.taken_back:,} placed {'file' if summary.taken_back == 1 else 'files'}"
        moved = f"; {files} moved back" if summary.taken_back else ""
        say(f"{would} back the last plan{moved}.")
        return
    total = summary.taken_back + len(summary.left)
    count = f"{summary.taken_back:,} of {total:,}" if summary.left else f"{total:,}"
    say(f"{would} back {count} {'file' if total == 1 else 'files'} placed by {summary.place}.")
    for target, reason in summary.left[:_ROWS]:
        say(f"Not taken back: {target} ({reason})")
    if len(summary.left) > _ROWS:
        say(f"… and {len(summary.left) - _ROWS} more.")


def _show_clusters(rows: Sequence[ClusterRow], workspace: str) -> None:
    if not rows:
        return
    named = any(row.name for row in rows)
    names = ("name",) if named else ()
    table = new_table(
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
        name = (plain(row.name),) if named else ()
        table.add_row(
            str(row.cluster),
            *name,
            f"{row.size:,}",
            f"{row.share:.1%}",
            f"{row.mean_confidence:.2f}",
            "" if row.stability is None else f"{row.stability:.2f}",
            plain(row.medoid),
        )
    print_table(table)
    if len(rows) > _ROWS:
        say(f"… and {len(rows) - _ROWS} more in {workspace}/clusters.csv.")


def _show_candidates(candidates: Sequence[Candidate]) -> None:
    if not candidates:
        return
    numbers = ("clusters", "silhouette", "stability", "persistence")
    table = new_table(*numbers, "", right=numbers)
    for candidate in candidates:
        scores = f"{candidate.silhouette:.2f}", f"{candidate.stability:.2f}", f"{candidate.persistence:.2f}"
        table.add_row(str(candidate.k), *scores, "chosen" if candidate.chosen else "")
    say("Numbers of clusters, scored without labels:")
    print_table(table)


def _with_interval(value: float, ends: Interval) -> str:
    return f"{value:.3f} ({ends[0]:.3f}–{ends[1]:.3f})"


def _files(placed: str) -> str:
    return f"files ({placed})" if placed else "no files"
