"""Whether clusters follow something else: against sums by hand and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcluster.evaluation.confounders import explained_variance, mutual_information
from vectors import peak_bytes


class TestExplained:
    def test_by_hand(self) -> None:
        # Means 1 and 4. Within: 15 images of 0, 15 of 2, 15 of 3, 15 of 5 around their means: 60 in all, 58 free.
        # In total, around 2.5: 15·(6.25 + 0.25 + 0.25 + 6.25) = 195, of which 59 are free.
        labels = np.repeat([0, 0, 1, 1], 15)
        values = np.repeat([0.0, 2.0, 3.0, 5.0], 15)
        assert explained_variance(labels, values) == pytest.approx(1 - (60 / 58) / (195 / 59))

    def test_all_of_it_and_nothing_of_it(self) -> None:
        labels = np.arange(60) % 3
        assert explained_variance(labels, labels.astype(np.float32)) == 1
        assert explained_variance(labels, np.repeat(np.arange(20.0), 3)) == 0

    def test_what_chance_would_explain_is_taken_off(self) -> None:
        generator = np.random.default_rng(0)
        shares = [explained_variance(generator.integers(30, size=60), generator.normal(size=60)) for _ in range(40)]
        # With 30 clusters of two images, η² alone would be one half.
        assert np.mean(shares) < 0.15

    def test_noise_and_unknown_values_are_left_out(self) -> None:
        labels, values = np.arange(60) % 2, np.arange(60) % 2 + np.arange(60) / 100
        more = np.concatenate([labels, [-1] * 20, [0] * 20])
        assert explained_variance(
            more, np.concatenate([values, np.full(20, 1e9), np.full(20, np.nan)])
        ) == pytest.approx(explained_variance(labels, values))

    @pytest.mark.parametrize(
        ("labels", "values"),
        [
            (np.arange(29) % 2, np.arange(29) % 2),
            (np.zeros(60, np.int64), np.arange(60)),
            (np.arange(60) % 2, np.ones(60)),
            (np.full(60, -1), np.arange(60)),
            (np.arange(60), np.arange(60)),
            (np.arange(60) % 2, np.full(60, np.nan)),
            (np.empty(0, np.int64), np.empty(0)),
        ],
        ids=["few", "one cluster", "equal", "noise", "one each", "unknown", "none"],
    )
    def test_where_nothing_can_be_said_it_is_0(self, labels: np.ndarray, values: np.ndarray) -> None:
        assert explained_variance(labels, values.astype(np.float64)) == 0

    @settings(max_examples=60, derandomize=True)
    @given(st.lists(st.tuples(st.integers(-1, 3), st.floats(-1e6, 1e6)), min_size=30, max_size=60))
    def test_it_lies_between_0_and_1(self, images: list[tuple[int, float]]) -> None:
        labels, values = np.array([label for label, _ in images]), np.array([value for _, value in images])
        assert 0 <= explained_variance(labels, values) <= 1


class TestWithinSources:
    def test_by_hand(self) -> None:
        # As in TestExplained by hand, but the second source is 1,000 more: only its difference from the first changes.
        labels, values = np.repeat([0, 0, 1, 1], 15), np.repeat([0.0, 2.0, 3.0, 5.0], 15)
        both, shifted = np.tile(labels, 2), np.concatenate([values, values + 1000])
        sources = ["first"] * 60 + ["second"] * 60
        # Within: 120 around four means, 116 free; in total 390 around two, 118 free.
        assert explained_variance(both, shifted, sources) == pytest.approx(1 - (120 / 116) / (390 / 118))
        assert explained_variance(both, shifted) < 0.01

    def test_clusters_that_are_sources_explain_nothing_within_them(self) -> None:
        labels = np.arange(60) % 2
        values = 100 * labels + np.random.default_rng(0).normal(size=60)
        assert explained_variance(labels, values) > 0.99
        assert explained_variance(labels, values, [str(label) for label in labels]) == 0

    def test_one_source_is_as_none(self) -> None:
        labels, values = np.arange(60) % 3, np.random.default_rng(0).normal(size=60) + np.arange(60) % 3
        assert explained_variance(labels, values, ["only"] * 60) == explained_variance(labels, values)

    def test_a_source_for_each_image_says_nothing(self) -> None:
        labels = np.arange(60) % 3
        assert explained_variance(labels, labels.astype(float), [str(number) for number in range(60)]) == 0


class TestAgreement:
    def test_the_same_division_under_other_names_is_1(self) -> None:
        labels = np.arange(60) % 3
        assert mutual_information(labels, [f"folder {2 - label}" for label in labels]) == pytest.approx(1)

    def test_as_scikit_learn_says(self) -> None:
        from sklearn.metrics import adjusted_mutual_info_score

        labels, groups = np.arange(80) % 4, np.arange(80) // 3 % 5
        expected = max(0.0, adjusted_mutual_info_score(groups, labels))
        assert mutual_information(labels, list(map(str, groups))) == pytest.approx(expected)

    def test_chance_is_0_or_nearly(self) -> None:
        generator = np.random.default_rng(0)
        assert (
            mutual_information(generator.integers(5, size=300), list(map(str, generator.integers(5, size=300)))) < 0.05
        )

    def test_noise_is_left_out(self) -> None:
        labels = np.concatenate([np.arange(60) % 3, np.full(30, -1)])
        groups = [*(str(label) for label in np.arange(60) % 3), *(str(number % 2) for number in range(30))]
        assert mutual_information(labels, groups) == pytest.approx(1)

    @pytest.mark.parametrize(
        ("labels", "groups"),
        [
            (np.arange(28) % 2, list("ab" * 14)),
            (np.arange(60) % 2, ["a"] * 60),
            (np.zeros(60, np.int64), list("ab" * 30)),
            (np.arange(60) % 2, [str(number // 2) for number in range(60)]),
            (np.full(60, -1), list("ab" * 30)),
            (np.empty(0, np.int64), []),
        ],
        ids=["few", "one group", "one cluster", "tiny groups", "noise", "none"],
    )
    def test_where_nothing_can_be_said_it_is_0(self, labels: np.ndarray, groups: list[str]) -> None:
        assert mutual_information(labels, groups) == 0


def test_long_paths_take_no_more_memory_than_short_ones() -> None:
    labels, values = np.arange(20_000) % 5, np.arange(20_000) % 7.0
    folders = [f"/{'deep/' * 100}{number % 50}" for number in range(20_000)]

    assert peak_bytes(lambda: mutual_information(labels, folders)) < 10_000_000
    assert peak_bytes(lambda: explained_variance(labels, values, folders)) < 10_000_000
