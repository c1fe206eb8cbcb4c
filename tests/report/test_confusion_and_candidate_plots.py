"""Figures: a confusion matrix is drawn whatever the labels are called, and the same one gives the same bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgcluster.clustering.types import Candidate
from imgcluster.report.plots import candidates_figure, confusion_figure, save


def draw(path: Path, counts: np.ndarray, labels: list[str]) -> Path:
    save(confusion_figure(counts, labels, [str(column) for column in range(counts.shape[1])]), path)
    return path


def test_cells_hold_the_counts_and_the_ticks_the_names() -> None:
    figure = confusion_figure(np.array([[5, 0], [1, 7]]), ["cats", "dogs"], ["noise", "0"])
    axes = figure.axes[0]
    assert sorted(text.get_text() for text in axes.texts) == ["1", "5", "7"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["cats", "dogs"]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["noise", "0"]
    # Coloured by the share of the label's images.
    assert axes.images[0].get_array().tolist() == [[1.0, 0.0], [0.125, 0.875]]


def test_it_is_saved_as_png_with_the_same_bytes_each_time(tmp_path: Path) -> None:
    counts = np.array([[3, 1], [0, 2]])
    first, second = draw(tmp_path / "a.png", counts, ["a", "b"]), draw(tmp_path / "b.png", counts, ["a", "b"])
    assert first.read_bytes() == second.read_bytes()
    with Image.open(first) as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 150
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_a_png_is_grey_where_nothing_in_it_has_a_colour(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    for colour, mode in (("0.5", "L"), ("#0072B2", "RGB")):
        figure = Figure(figsize=(2, 1))
        figure.add_subplot().plot([0, 1], [0, 1], color=colour)
        save(figure, tmp_path / "line.png", dpi=100)
        with Image.open(tmp_path / "line.png") as picture:
            assert (picture.mode, picture.size) == (mode, (200, 100))
            assert round(picture.info["dpi"][0]) == 100


@pytest.mark.parametrize(
    "label",
    [
        "$x",
        "a$b$c",
        r"$\frac",
        r"\$",
        "a\\",
        "_^{",
        "",
        "line\nbreak",
        "tab\tbed",
        "日本",
        "😀",
        "العربية",
        "é" * 120,
        "x" * 250,
    ],
    ids=lambda label: ascii(label)[:20],
)
def test_any_name_can_be_a_label_and_a_clusters(tmp_path: Path, label: str) -> None:
    # A warning counts as a failure: it would reach the user's screen, or mean that the picture is unreadable.
    figure = confusion_figure(np.array([[1, 2], [3, 4]]), [label, "other"], [label, "other"])
    save(figure, tmp_path / "c.png")
    with Image.open(tmp_path / "c.png") as picture:
        assert min(picture.size) > 150
    # The names leave room for the matrix.
    assert min(figure.axes[0].bbox.size) > 100


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), pytest.param(300, 3, marks=pytest.mark.slow), (3, 300)])
def test_small_and_large_matrices(tmp_path: Path, rows: int, columns: int) -> None:
    path = draw(tmp_path / "c.png", np.ones((rows, columns), np.int64), [f"label {row}" for row in range(rows)])
    with Image.open(path) as picture:
        assert max(picture.size) <= 24 * 120
        assert min(picture.size) > 150


def test_a_label_without_images_is_drawn(tmp_path: Path) -> None:
    assert draw(tmp_path / "c.png", np.array([[0, 0], [1, 2]]), ["none", "some"]).exists()


def test_large_matrices_hold_no_numbers() -> None:
    figure = confusion_figure(np.ones((21, 20), np.int64), [str(row) for row in range(21)], [str(c) for c in range(20)])
    assert len(figure.axes[0].texts) == 0


def test_candidates_are_drawn_with_the_chosen_one_marked(tmp_path: Path) -> None:
    candidates = [Candidate(k, 0.1 * k, 1 - 0.1 * k, 1 + k / 10, k == 4) for k in (3, 4, 5)]
    figure = candidates_figure(candidates)
    axes, beside = figure.axes
    lines = {str(line.get_label()): line for line in axes.lines}
    assert lines["stability"].get_xydata().tolist() == [[k, pytest.approx(1 - 0.1 * k)] for k in (3, 4, 5)]
    assert lines["silhouette"].get_xydata().tolist() == [[k, pytest.approx(0.1 * k)] for k in (3, 4, 5)]
    assert lines["chosen: 4"].get_xdata() == [4, 4]
    bars = [(bar.get_x() + bar.get_width() / 2, bar.get_y() + bar.get_height()) for bar in beside.patches]
    assert bars == [(k, pytest.approx(1 + k / 10)) for k in (3, 4, 5)]
    for name in ("a.png", "b.png"):
        save(candidates_figure(candidates), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_one_candidate_is_enough_for_a_chart(tmp_path: Path) -> None:
    save(candidates_figure([Candidate(2, 0.5, 0.5, 1.0, True)]), tmp_path / "one.png")
    with Image.open(tmp_path / "one.png") as picture:
        assert picture.format == "PNG"
