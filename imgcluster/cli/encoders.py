"""Commands for encoders: encoders list, encoders info, doctor, train-encoder, reconstruct and generate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from imgcluster.cli import options as o
from imgcluster.cli.boundary import SKIPPED, Screen, boundary

__all__ = [
    "doctor_command",
    "encoders_info_command",
    "encoders_list_command",
    "generate_command",
    "reconstruct_command",
    "train_encoder_command",
]


def encoders_list_command(
    workspace: o.AnyWorkspace = o.WORKSPACE,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """List the available encoders: the bundled ones and your own."""
    screen = Screen(as_json, quiet, verbose)
    with boundary(screen):
        from imgcluster.cli.show.encoders import show_encoders
        from imgcluster.pipeline.encoders import encoder_list

        entries = encoder_list()
        screen.show(entries, show_encoders, as_json={"encoders": entries})


def encoders_info_command(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE.onnx", help="The encoder.")],
    workspace: o.AnyWorkspace = o.WORKSPACE,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Describe an encoder: input, training data, score, license, model card."""
    screen = Screen(as_json, quiet, verbose)
    with boundary(screen):
        from imgcluster.cli.show.encoders import show_encoder
        from imgcluster.pipeline.encoders import encoder_info

        entry = encoder_info(name)
        screen.show(entry, show_encoder)


def doctor_command(
    encoder: o.EncoderName = o.ENCODER,
    device: Annotated[
        str | None,
        typer.Option("--device", metavar="DEVICE", help="Check this device only; exit code 5 if it does not run."),
    ] = None,
    workspace: o.AnyWorkspace = o.WORKSPACE,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Check which devices work, how fast they are, and what is missing."""
    screen = Screen(as_json, quiet, verbose)
    with boundary(screen):
        from imgcluster.cli.show.doctor import show_doctor
        from imgcluster.pipeline.doctor import doctor

        summary = doctor(encoder=encoder, device=device)
        screen.show(summary, show_doctor)


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
        from imgcluster.cli.show.training import show_training
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


def reconstruct_command(
    paths: o.Paths,
    encoder: Annotated[str, typer.Option("--encoder", metavar="NAME|FILE.onnx", help="An encoder with a decoder.")],
    output: Annotated[
        Path, typer.Option("--output", metavar="DIR", help="The folder for pairs/ and reconstruction.csv.")
    ] = Path("imgcluster-reconstructed"),
    denoised: Annotated[
        Path | None,
        typer.Option("--denoised", metavar="DIR", help="Also write the reconstructions alone to this folder."),
    ] = None,
    device: o.Device = "auto",
    workers: o.Workers = None,
    exclude: o.Exclude = None,
    no_recursive: o.NoRecursive = False,
    strict: o.Strict = False,
    workspace: o.AnyWorkspace = o.WORKSPACE,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Reconstruct images with an autoencoder and rank them by error; outliers have large errors."""
    screen = Screen(as_json, quiet, verbose)
    with boundary(screen):
        from imgcluster.cli.show.encoders import show_reconstruct
        from imgcluster.pipeline.reconstruct import reconstruct

        with screen.progress() as on_progress:
            summary = reconstruct(
                paths or (),
                encoder=encoder,
                output=output,
                denoised=denoised,
                device=device,
                workers=workers,
                exclude=exclude or (),
                recursive=not no_recursive,
                on_progress=on_progress,
            )
        screen.show(summary, show_reconstruct)
        if strict and summary.skipped:
            raise typer.Exit(SKIPPED)


def generate_command(
    encoder: Annotated[
        str, typer.Option("--encoder", metavar="NAME|FILE.onnx", help="A variational encoder with its decoder.")
    ],
    count: Annotated[int, typer.Option("-n", "--count", help="The number of images.")] = 64,
    output: Annotated[Path, typer.Option("--output", metavar="DIR", help="The folder for the images.")] = Path(
        "imgcluster-generated"
    ),
    around: Annotated[
        Path | None, typer.Option("--around", metavar="IMAGE", help="Generate images similar to this one.")
    ] = None,
    spread: Annotated[
        float,
        typer.Option("--spread", help="Standard deviation of the embeddings around it; that of all images is about 1."),
    ] = 0.2,
    seed: o.Seed = 0,
    device: o.Device = "auto",
    workspace: o.AnyWorkspace = o.WORKSPACE,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Generate new images with the decoder of a variational autoencoder."""
    screen = Screen(as_json, quiet, verbose)
    with boundary(screen):
        from imgcluster.cli.show.encoders import show_generate
        from imgcluster.pipeline.generate import generate

        with screen.progress() as on_progress:
            summary = generate(
                encoder=encoder,
                count=count,
                output=output,
                seed=seed,
                around=around,
                spread=spread,
                device=device,
                on_progress=on_progress,
            )
        screen.show(summary, show_generate)


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
