"""The command `train-encoder`."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from imgcluster.cli import options as o
from imgcluster.cli.console import images, new_table, print_table, say
from imgcluster.cli.screen import Screen, boundary
from imgcluster.fileio.path_text import to_text

if TYPE_CHECKING:
    from training.train import TrainResult

__all__ = [
    "show_training",
    "train_encoder_command",
]


def train_encoder_command(
    dataset: Annotated[
        str,
        typer.Option("--dataset", metavar="NAME|FOLDER", help="mnist, fashion-mnist, cifar10, strokes, or a folder."),
    ],
    recipe: Annotated[
        str | None, typer.Option("--recipe", metavar="NAME|FILE.toml", help="What to build and how to train it.")
    ] = None,
    refine: Annotated[
        str | None,
        typer.Option("--refine", metavar="K|auto", help="Train on until the codes fall into K clusters."),
    ] = None,
    folds: Annotated[int, typer.Option("--folds", help="Cross-validate with so many folds; 0 for none.")] = 0,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Replaces the recipe's.")] = None,
    steps_per_epoch: Annotated[
        int | None, typer.Option("--steps-per-epoch", help="Batches that count as one epoch; replaces the recipe's.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", help="Use this many images of each part at most, for a quick try.")
    ] = None,
    image_size: Annotated[
        int | None, typer.Option("--image-size", metavar="N", help="Sides that a folder's images are brought to.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", metavar="DIR", help="Where the published files lie already.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="The encoder's name; the recipe's by default.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="DIR", help="Where the files go; your own encoder folder by default."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where this training stopped.")] = False,
    seed: Annotated[int | None, typer.Option("--seed", help="Replaces the recipe's.")] = None,
    device: Annotated[str, typer.Option("--device", metavar="DEVICE", help="auto, cpu, cuda or mps.")] = "auto",
    workspace: o.AnyWorkspace = o.WORKSPACE,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Build, train, cross-validate and export an encoder (PyTorch → ONNX)."""
    screen = Screen(as_json, quiet, verbose)
    with boundary(screen):
        require_training()
        from training.train import train_encoder

        with screen.training_progress() as on_progress:
            result = train_encoder(
                dataset,
                recipe=recipe,
                refine=_clusters(refine),
                name=name,
                output=output,
                data_dir=data_dir,
                folds=folds,
                epochs=epochs,
                steps_per_epoch=steps_per_epoch,
                limit=limit,
                image_size=image_size,
                seed=seed,
                device=device,
                resume=resume,
                on_progress=on_progress,
            )
        screen.show(result, show_training)


def _clusters(text: str | None) -> int | Literal["auto"] | None:
    """Return what ``--refine`` says.

    Raises:
        UsageError: It is neither a whole number nor ``auto``.
    """
    from imgcluster.errors import UsageError

    if text is None:
        return None
    if text == "auto":
        return "auto"
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise UsageError(f"--refine {text!r} is not possible; give the number of clusters, at least 1, or auto")


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
    """Print what a training came to."""
    fit, refinement = result.fit, result.refinement
    if fit.history:
        say(
            f"Trained {result.name} for {len(fit.history)} epochs in {timedelta(seconds=round(fit.seconds))}; "
            f"the best was epoch {fit.best_epoch}."
        )
    if refinement is not None:
        say(f"Refined by {refinement.summary}, in {timedelta(seconds=round(refinement.seconds))}.")
    if result.folds is not None:
        table = new_table("measure", "mean", "sd", right=("mean", "sd"))
        for name, value in result.folds.measures.items():
            deviation = "" if math.isnan(value.sd) else f"{value.sd:.5f}"
            table.add_row(name.replace("_", " "), f"{value.mean:.5f}", deviation)
        say(f"Cross-validation, {len(result.folds.folds)} of {result.folds.planned} folds:")
        print_table(table)
    if result.test is not None:
        say(f"Test images: MSE {result.test.mse:.5f}, PSNR {result.test.psnr:.2f} dB, SSIM {result.test.ssim:.4f}.")
    if result.clusters is not None:
        say(
            f"k-means on the test codes: accuracy {result.clusters.hungarian_accuracy:.3f} (Hungarian), "
            f"{result.clusters.majority_accuracy:.3f} (majority class), NMI {result.clusters.nmi:.3f}, "
            f"ARI {result.clusters.ari:.3f}."
        )
    if result.unreadable:
        say(f"Left out {images(result.unreadable)} that could not be read.")
    say(f"Card: {to_text(result.card)}")
    say(f"Encoder: {to_text(result.encoder)}")
