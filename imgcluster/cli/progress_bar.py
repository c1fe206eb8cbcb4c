"""Bars on standard error that show how far a command is, with Rich."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from imgcluster import progress

if TYPE_CHECKING:
    from training.progress import Progress as TrainingProgress

__all__ = ["bar", "training_bar"]

_STAGES: Final = {
    "find": "Looking for images",
    "embed": "Embedding",
    "load": "Loading embeddings",
    "cluster": "Clustering",
    "measure": "Measuring",
    "place": "Placing files",
    "layout": "Laying out the map",
    "thumbnails": "Making small pictures",
    "figures": "Drawing figures",
    "report": "Writing the page",
    "undo": "Taking files back",
    "reconstruct": "Reconstructing",
    "generate": "Generating",
}


class _Time(TimeRemainingColumn):
    """The time left; where nobody knows it, the time gone by."""

    def render(self, task: Task) -> Text:
        return super().render(task) if task.total else TimeElapsedColumn().render(task)


@contextmanager
def bar() -> Iterator[progress.Report]:
    """Yield a function that shows each step as a bar on standard error."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        _Time(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def report(step: progress.Progress) -> None:
            if step.stage not in tasks:
                for earlier in tasks.values():
                    bars.update(earlier, visible=False)
                tasks[step.stage] = bars.add_task(_STAGES.get(step.stage, step.stage), total=step.total, count="")
            task = tasks[step.stage]
            speed = bars.tasks[task].speed
            count = f"{step.done:,}" + (f" of {step.total:,}" if step.total else "") if step.done else ""
            rate = f"  {speed:,.0f}/s" if speed and step.total else ""
            bars.update(task, completed=step.done, total=step.total, count=count + rate)

        yield report


@contextmanager
def training_bar() -> Iterator[Callable[[TrainingProgress], None]]:
    """Yield a function that shows how a training goes as a bar on standard error."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("Training", total=None, count="")

        def report(step: TrainingProgress) -> None:
            fold = f"fold {step.fold}/{step.folds}, " if step.folds else ""
            validated = "" if math.isnan(step.validation_loss) else f", validation {step.validation_loss:.5f}"
            left = timedelta(seconds=round(step.seconds_left))
            bars.update(
                task,
                description=f"{step.stage.capitalize() or 'Training'} {fold}epoch {step.epoch}/{step.epochs}",
                completed=(step.epoch - 1) * step.steps + step.step,
                total=step.epochs * step.steps,
                count=f"loss {step.loss:.5f}{validated}  {step.images_per_second:,.0f} images/s  {left} left",
            )

        yield report
