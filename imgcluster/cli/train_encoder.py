"""The command `train-encoder`."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcluster.cli.command import UnusedWorkspace, command
from imgcluster.cli.console import echo, new_table, print_table
from imgcluster.cli.screen import Screen
from imgcluster.fileio.path_text import to_text
from imgcluster.options import DEFAULT_WORKSPACE, TrainingOptions
from imgcluster.wording import counted

if TYPE_CHECKING:
    from imgcluster_training.train import TrainResult

__all__ = [
    "show_training",
    "train_encoder_command",
]


@command(options=TrainingOptions)
def train_encoder_command(
    screen: Screen,
    dataset: Annotated[
        str,
        typer.Option("--dataset", metavar="NAME|FOLDER", help="mnist, fashion-mnist, cifar10, strokes, or a folder."),
    ],
    options: TrainingOptions,
    workspace: UnusedWorkspace = Path(DEFAULT_WORKSPACE),
) -> None:
    """Build, train, cross-validate and export an encoder (PyTorch → ONNX)."""
    require_training()
    from imgcluster_training.train import train_encoder

    with screen.training_progress() as on_progress:
        result = train_encoder(dataset, options, on_progress=on_progress)
    screen.show(result, show_training)


def require_training() -> None:
    """Refuse to train if a package of the extra ``train`` is missing or broken.

    Raises:
        ImgclusterError: Names the package and how to install it.
    """
    from imgcluster.errors import ImgclusterError
    from imgcluster.optional import EXTRAS, UnavailablePackage, import_optional

    for package in EXTRAS["train"]:
        try:
            import_optional(package)
        except UnavailablePackage as error:
            raise ImgclusterError(f"train-encoder is not possible: {error}") from None


def show_training(result: TrainResult) -> None:
    """Print the result of a training."""
    fit, refinement = result.fit, result.refinement
    if fit.history:
        epochs = counted(len(fit.history), "epoch")
        duration = timedelta(seconds=round(fit.seconds))
        echo(f"Trained {result.name} for {epochs} in {duration}; the best is epoch {fit.best_epoch}.")
    if refinement is not None:
        echo(f"Deep clustering: {refinement.summary}, in {timedelta(seconds=round(refinement.seconds))}.")
    if result.folds is not None:
        table = new_table("measure", "mean", "sd", right=("mean", "sd"))
        for name, value in result.folds.measures.items():
            deviation = "" if math.isnan(value.sd) else f"{value.sd:.5f}"
            table.add_row(name.replace("_", " "), f"{value.mean:.5f}", deviation)
        echo(f"Cross-validation, {len(result.folds.folds)} of {result.folds.planned} folds:")
        print_table(table)
    if result.test is not None:
        echo(f"Test images: MSE {result.test.mse:.5f}, PSNR {result.test.psnr:.2f} dB, SSIM {result.test.ssim:.4f}.")
    if result.note:
        echo(result.note)
    if result.clusters is not None:
        echo(
            f"k-means on the test codes: accuracy {result.clusters.hungarian_accuracy:.3f} (Hungarian), "
            f"{result.clusters.majority_accuracy:.3f} (majority class), NMI {result.clusters.nmi:.3f}, "
            f"ARI {result.clusters.ari:.3f}."
        )
    if result.unreadable:
        echo(f"Ignored {counted(result.unreadable, 'image')} that could not be read.")
    echo(f"Card: {to_text(result.card)}")
    echo(f"Encoder: {to_text(result.encoder)}")
