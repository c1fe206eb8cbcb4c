"""The options that several commands share, each declared once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from imgcluster.errors import UsageError

if TYPE_CHECKING:
    from imgcluster.encoders import EncoderOptions

__all__ = [
    "ENCODER",
    "WORKSPACE",
    "AnyWorkspace",
    "Assign",
    "BatchSize",
    "Device",
    "DryRun",
    "EncoderName",
    "Exclude",
    "FilesFrom",
    "Fresh",
    "ImageSize",
    "Json",
    "K",
    "Level",
    "Mean",
    "Method",
    "MinClusterSize",
    "NoRecursive",
    "Paths",
    "Place",
    "Pool",
    "Quiet",
    "Reduce",
    "Resize",
    "Scale",
    "Seed",
    "Std",
    "Strict",
    "Verbose",
    "Workers",
    "WorkspaceFolder",
    "count",
    "encoder_options",
    "listed",
    "numbers",
    "size",
]

WORKSPACE: Final = Path("imgcluster-out")
"""The workspace of a command that names none."""

ENCODER: Final = "photos"
"""The encoder of a command that names none."""

_GENERAL: Final = "General"
_MODEL: Final = "Foreign ONNX models"
_FILES: Final = "Which files"

WorkspaceFolder = Annotated[
    Path,
    typer.Option(
        "-w",
        "--workspace",
        envvar="IMGCLUSTER_WORKSPACE",
        metavar="DIR",
        help="The folder for all results.",
        rich_help_panel=_GENERAL,
    ),
]
AnyWorkspace = Annotated[
    Path, typer.Option("-w", "--workspace", hidden=True, help="Taken by every command; this one needs none.")
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON object on standard output.", rich_help_panel=_GENERAL),
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print errors only.", rich_help_panel=_GENERAL)]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Print what happens inside.", rich_help_panel=_GENERAL)]

Paths = Annotated[
    list[Path] | None, typer.Argument(metavar="PATH…", help="Folders of images, or images.", show_default=False)
]
FilesFrom = Annotated[
    str | None,
    typer.Option(
        "--files-from",
        metavar="FILE|-",
        help="Read more paths from a file or standard input, one a line or separated by NUL.",
        rich_help_panel=_FILES,
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        metavar="GLOB",
        help="Leave out files and folders of this name; with a slash: of this path below PATH. May be repeated.",
        rich_help_panel=_FILES,
    ),
]
NoRecursive = Annotated[
    bool, typer.Option("--no-recursive", help="Do not look into folders inside PATH.", rich_help_panel=_FILES)
]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="Start over instead of adding to the workspace.", rich_help_panel=_FILES)
]
Strict = Annotated[
    bool, typer.Option("--strict", help="End with exit code 3 where images were skipped.", rich_help_panel=_FILES)
]

EncoderName = Annotated[
    str,
    typer.Option("--encoder", metavar="NAME|FILE.onnx", help="The encoder; see imgcluster encoders list."),
]
Device = Annotated[
    str, typer.Option("--device", metavar="DEVICE", help="auto, cpu, cuda, directml, coreml, …; see imgcluster doctor.")
]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, help="Images that go through the encoder at once.")]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Threads that read and decode; all processors by default.")
]

Mean = Annotated[
    str | None,
    typer.Option(
        "--mean",
        metavar="M[,M,M]",
        help="Subtracted from scaled pixels: one value, or one per channel.",
        rich_help_panel=_MODEL,
    ),
]
Std = Annotated[
    str | None,
    typer.Option("--std", metavar="S[,S,S]", help="Then divided by this.", rich_help_panel=_MODEL),
]
Scale = Annotated[
    float | None,
    typer.Option(
        "--scale", help="Pixels (0 to 255) are multiplied by this first; 1/255 by default.", rich_help_panel=_MODEL
    ),
]
Resize = Annotated[
    str | None,
    typer.Option(
        "--resize", metavar="RULE", help="crop, stretch or pad pictures of another shape.", rich_help_panel=_MODEL
    ),
]
ImageSize = Annotated[
    str | None,
    typer.Option(
        "--image-size", metavar="N|WxH", help="The input size where the graph leaves it open.", rich_help_panel=_MODEL
    ),
]
Pool = Annotated[
    str | None,
    typer.Option("--pool", metavar="cls|mean", help="How tokens become one vector.", rich_help_panel=_MODEL),
]

K = Annotated[
    str | None,
    typer.Option(
        "-k",
        "--k",
        metavar="N|auto|LOW..HIGH",
        help="The number of clusters; found without it. auto and a range also show how the numbers score.",
    ),
]
Method = Annotated[
    str,
    typer.Option("--method", metavar="METHOD", help="auto (kmeans), kmeans, hdbscan or evoc."),
]
MinClusterSize = Annotated[
    int | None,
    typer.Option(
        "--min-cluster-size", help="The smallest cluster of hdbscan and evoc; grows with the images by default."
    ),
]
Reduce = Annotated[
    str, typer.Option("--reduce", metavar="HOW", help="auto (graph; none before evoc), none, graph, pca or umap.")
]
Level = Annotated[
    str | None,
    typer.Option(
        "--level",
        metavar="LEVEL",
        help="Finer or coarser clusters: fine, medium, coarse, or a layer's number; picked without computing again.",
    ),
]
Assign = Annotated[bool, typer.Option("--assign-noise", help="Give noise to the cluster of its neighbours.")]
Place = Annotated[
    str,
    typer.Option(
        "--place",
        metavar="HOW",
        help="How images come into the labelled folders: symlink, copy, hardlink, move or none.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
Seed = Annotated[int, typer.Option("--seed", help="The same seed gives the same result.")]


def numbers(text: str | None, option: str) -> tuple[float, ...] | None:
    """Parse ``0.485,0.456,0.406``.

    Raises:
        UsageError: It is something else.
    """
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"{option} {text!r} is not understood; give one number, or one per channel: 0.5,0.5,0.5"
        ) from None


def count(text: str | None) -> int | str | None:
    """Return a plain number as one; what else there is to understand, `cluster` does."""
    return int(text) if text is not None and text.strip().isdecimal() else text


def size(text: str | None) -> tuple[int, int] | None:
    """Parse ``224`` or ``320x240`` (width first).

    Raises:
        UsageError: It is something else.
    """
    if text is None:
        return None
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) not in (1, 2) or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise UsageError(f"--image-size {text!r} is not understood; give 224, or 320x240 (width first)")
    return int(parts[0]), int(parts[-1])


def listed(source: str | None) -> list[Path]:
    """Return the paths that ``--files-from`` lists.

    Raises:
        UsageError: There is no such file.
    """
    if source is None:
        return []
    from imgcluster.images.find import read_list

    if source == "-":
        return read_list(sys.stdin.buffer)
    if not Path(source).is_file():
        raise UsageError(f"there is no list of files {source}; give a file, or - for standard input")
    with Path(source).open("rb") as file:
        return read_list(file)


def encoder_options(
    mean: str | None, std: str | None, scale: float | None, resize: str | None, image_size: str | None, pool: str | None
) -> EncoderOptions:
    """Return the options of foreign ONNX models as `embed` and `run` take them."""
    from imgcluster.encoders import EncoderOptions

    return EncoderOptions(
        mean=numbers(mean, "--mean"),
        std=numbers(std, "--std"),
        scale=scale,
        resize=resize,
        image_size=size(image_size),
        pool=pool,
    )
