"""Plans: what is understood, what is refused in one line, and the clustering that comes of one."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcluster import PlanError
from imgcluster.workspace.plans import VERSION, Plan, carry_out, identity_of, read_plan

PATHS = ["a.jpg", "b/c.jpg", "d.jpg", "e.jpg", "f.jpg", "<g>.jpg"]
CLUSTERS = np.array([0, 0, 1, 1, 2, -1], np.int64)
IDENTITY = identity_of(PATHS, CLUSTERS)


def text(**values: Any) -> str:
    return json.dumps({"imgcluster_plan": VERSION, "clustering": IDENTITY, **values})


def decide(**values: Any) -> tuple[list[int], dict[int, str]]:
    decided = carry_out(read_plan(text(**values), "plan.json"), PATHS, CLUSTERS, {})
    return decided.clusters.tolist(), decided.names


class TestReading:
    def test_everything(self) -> None:
        plan = read_plan(
            text(
                names={"0": "  Stra\u0308nde  ", "1": ""},
                merges=[{"from": 2, "into": 1}, {"from": 1, "into": "noise"}],
                misplaced=[{"path": "a.jpg", "to": 1}, {"path": "d.jpg", "to": "noise"}],
            ),
            "plan.json",
        )
        assert plan == Plan(IDENTITY, {0: "Strände", 1: ""}, {2: 1, 1: -1}, {"a.jpg": 1, "d.jpg": -1})

    def test_nothing(self) -> None:
        assert read_plan(text(), "plan.json") == Plan(IDENTITY, {}, {}, {})

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ("", "is not a plan, which is JSON"),
            ("{", "is not a plan, which is JSON"),
            ("[" * 100_000, "is not a plan, which is JSON"),
            ("9" * 10_000, "is not a plan"),
            ("[]", "has no imgcluster_plan"),
            ("{}", "has no imgcluster_plan"),
            ('{"imgcluster_plan": 1, "imgcluster_plan": 1}', "stands there twice"),
            ('{"imgcluster_plan": true}', "has the version true"),
            ('{"imgcluster_plan": "1"}', "has the version"),
            ('{"imgcluster_plan": 0}', "has the version 0"),
            ('{"imgcluster_plan": 2}', "made by a newer imgcluster .*upgrade"),
            ('{"imgcluster_plan": 1}', "does not say which clustering"),
            (text(colour="red"), "unknown key 'colour'"),
            (text(names=[]), "names is \\[\\]"),
            (text(names={"x": "a"}), "names 'x', which is no cluster number"),
            (text(names={"-1": "a"}), "no cluster number"),
            (text(names={"1": "a", "01": "b"}), "names cluster 1 twice"),
            (text(names={"1": 5}), "name 5, which is no text"),
            (text(names={"1": "x" * 81}), "81 characters, the limit is 80"),
            (text(names={"1": "a\nb"}), "control characters"),
            (text(names={"1": "a\u2028b"}), "control characters"),
            (text(names={"1": "a\ud800"}), "control characters"),
            (text(merges={}), "merges is {}"),
            (text(merges=[1]), "entry of merges has from and into"),
            (text(merges=[{"from": 1}]), "entry of merges has from and into"),
            (text(merges=[{"from": 1, "into": 1}]), "merges cluster 1 into itself"),
            (text(merges=[{"from": 1, "into": 2}, {"from": 1, "into": 0}]), "merges cluster 1 twice"),
            (text(merges=[{"from": "noise", "into": 0}]), "merges noise into cluster 0"),
            (text(merges=[{"from": True, "into": 0}]), "cluster true"),
            (text(merges=[{"from": 1.5, "into": 0}]), "cluster 1.5"),
            (text(merges=[{"from": -1, "into": 0}]), "cluster -1"),
            (text(misplaced=[{"path": 5, "to": 0}]), "image 5, which is no path"),
            (text(misplaced=[{"path": "a.jpg", "to": 0}] * 2), "image 'a.jpg' twice"),
            (text(misplaced=[{"path": "a.jpg", "to": "sea"}]), "cluster 'sea'"),
        ],
    )
    def test_refused_in_one_short_line(self, given: str, message: str) -> None:
        with pytest.raises(PlanError, match=message) as caught:
            read_plan(given, "plan.json")
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        )
    )
    def test_any_value_is_a_plan_or_an_error_of_ours(self, value: Any) -> None:
        for key in ("names", "merges", "misplaced"):
            try:
                plan = read_plan(text(**{key: value}), "plan.json")
                carry_out(plan, PATHS, CLUSTERS, {})
            except PlanError:
                pass


class TestCarryingOut:
    def test_a_name_changes_nothing_else(self) -> None:
        assert decide(names={"1": "sea"}) == (CLUSTERS.tolist(), {1: "sea"})

    def test_names_of_before_stay_change_and_go(self) -> None:
        before = {0: "old", 1: "other", 2: "third"}
        given = {"0": "new", "1": ""}
        decided = carry_out(read_plan(text(names=given), "p"), PATHS, CLUSTERS, before)
        assert decided.names == {0: "new", 2: "third"}

    def test_merges_follow_each_other_and_numbers_stay(self) -> None:
        merges = [{"from": 0, "into": 1}, {"from": 1, "into": 2}]
        clusters, _ = decide(merges=merges)
        assert clusters == [2, 2, 2, 2, 2, -1]
        assert decide(merges=[{"from": 1, "into": "noise"}])[0] == [0, 0, -1, -1, 2, -1]

    def test_a_name_goes_along_where_there_is_none(self) -> None:
        plan = read_plan(text(merges=[{"from": 0, "into": 1}]), "p")
        assert carry_out(plan, PATHS, CLUSTERS, {0: "sea"}).names == {1: "sea"}
        assert carry_out(plan, PATHS, CLUSTERS, {0: "sea", 1: "shore"}).names == {1: "shore"}

    def test_misplaced_images_arrive_where_their_cluster_went(self) -> None:
        decided = carry_out(
            read_plan(
                text(
                    merges=[{"from": 1, "into": 2}],
                    misplaced=[
                        {"path": "a.jpg", "to": 1},
                        {"path": "<g>.jpg", "to": 0},
                        {"path": "f.jpg", "to": "noise"},
                        {"path": "d.jpg", "to": 2},
                    ],
                ),
                "p",
            ),
            PATHS,
            CLUSTERS,
            {},
        )
        assert decided.clusters.tolist() == [2, 0, 2, 2, -1, 0]
        assert decided.moved.tolist() == [True, False, False, False, True, True]
        assert decided.merged == {1: 2}

    def test_a_cluster_that_is_empty_in_the_end_loses_its_name(self) -> None:
        clusters, names = decide(misplaced=[{"path": "f.jpg", "to": 0}], names={"2": "lonely"})
        assert clusters == [0, 0, 1, 1, 0, -1]
        assert names == {}

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"names": {"3": "a"}}, "cluster 3, which is not there"),
            ({"merges": [{"from": 7, "into": 0}]}, "cluster 7, which is not there"),
            ({"merges": [{"from": 0, "into": 7}]}, "cluster 7, which is not there"),
            ({"misplaced": [{"path": "x.jpg", "to": 0}]}, "image 'x.jpg', which is not there"),
            ({"misplaced": [{"path": "../a.jpg", "to": 0}]}, "which is not there"),
            ({"misplaced": [{"path": "a.jpg", "to": 9}]}, "cluster 9, which is not there"),
            (
                {"merges": [{"from": 0, "into": 1}, {"from": 1, "into": 2}, {"from": 2, "into": 0}]},
                "in a circle: 0 into 1 into 2 into 0",
            ),
            ({"names": {"0": "a"}, "merges": [{"from": 0, "into": 1}]}, "names cluster 0 'a' and merges it away"),
            ({"names": {"0": "Sea", "1": "sea"}}, "names two clusters 'sea'; merge them"),
        ],
    )
    def test_what_is_not_there_or_contradicts(self, values: dict[str, Any], message: str) -> None:
        with pytest.raises(PlanError, match=message):
            decide(**values)

    def test_another_clustering(self) -> None:
        plan = read_plan(text(), "p")
        for paths, clusters in ((PATHS[::-1], CLUSTERS), (PATHS, CLUSTERS[::-1]), (PATHS[:3], CLUSTERS[:3])):
            with pytest.raises(PlanError, match="made for another clustering .* open the page"):
                carry_out(plan, paths, clusters, {})

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(
        st.dictionaries(st.integers(0, 2), st.integers(-1, 2), max_size=3),
        st.dictionaries(st.sampled_from(PATHS), st.integers(-1, 2), max_size=4),
    )
    def test_every_image_keeps_a_place_and_others_stay(self, merges: dict[int, int], moved: dict[str, int]) -> None:
        plan = Plan(IDENTITY, {}, {a: b for a, b in merges.items() if a != b}, moved)
        if any(_returns(number, plan.merges) for number in plan.merges):
            with pytest.raises(PlanError, match="in a circle"):
                carry_out(plan, PATHS, CLUSTERS, {})
            return
        decided = carry_out(plan, PATHS, CLUSTERS, {})
        assert len(decided.clusters) == len(PATHS)
        for row, path in enumerate(PATHS):
            if path not in moved and CLUSTERS[row] not in plan.merges:
                assert decided.clusters[row] == CLUSTERS[row]
        assert not set(decided.clusters.tolist()) & set(decided.merged)


def _returns(start: int, merges: Any) -> bool:
    number = merges.get(start)
    for _ in merges:
        if number == start:
            return True
        number = merges.get(number)
    return False
