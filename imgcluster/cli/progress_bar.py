"""Progress bars on standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

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
from imgcluster.cli.progress_lines import STAGES, per_second, training_texts

if TYPE_CHECKING:
    from imgcluster_training.progress import TrainingProgress

__all__ = ["bar", "training_bar"]


class _Time(TimeRemainingColumn):
    """The remaining time, or the elapsed time while the total is unknown."""

    def render(self, task: Task) -> Text:
        return super().render(task) if task.total else TimeElapsedColumn().render(task)


@contextmanager
def bar() -> Iterator[progress.OnProgress]:
    """Yield a callback that shows the current stage as a bar; the rate is Rich's moving average."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        _Time(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        stage, task = "", TaskID(-1)

        def on_progress(step: progress.Progress) -> None:
            nonlocal stage, task
            title, noun = STAGES.get(step.stage, (step.stage, ""))
            # The stages of some commands repeat, as for each encoder of `compare`.
            if step.stage != stage:
                for earlier in bars.task_ids:
                    bars.update(earlier, visible=False)
                stage, task = step.stage, bars.add_task(title, total=step.total, count="")
            speed = bars.tasks[task].speed
            count = f"{step.done:,}" + (f" of {step.total:,}" if step.total else "") if step.done else ""
            rate = f" {noun}  {per_second(speed)}" if speed and step.total else ""
            bars.update(task, completed=step.done, total=step.total, count=count + rate)

        yield on_progress


@contextmanager
def training_bar() -> Iterator[Callable[[TrainingProgress], None]]:
    """Yield a callback that shows the progress of a training as a bar."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("Training", total=None, count="")

        def on_progress(step: TrainingProgress) -> None:
            epoch, loss, left = training_texts(step)
            bars.update(
                task,
                description=f"{step.stage.capitalize() or 'Training'} {epoch}",
                completed=(step.epoch - 1) * step.steps + step.step,
                total=step.epochs * step.steps,
                count=f"{loss}  {step.images_per_second:,.0f} images/s  {left}",
            )

        yield on_progress
