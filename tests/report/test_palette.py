"""The palette: colors that differ also for eyes that do not see all of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from imgcluster.report.palette import MARKERS, NOISE_COLOR, cluster_color, marker

# Machado, Oliveira & Fernandes (2009), severity 1.0, on linear RGB.
SEEN = {
    "all": np.eye(3),
    "without long waves": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "without medium waves": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}


def linear(text: str) -> np.ndarray:
    parts = np.array([int(text[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ rgb.clip(0, 1)
    f = np.cbrt(xyz / (0.9505, 1.0, 1.089))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("eyes", list(SEEN))
def test_the_first_six_are_told_apart(eyes: str) -> None:
    shown = [lab(SEEN[eyes] @ linear(cluster_color(number))) for number in (*range(6), -1)]
    # A difference of 2.3 is just noticeable.
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(shown, 2)) > 12


@pytest.mark.parametrize("ground", ["#f7f7f5", "#141619"])
def test_all_show_on_both_grounds(ground: str) -> None:
    def light(text: str) -> float:
        return float(linear(text) @ (0.2126, 0.7152, 0.0722))

    for number in range(-1, 18):
        bright, dark = sorted((light(cluster_color(number)), light(ground)), reverse=True)
        assert (bright + 0.05) / (dark + 0.05) > 1.3, number


def test_no_two_of_54_look_the_same() -> None:
    looks = [(cluster_color(number), marker(number)) for number in range(54)]
    assert len(set(looks)) == 54
    assert {shape for _, shape in looks} == set(MARKERS)
    assert looks[0] == (cluster_color(54), marker(54))


def test_noise_is_grey() -> None:
    assert cluster_color(-1) == NOISE_COLOR
    assert marker(-1) == "circle"
    assert NOISE_COLOR not in {cluster_color(number) for number in range(18)}
