"""The commands around encoders: what there is and what runs, training, and what autoencoders are good for besides."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from imgcluster.cli import options as o
from imgcluster.cli.boundary import SKIPPED, Screen, boundary
from imgcluster.training_options import TrainingOptions, meaning_of

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
    """List the encoders: the bundled ones and your own."""
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
    """Say what an encoder is, where it comes from and how it scores."""
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
    """Say which device really runs, how fast, and what is missing."""
    screen = Screen(as_json, quiet, verbose)
    with boundary(screen):
        from imgcluster.cli.show.doctor import show_doctor
        from imgcluster.pipeline.doctor import doctor

        summary = doctor(encoder=encoder, device=device)
        screen.show(summary, show_doctor)


def _training(option: str, metavar: str | None = None) -> Any:
    """Return the command-line option of a field of `TrainingOptions`."""
    return typer.Option("--" + option.replace("_", "-"), metavar=metavar, help=meaning_of(option))


_DEFAULTS: Final = TrainingOptions()


def train_encoder_command(
    dataset: Annotated[
        str,
        typer.Option("--dataset", metavar="NAME|FOLDER", help="mnist, fashion-mnist, cifar10, strokes, or a folder."),
    ],
    recipe: Annotated[str | None, _training("recipe", "NAME|FILE.toml")] = _DEFAULTS.recipe,
    refine: Annotated[str | None, _training("refine", "K|auto")] = None,
    folds: Annotated[int, _training("folds")] = _DEFAULTS.folds,
    epochs: Annotated[int | None, _training("epochs")] = _DEFAULTS.epochs,
    steps_per_epoch: Annotated[int | None, _training("steps_per_epoch")] = _DEFAULTS.steps_per_epoch,
    limit: Annotated[int | None, _training("limit")] = _DEFAULTS.limit,
    image_size: Annotated[int | None, _training("image_size", "N")] = _DEFAULTS.image_size,
    data_dir: Annotated[Path | None, _training("data_dir", "DIR")] = _DEFAULTS.data_dir,
    name: Annotated[str | None, _training("name")] = _DEFAULTS.name,
    output: Annotated[Path | None, _training("output", "DIR")] = _DEFAULTS.output,
    resume: Annotated[bool, _training("resume")] = _DEFAULTS.resume,
    seed: Annotated[int | None, _training("seed")] = _DEFAULTS.seed,
    device: Annotated[str, _training("device", "DEVICE")] = _DEFAULTS.device,
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
        from imgcluster_training.train import train_encoder

        options = TrainingOptions(
            recipe=recipe,
            refine=_clusters(refine),
            folds=folds,
            epochs=epochs,
            steps_per_epoch=steps_per_epoch,
            limit=limit,
            image_size=image_size,
            data_dir=data_dir,
            name=name,
            output=output,
            resume=resume,
            seed=seed,
            device=device,
        )
        with screen.training_progress() as on_progress:
            result = train_encoder(dataset, options, on_progress=on_progress)
        screen.show(result, show_training)


def reconstruct_command(
    paths: o.Paths,
    encoder: Annotated[str, typer.Option("--encoder", metavar="NAME|FILE.onnx", help="An encoder with a decoder.")],
    output: Annotated[
        Path, typer.Option("--output", metavar="DIR", help="Where pairs/ and reconstruction.csv go.")
    ] = Path("imgcluster-reconstructed"),
    denoised: Annotated[
        Path | None, typer.Option("--denoised", metavar="DIR", help="Write the reconstructions alone here, too.")
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
    """Originals beside reconstructions, and the error of each: what was not learned is reconstructed badly."""
    screen = Screen(as_json, quiet, verbose)
    with boundary(screen):
        from imgcluster.cli.show.encoders import show_reconstruct
        from imgcluster.pipeline.reconstruct import reconstruct

        with screen.progress() as report:
            summary = reconstruct(
                paths or (),
                encoder=encoder,
                output=output,
                denoised=denoised,
                device=device,
                workers=workers,
                exclude=exclude or (),
                recursive=not no_recursive,
                report=report,
            )
        screen.show(summary, show_reconstruct)
        if strict and summary.skipped:
            raise typer.Exit(SKIPPED)


def generate_command(
    encoder: Annotated[
        str, typer.Option("--encoder", metavar="NAME|FILE.onnx", help="A variational encoder with its decoder.")
    ],
    count: Annotated[int, typer.Option("-n", "--count", help="How many images.")] = 64,
    output: Annotated[Path, typer.Option("--output", metavar="DIR", help="Where the images go.")] = Path(
        "imgcluster-generated"
    ),
    around: Annotated[
        Path | None, typer.Option("--around", metavar="IMAGE", help="Make images similar to this one.")
    ] = None,
    spread: Annotated[float, typer.Option("--spread", help="How far from it; all images together have about 1.")] = 0.2,
    seed: o.Seed = 0,
    device: o.Device = "auto",
    workspace: o.AnyWorkspace = o.WORKSPACE,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """New images from the decoder of a variational autoencoder."""
    screen = Screen(as_json, quiet, verbose)
    with boundary(screen):
        from imgcluster.cli.show.encoders import show_generate
        from imgcluster.pipeline.generate import generate

        with screen.progress() as report:
            summary = generate(
                encoder=encoder,
                count=count,
                output=output,
                seed=seed,
                around=around,
                spread=spread,
                device=device,
                report=report,
            )
        screen.show(summary, show_generate)


def _clusters(text: str | None) -> int | Literal["auto"] | None:
    """Return the number of clusters in ``--refine``.

    Raises:
        UsageError: It is neither a positive number nor ``auto``.
    """
    from imgcluster.errors import UsageError

    if text is None:
        return None
    if text == "auto":
        return "auto"
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise UsageError(f"--refine {text!r} is not allowed; give the number of clusters, at least 1, or auto")


def require_training() -> None:
    """Refuse to train where PyTorch, or what else the extra brings, is not installed.

    Raises:
        ImgclusterError: One of the packages is missing.
    """
    from importlib.util import find_spec

    from imgcluster.errors import ImgclusterError

    missing = [name for name in ("torch", "onnx", "onnxscript", "pooch", "pydantic") if find_spec(name) is None]
    if missing:
        raise ImgclusterError(
            f"train-encoder needs {' and '.join(missing)}, which only the extra brings: pip install 'imgcluster[train]'"
        )
