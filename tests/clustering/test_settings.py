"""What a method may be told, and picking a layer of what it answers."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcluster.clustering import Settings
from imgcluster.clustering.types import Clustering, Layer, check_level
from imgcluster.errors import UsageError


class TestSettings:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"k": 0}, "--k 0 is not possible; at least 1"),
            ({"k": -3}, "--k -3 is not possible"),
            ({"min_cluster_size": 1}, "--min-cluster-size 1 is not possible; at least 2"),
            ({"min_cluster_size": 0}, "--min-cluster-size 0 is not possible"),
            ({"min_samples": 0}, "--min-samples 0 is not possible; at least 1"),
            ({"n_init": 0}, "--n-init 0 is not possible; at least 1"),
            ({"cluster_selection_method": "mass"}, "--cluster-selection-method mass is unknown; choose eom or leaf"),
            ({"cluster_selection_epsilon": -0.1}, "--cluster-selection-epsilon -0.1 is not possible"),
            ({"cluster_selection_epsilon": float("nan")}, "--cluster-selection-epsilon nan is not possible"),
            ({"k_range": (1, 5)}, r"--k 1\.\.5 is not possible; the first is at least 2, the second not below it"),
            ({"k_range": (5, 4)}, r"--k 5\.\.4 is not possible"),
            ({"seed": -1}, "--seed -1 is not possible"),
            ({"seed": 2**32}, "--seed 4294967296 is not possible; it lies between 0 and 4294967295"),
        ],
    )
    def test_impossible_values_are_wrong_usage(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(UsageError, match=message):
            Settings(**options)

    def test_the_smallest_and_largest_values_are_taken(self) -> None:
        assert Settings(k=1, min_cluster_size=2, seed=0).k == 1
        assert Settings(seed=2**32 - 1).seed == 4294967295


class TestSettingsOf:
    @pytest.mark.parametrize(
        ("k", "expected"),
        [
            (None, Settings()),
            (7, Settings(k=7)),
            ("7", Settings(k=7)),
            (" 7 ", Settings(k=7)),
            ("auto", Settings(score_k=True)),
            ("2..30", Settings(k_range=(2, 30), score_k=True)),
            ("4..4", Settings(k_range=(4, 4), score_k=True)),
            (" 3 .. 5 ", Settings(k_range=(3, 5), score_k=True)),
        ],
    )
    def test_what_people_write(self, k: int | str | None, expected: Settings) -> None:
        assert Settings.of(k) == expected

    def test_the_rest_is_handed_on(self) -> None:
        assert Settings.of(None, min_cluster_size=9, seed=3) == Settings(min_cluster_size=9, seed=3)

    @pytest.mark.parametrize("k", ["foo", "", "AUTO", "2.5", "..", "2..", "..5", "2...5", "2..5..7", "a..b", "²"])
    def test_what_nobody_understands(self, k: str) -> None:
        with pytest.raises(UsageError) as raised:
            Settings.of(k)
        assert str(raised.value) == f"--k {k!r} is not understood; give a number, a range as 2..30, or auto"

    @pytest.mark.parametrize("k", [0, -1, "0", "-4", "1..5", "5..2", "-2..5"])
    def test_what_is_out_of_range(self, k: int | str) -> None:
        with pytest.raises(UsageError, match="is not possible"):
            Settings.of(k)

    @settings(max_examples=200, derandomize=True)
    @given(st.text(max_size=8) | st.from_regex(r"[0-9.]{1,6}", fullmatch=True))
    def test_any_text_gives_settings_or_wrong_usage(self, text: str) -> None:
        with contextlib.suppress(UsageError):
            told = Settings.of(text)
            assert (told.k is None) == told.score_k


def of_layers(*counts: int, chosen: int) -> Clustering:
    layers = [Layer(np.arange(12) % k, np.ones(12, np.float32), np.full(12, -1)) for k in counts]
    return Clustering(tuple(layers), chosen, {"k": counts[chosen]})


class TestAt:
    @pytest.mark.parametrize(
        ("level", "count"),
        [(None, 4), ("medium", 4), ("fine", 10), ("coarse", 2), ("0", 10), ("1", 4), ("2", 2), ("02", 2)],
    )
    def test_a_layer_is_picked_by_name_or_number(self, level: str | None, count: int) -> None:
        picked = of_layers(10, 4, 2, chosen=1).at(level)
        assert picked.count == count
        assert picked.labels.max() == count - 1
        assert len(picked.layers) == 3

    @pytest.mark.parametrize("level", ["fine", "medium", "coarse", "0", None])
    def test_where_there_is_one_layer_every_name_is_it(self, level: str | None) -> None:
        assert of_layers(3, chosen=0).at(level).count == 3

    def test_medium_is_what_the_method_chose(self) -> None:
        assert of_layers(5, 3, chosen=0).at("medium").count == 5

    def test_a_number_beyond_the_last_lists_the_layers(self) -> None:
        with pytest.raises(UsageError) as raised:
            of_layers(10, 4, 2, chosen=1).at("7")
        for fact in ("--level 7", "0 (10 clusters)", "1 (4 clusters)", "2 (2 clusters)"):
            assert fact in str(raised.value)

    @pytest.mark.parametrize("level", ["finest", "-1", "", "1.0", "²", "Fine"])
    def test_what_is_no_level_is_refused_before_there_are_any(self, level: str) -> None:
        for attempt in (check_level, of_layers(4, 2, chosen=0).at):
            with pytest.raises(UsageError, match="fine, medium, coarse"):
                attempt(level)

    def test_the_clustering_itself_is_not_changed(self) -> None:
        before = of_layers(10, 4, 2, chosen=1)
        before.at("fine")
        assert before.chosen == 1
