"""The bar on a terminal shows the stage that is running."""

from __future__ import annotations

import pytest
from rich.progress import Progress as Bars
from rich.progress import TaskID

from imgcluster.cli.progress_bar import bar
from imgcluster.progress import Progress


def test_a_stage_that_comes_again_is_shown_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the stages of `compare` do for each encoder."""
    shown = []
    update = Bars.update

    def watched(bars: Bars, task: TaskID, **fields: object) -> None:
        update(bars, task, **fields)  # type: ignore[arg-type]
        shown.append([(each.description, each.completed) for each in bars.tasks if each.visible])

    with bar() as on_progress:
        monkeypatch.setattr(Bars, "update", watched)
        for stage, done in (("embed", 5), ("cluster", 0), ("embed", 2), ("embed", 3)):
            on_progress(Progress(stage, done, 5))
            assert len(shown[-1]) == 1
    assert [tasks for tasks in shown if tasks][-2:] == [[("Embedding", 2)], [("Embedding", 3)]]
