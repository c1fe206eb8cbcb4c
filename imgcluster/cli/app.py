"""The table of all commands, and the entry point."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from imgcluster.cli import (
    apply,
    assign,
    cluster,
    compare,
    doctor,
    duplicates,
    embed,
    encoders,
    evaluate,
    export,
    generate,
    history,
    import_vectors,
    merge,
    outliers,
    reconstruct,
    report,
    run,
    search,
    similar,
    sort,
    train_encoder,
    undo,
    verify,
)
from imgcluster.cli.ray_option import CommandWithRay
from imgcluster.cli.usage_errors import Commands

__all__ = ["app", "main"]

app = typer.Typer(
    name="imgcluster",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
encoders_app = typer.Typer(help="The encoders that are there.", no_args_is_help=True)


def _examples(*lines: str) -> str:
    """Return the text below the help of a command; its lines are paragraphs, which are not joined."""
    return "\n\n".join(("Examples:", *(f"  imgcluster {line}" for line in lines)))


app.command(
    "embed",
    cls=CommandWithRay,
    epilog=_examples("embed ./photos", "embed ./photos ./scans --exclude '*.gif' -w ./result"),
)(embed.embed_command)
app.command(
    "cluster",
    cls=cluster.ClusterCommand,
    epilog=_examples("cluster --k 10", "cluster --level coarse", "cluster --method hdbscan --place copy"),
)(cluster.cluster_command)
app.command("assign")(assign.assign_command)
app.command(
    "run",
    cls=cluster.ClusterCommand,
    epilog=_examples("run ./photos", "run ./photos --k 10 -w ./result", "run ./photos --place copy --dry-run"),
)(run.run_command)
app.command("import")(import_vectors.import_command)
app.command("merge")(merge.merge_command)
app.command("export")(export.export_command)
app.command("search")(search.search_command)
app.command("sort")(sort.sort_command)
app.command("duplicates")(duplicates.duplicates_command)
app.command("similar")(similar.similar_command)
app.command("outliers")(outliers.outliers_command)
app.command("evaluate")(evaluate.evaluate_command)
app.command("compare")(compare.compare_command)
app.command("report")(report.report_command)
app.command("apply")(apply.apply_command)
app.command("undo")(undo.undo_command)
app.command("history")(history.history_command)
app.command("verify")(verify.verify_command)
app.command("train-encoder")(train_encoder.train_encoder_command)
app.add_typer(encoders_app, name="encoders")
encoders_app.command("list")(encoders.encoders_list_command)
encoders_app.command("info")(encoders.encoders_info_command)
encoders_app.command("pull")(encoders.encoders_pull_command)
encoders_app.command("remove")(encoders.encoders_remove_command)
encoders_app.command("export")(encoders.encoders_export_command)
encoders_app.command("import")(encoders.encoders_import_command)
app.command("reconstruct")(reconstruct.reconstruct_command)
app.command("generate")(generate.generate_command)
app.command("doctor")(doctor.doctor_command)


@app.callback(invoke_without_command=True)
def version_callback(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    """Sort folders of images into clusters: embed them, cluster the embeddings, look at the result."""
    if version:
        from imgcluster._version import __version__

        sys.stdout.write(f"imgcluster {__version__}\n")
        raise typer.Exit


def main() -> None:
    """The entry point of the ``imgcluster`` command."""
    app()
