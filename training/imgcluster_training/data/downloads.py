"""Downloads of published data sets into a cache; every file must have the checksum that its authors published."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from imgcluster_training.errors import DatasetError

__all__ = ["CIFAR10", "FASHION_MNIST", "MNIST", "Source", "cache_folder", "fetch"]

_TIMEOUT_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class Source:
    """Where a data set is published: mirrors in the order in which to try them, and every file's checksum."""

    name: str
    mirrors: tuple[str, ...]
    checksums: dict[str, str]


MNIST: Final = Source(
    name="mnist",
    mirrors=(
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    ),
    checksums={
        "train-images-idx3-ubyte.gz": "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "md5:d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "md5:9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "md5:ec29112dd5afa0611ce80d1b7f02629c",
    },
)
FASHION_MNIST: Final = Source(
    name="fashion-mnist",
    mirrors=(
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    checksums={
        "train-images-idx3-ubyte.gz": "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "md5:25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "md5:bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "md5:bb300cfdad3c16e7a12a480ee83cd310",
    },
)
CIFAR10: Final = Source(
    name="cifar10",
    mirrors=("https://www.cs.toronto.edu/~kriz/",),
    checksums={"cifar-10-binary.tar.gz": "md5:c32a1d4ab5d03f1284b67883e8d87530"},
)


def cache_folder() -> Path:
    """Return the folder for downloads: ``IMGCLUSTER_DATA``, else in the platform's cache."""
    named = os.environ.get("IMGCLUSTER_DATA")
    if named:
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_cache_dir("imgcluster")) / "datasets"


def fetch(source: Source, file: str, data_dir: Path | None = None) -> Path:
    """Return the path of `file`, from the cache or else from the first mirror with the right checksum.

    Args:
        source: The data set.
        file: One of the names in its `checksums`.
        data_dir: The folder that does not contain it, for the error message.

    Raises:
        DatasetError: No mirror has the file; the message says where to put it by hand.
    """
    import pooch

    folder = cache_folder() / source.name
    checksum = source.checksums[file]
    # pooch writes to standard error by itself.
    pooch.get_logger().setLevel(logging.ERROR)
    problems = []
    for mirror in source.mirrors:
        try:
            return Path(
                pooch.retrieve(
                    mirror + file,
                    known_hash=checksum,
                    fname=file,
                    path=folder,
                    downloader=pooch.HTTPDownloader(timeout=_TIMEOUT_SECONDS),
                )
            )
        # Network errors (those of requests are OSErrors) and wrong checksums: try the next mirror.
        except (OSError, ValueError) as error:
            problems.append(f"{mirror}: {type(error).__name__}")
    searched = "" if data_dir is None else f"is not in {data_dir} and "
    raise DatasetError(
        f"{source.name}: {file} {searched}cannot be downloaded ({'; '.join(problems)}); "
        f"put it into a folder and give that with --data-dir, or put it into {folder}"
    )
