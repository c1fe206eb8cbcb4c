"""The time of `embed --shard`: a model, compared with `benchmarks.shards`, and its prediction for more images.

All parts of embedding overlap, so the slowest of them counts: listing and start come on top. The largest of N shards of
hashed paths has about sqrt(2 ln N · n/N) images more than the average one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchmarks.shards import IMAGES, PROCESSES, SECONDS_PER_IMAGE

# Of docs/performance.md, on one core of an AMD EPYC: 264 images/s on two cores, of which the network takes 5.3 ms.
SECONDS_TO_EMBED = 2 / 264
SECONDS_TO_DECODE = SECONDS_TO_EMBED - 0.0053
FILES_LISTED_PER_SECOND = 55_877
# Of the small photographs of that measurement; those of a camera have 100 times as many, and take longer to decode.
BYTES_READ = 30_000
BYTES_WRITTEN = 4 * 2688 + 3_500
START = 2.0


@dataclass(frozen=True)
class Machine:
    """One process: cores, images per second of its GPU (0 without), and bytes per second from the images' storage."""

    name: str
    cores: int
    gpu: float
    storage: float

    def seconds_per_image(self) -> dict[str, float]:
        """Return how long each part of embedding takes."""
        work = SECONDS_TO_DECODE if self.gpu else SECONDS_TO_EMBED
        parts = {"reading": BYTES_READ / self.storage, "decoding" if self.gpu else "processors": work / self.cores}
        return parts | ({"GPU": 1 / self.gpu} if self.gpu else {})


MACHINES = (
    Machine("16 cores, 1.25 GB/s", 16, 0, 1.25e9),
    Machine("8 cores, a GPU of 10,000 images/s, 1.25 GB/s", 8, 10_000, 1.25e9),
    Machine("32 cores, a GPU of 10,000 images/s, 1.25 GB/s", 32, 10_000, 1.25e9),
)


def largest(images: int, shards: int) -> float:
    """Return the expected number of images of the largest shard."""
    mean = images / shards
    return mean + math.sqrt(2 * math.log(shards) * mean)


def main() -> None:
    print("With the encoder of benchmarks.shards, without start and listing:")
    single = IMAGES * SECONDS_PER_IMAGE
    for count in PROCESSES:
        seconds = largest(count * IMAGES, count) * SECONDS_PER_IMAGE
        print(f"  {count} processes: {seconds:.1f} s, {count * single / seconds:.1f} times one process")
    for images in (10**8, 10**9):
        written = images * BYTES_WRITTEN / 1e12
        listing = images / FILES_LISTED_PER_SECOND / 3600
        print(f"{images:,} images: {written:.1f} TB written; every process lists for {listing:.1f} h")
        for machine in MACHINES:
            parts = machine.seconds_per_image()
            slowest = max(parts, key=parts.__getitem__)
            for count in (1, 16, 256):
                hours = (START + largest(images, count) * parts[slowest]) / 3600
                first = slowest if hours > listing else "listing"
                print(f"  {count} × {machine.name}: {hours + listing:.1f} h, of it {hours:.1f} h embedding; {first}")


if __name__ == "__main__":
    main()
