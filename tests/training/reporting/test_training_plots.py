"""Pictures have the cells they should have, and drawing leaves no figure behind."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from imgcluster.images.arrays import merge_chrominance  # noqa: E402
from imgcluster_training.data.batches import to_input, to_target  # noqa: E402
from imgcluster_training.progress import EpochRecord  # noqa: E402
from imgcluster_training.recipe.schema import DataSettings  # noqa: E402
from imgcluster_training.reporting.plots import (  # noqa: E402
    draw_curves,
    draw_filters,
    draw_grid,
    draw_latent_plane,
    draw_rows,
    draw_side_by_side,
)


def record(epoch, loss, validation):
    return EpochRecord(
        epoch=epoch, loss=loss, validation_loss=validation, validation_mse=validation, learning_rate=1.0, seconds=1.0
    )


def size(path):
    with Image.open(path) as picture:
        return picture.size


def test_one_row_or_one_column_per_image(tmp_path):
    images = np.random.default_rng(0).uniform(size=(5, 8, 8, 1)).astype(np.float32)
    columns = {"original": images, "reconstruction": images}
    draw_side_by_side(columns, tmp_path / "rows.png")
    draw_side_by_side(columns, tmp_path / "columns.png", upright=True)
    (wide, tall), (wide_too, tall_too) = size(tmp_path / "rows.png"), size(tmp_path / "columns.png")
    assert tall > 2 * wide
    assert wide_too > 2 * tall_too


def test_gray_and_color_may_stand_side_by_side(tmp_path):
    gray, color = np.zeros((1, 4, 4, 1), np.float32), np.zeros((1, 4, 4, 3), np.float32)
    draw_side_by_side({"gray": gray, "colored": color, "original": color}, tmp_path / "a.png")
    assert size(tmp_path / "a.png")[0] > size(tmp_path / "a.png")[1]


def test_a_grid_holds_every_image_in_its_place(tmp_path):
    images = np.linspace(0, 1, 7, dtype=np.float32)[:, None, None, None].repeat(2, 1).repeat(3, 2)
    draw_grid(images, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        pixels = np.asarray(picture)
    # Enlarged by a whole number, without interpolation.
    factor = pixels.shape[1] // 9
    assert pixels.shape == (6 * factor, 9 * factor)
    assert pixels.shape[1] > 500
    small = pixels[::factor, ::factor]
    assert np.array_equal(small.repeat(factor, 0).repeat(factor, 1), pixels)
    assert small[0, 3] == round(255 / 6)
    assert small[4, 0] == 255
    assert small[5, 8] == 255


@pytest.mark.parametrize("channels", [1, 3, 16])
def test_filters_of_any_depth_are_drawn(tmp_path, channels):
    draw_filters(np.random.default_rng(0).normal(size=(4, channels, 3, 3)).astype(np.float32), tmp_path / "a.png")
    assert min(size(tmp_path / "a.png")) > 500


def test_equal_filters_are_drawn(tmp_path):
    draw_filters(np.zeros((1, 1, 3, 3), dtype=np.float32), tmp_path / "a.png")


@pytest.mark.parametrize("labels", [None, np.arange(30) % 12])
def test_the_latent_plane_with_and_without_labels(tmp_path, labels):
    codes = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    draw_latent_plane(codes, labels, ("a", "b"), tmp_path / "a.png")
    assert size(tmp_path / "a.png")[0] > 300


def test_a_single_epoch_is_visible(tmp_path):
    draw_curves({"": [record(1, 2.0, 3.0)]}, tmp_path / "one.png")
    with Image.open(tmp_path / "one.png") as picture:
        colored = np.ptp(np.asarray(picture.convert("RGB")).astype(int), axis=2) > 60
    # Two points: their colors are at two heights in the column of the epoch, whatever the legend covers.
    heights = np.flatnonzero(colored.any(axis=1))
    assert np.ptp(heights) > picture.height / 2


def test_rows_of_images_are_enlarged(tmp_path):
    draw_rows(np.zeros((2, 5, 8, 8, 1), dtype=np.float32), tmp_path / "a.png")
    assert size(tmp_path / "a.png")[0] > 500


def test_curves_with_and_without_validation(tmp_path):
    nan = float("nan")
    draw_curves({"a": [record(1, 2.0, 3.0), record(2, 1.0, 2.0)], "b": [record(1, 1.0, nan)]}, tmp_path / "a.png")
    assert size(tmp_path / "a.png")[0] > 300


def test_chrominance_and_luminance_make_the_image_again():
    images = torch.rand(2, 3, 4, 4)
    settings = DataSettings(dataset="cifar10", input="grey", target="chrominance")
    gray = to_input(images, settings).permute(0, 2, 3, 1).numpy()
    colors = to_target(images, settings).permute(0, 2, 3, 1).numpy()
    assert np.abs(merge_chrominance(gray, colors) - images.permute(0, 2, 3, 1).numpy()).max() < 1e-3


def test_drawing_leaves_no_figure_open(tmp_path):
    import sys

    draw_curves({"a": [record(1, 2.0, 3.0)]}, tmp_path / "a.png")
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []
