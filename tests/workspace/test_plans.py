"""Plans: parsing, one-line errors, and the resulting clustering."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcluster import PlanError
from imgcluster.workspace.plan_file import VERSION, NewCluster, Plan, read_plan
from imgcluster.workspace.plans import PlanResult, apply_plan, identity_of, split_clusters

PATHS = ["a.jpg", "b/c.jpg", "d.jpg", "e.jpg", "f.jpg", "<g>.jpg"]
CLUSTERS = np.array([0, 0, 1, 1, 2, -1], np.int64)
IDENTITY = identity_of(PATHS, CLUSTERS)


def text(**values: Any) -> str:
    return json.dumps({"imgcluster_plan": VERSION, "clustering": IDENTITY, **values})


def applied(**values: Any) -> tuple[list[int], dict[int, str]]:
    result = apply_plan(read_plan(text(**values), "plan.json"), PATHS, CLUSTERS, {})
    return result.clusters.tolist(), result.names


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

    def test_decisions_about_images_and_splits(self) -> None:
        plan = read_plan(
            text(
                new_clusters=[{"name": " boats ", "images": ["a.jpg", "d.jpg"]}, {"name": "", "images": ["f.jpg"]}],
                split=[{"cluster": 1, "into": 2}],
                unsorted=["e.jpg"],
                pinned=["b/c.jpg"],
            ),
            "plan.json",
        )
        assert plan.new_clusters == (NewCluster("boats", ("a.jpg", "d.jpg")), NewCluster("", ("f.jpg",)))
        assert (plan.split, plan.unsorted, plan.pinned) == ({1: 2}, ("e.jpg",), ("b/c.jpg",))

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ("", "JSON"),
            ("{", "JSON"),
            ("[" * 100_000, "JSON"),
            ("9" * 10_000, "plan"),
            ("[]", "imgcluster_plan"),
            ("{}", "imgcluster_plan"),
            ('{"imgcluster_plan": 1, "imgcluster_plan": 1}', "'imgcluster_plan'"),
            ('{"imgcluster_plan": true}', "version true"),
            ('{"imgcluster_plan": "1"}', "version '1'"),
            ('{"imgcluster_plan": 0}', "version 0"),
            ('{"imgcluster_plan": 2}', "version 2.*upgrade"),
            ('{"imgcluster_plan": 1}', "key clustering"),
            (text(colour="red"), "'colour'.*merges, misplaced, names"),
            (text(names=[]), "names .*\\[\\]"),
            (text(names={"x": "a"}), "'x'"),
            (text(names={"-1": "a"}), "'-1'"),
            (text(names={"1": "a", "01": "b"}), "cluster 1 "),
            (text(names={"1": 5}), "name 5"),
            (text(names={"1": "x" * 81}), "81 .*80"),
            (text(names={"1": "a\nb"}), "control characters"),
            (text(names={"1": "a\u2028b"}), "control characters"),
            (text(names={"1": "a\ud800"}), "control characters"),
            (text(merges={}), "merges .*{}"),
            (text(merges=[1]), "merges is 1.* from, into"),
            (text(merges=[{"from": 1}]), "merges .*from, into"),
            (text(merges=[{"from": 1, "into": 1}]), "cluster 1 "),
            (text(merges=[{"from": 1, "into": 2}, {"from": 1, "into": 0}]), "cluster 1 "),
            (text(merges=[{"from": "noise", "into": 0}]), "cluster 0.*--assign-noise"),
            (text(merges=[{"from": True, "into": 0}]), "cluster true"),
            (text(merges=[{"from": 1.5, "into": 0}]), "cluster 1.5"),
            (text(merges=[{"from": -1, "into": 0}]), "cluster -1"),
            (text(misplaced=[{"path": 5, "to": 0}]), "path 5"),
            (text(misplaced=[{"path": "a.jpg", "to": 0}] * 2), "'a.jpg'"),
            (text(misplaced=[{"path": "a.jpg", "to": "sea"}]), "cluster 'sea'"),
            (text(new_clusters=[{"images": ["a.jpg"]}]), "new_clusters .*images, name"),
            (text(new_clusters=[{"name": "", "images": []}]), "without images"),
            (text(new_clusters=[{"name": "", "images": "a.jpg"}]), "'a.jpg'"),
            (text(new_clusters=[{"name": None, "images": ["a.jpg"]}]), "name null"),
            (text(split=[{"cluster": 1, "into": 1}]), "cluster 1 into 1 .*2 to 20"),
            (text(split=[{"cluster": 1, "into": 21}]), "into 21 .*2 to 20"),
            (text(split=[{"cluster": 1, "into": True}]), "into true"),
            (text(split=[{"cluster": "noise", "into": 2}]), "noise"),
            (text(split=[{"cluster": 1, "into": 2}, {"cluster": 1, "into": 3}]), "cluster 1 twice"),
            (text(split=[{"cluster": 1, "into": 2}], merges=[{"from": 1, "into": 0}]), "cluster 1 .*merges"),
            (text(unsorted="a.jpg"), "unsorted .*'a.jpg'"),
            (text(unsorted=["a.jpg", "a.jpg"]), "'a.jpg'"),
            (text(pinned=[5]), "pinned .*5"),
            (text(pinned=["a.jpg"], unsorted=["a.jpg"]), "'a.jpg'.*pinned"),
            (text(pinned=["a.jpg"], misplaced=[{"path": "a.jpg", "to": 1}]), "'a.jpg'"),
            (text(new_clusters=[{"name": "", "images": ["a.jpg"]}] * 2), "'a.jpg'"),
        ],
    )
    def test_refused_in_one_short_line(self, given: str, message: str) -> None:
        with pytest.raises(PlanError, match=message) as caught:
            read_plan(given, "plan.json")
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300

    @settings(max_examples=60, derandomize=True)
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        )
    )
    def test_any_value_is_a_plan_or_a_plan_error(self, value: Any) -> None:
        for key in ("names", "merges", "misplaced", "new_clusters", "split", "unsorted", "pinned"):
            try:
                plan = read_plan(text(**{key: value}), "plan.json")
                apply_plan(plan, PATHS, CLUSTERS, {})
            except PlanError:
                pass


class TestApplying:
    def test_a_name_changes_nothing_else(self) -> None:
        assert applied(names={"1": "sea"}) == (CLUSTERS.tolist(), {1: "sea"})

    def test_present_names_are_kept_changed_or_removed(self) -> None:
        before = {0: "old", 1: "other", 2: "third"}
        names = {"0": "new", "1": ""}
        result = apply_plan(read_plan(text(names=names), "p"), PATHS, CLUSTERS, before)
        assert result.names == {0: "new", 2: "third"}

    def test_merges_are_transitive_and_numbers_do_not_change(self) -> None:
        merges = [{"from": 0, "into": 1}, {"from": 1, "into": 2}]
        clusters, _ = applied(merges=merges)
        assert clusters == [2, 2, 2, 2, 2, -1]
        assert applied(merges=[{"from": 1, "into": "noise"}])[0] == [0, 0, -1, -1, 2, -1]

    def test_an_unnamed_cluster_inherits_a_name(self) -> None:
        plan = read_plan(text(merges=[{"from": 0, "into": 1}]), "p")
        assert apply_plan(plan, PATHS, CLUSTERS, {0: "sea"}).names == {1: "sea"}
        assert apply_plan(plan, PATHS, CLUSTERS, {0: "sea", 1: "shore"}).names == {1: "shore"}

    def test_corrections_follow_merges(self) -> None:
        result = apply_plan(
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
        assert result.clusters.tolist() == [2, 0, 2, 2, -1, 0]
        assert result.moved.tolist() == [True, False, False, False, True, True]
        assert result.merged == {1: 2}

    def test_an_empty_cluster_loses_its_name(self) -> None:
        clusters, names = applied(misplaced=[{"path": "f.jpg", "to": 0}], names={"2": "lonely"})
        assert clusters == [0, 0, 1, 1, 0, -1]
        assert names == {}

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"names": {"3": "a"}}, "cluster 3"),
            ({"merges": [{"from": 7, "into": 0}]}, "cluster 7"),
            ({"merges": [{"from": 0, "into": 7}]}, "cluster 7"),
            ({"misplaced": [{"path": "x.jpg", "to": 0}]}, "'x.jpg'"),
            ({"misplaced": [{"path": "../a.jpg", "to": 0}]}, "'../a.jpg'"),
            ({"misplaced": [{"path": "a.jpg", "to": 9}]}, "cluster 9"),
            (
                {"merges": [{"from": 0, "into": 1}, {"from": 1, "into": 2}, {"from": 2, "into": 0}]},
                "0 into 1 into 2 into 0",
            ),
            ({"names": {"0": "a"}, "merges": [{"from": 0, "into": 1}]}, "cluster 0 .*'a'"),
            ({"names": {"0": "Sea", "1": "sea"}}, "'sea'"),
            ({"names": {"0": "Sea"}, "new_clusters": [{"name": "sea", "images": ["a.jpg"]}]}, "'sea'"),
            ({"new_clusters": [{"name": "", "images": ["x.jpg"]}]}, "'x.jpg'"),
            ({"unsorted": ["x.jpg"]}, "'x.jpg'"),
            ({"pinned": ["x.jpg"]}, "'x.jpg'"),
            ({"split": [{"cluster": 8, "into": 2}]}, "cluster 8"),
        ],
    )
    def test_missing_clusters_and_contradictions(self, values: dict[str, Any], message: str) -> None:
        with pytest.raises(PlanError, match=message):
            applied(**values)

    def test_new_clusters_get_numbers_that_were_never_used(self) -> None:
        new = [{"name": "boats", "images": ["a.jpg", "<g>.jpg"]}, {"name": "", "images": ["f.jpg"]}]
        assert applied(new_clusters=new) == ([3, 0, 1, 1, 4, 3], {3: "boats"})
        plan = read_plan(text(new_clusters=new), "p")
        result = apply_plan(plan, PATHS, CLUSTERS, {}, highest=8)
        assert (result.clusters.tolist(), result.created) == ([9, 0, 1, 1, 10, 9], (9, 10))
        assert result.moved.tolist() == [True, False, False, False, True, True]
        assert set(result.decisions.values()) == {"corrected"}

    def test_unsorted_images_leave_their_clusters_and_pinned_ones_stay(self) -> None:
        plan = read_plan(text(unsorted=["a.jpg", "<g>.jpg"], pinned=["d.jpg"]), "p")
        result = apply_plan(plan, PATHS, CLUSTERS, {})
        assert result.clusters.tolist() == [-1, 0, 1, 1, 2, -1]
        assert result.moved.tolist() == [True] + [False] * 5
        assert result.decisions == {"a.jpg": "unsorted", "<g>.jpg": "unsorted", "d.jpg": "pinned"}

    def test_another_clustering(self) -> None:
        plan = read_plan(text(), "p")
        for paths, clusters in ((PATHS[::-1], CLUSTERS), (PATHS, CLUSTERS[::-1]), (PATHS[:3], CLUSTERS[:3])):
            with pytest.raises(PlanError, match="another clustering"):
                apply_plan(plan, paths, clusters, {})

    @settings(max_examples=60, derandomize=True)
    @given(
        st.dictionaries(st.integers(0, 2), st.integers(-1, 2), max_size=3),
        st.dictionaries(st.sampled_from(PATHS), st.integers(-1, 2), max_size=4),
    )
    def test_images_outside_the_plan_do_not_change(self, merges: dict[int, int], moved: dict[str, int]) -> None:
        plan = Plan(IDENTITY, {}, {a: b for a, b in merges.items() if a != b}, moved)
        if any(_returns(number, plan.merges) for number in plan.merges):
            with pytest.raises(PlanError, match=" into "):
                apply_plan(plan, PATHS, CLUSTERS, {})
            return
        result = apply_plan(plan, PATHS, CLUSTERS, {})
        assert len(result.clusters) == len(PATHS)
        for row, path in enumerate(PATHS):
            if path not in moved and CLUSTERS[row] not in plan.merges:
                assert result.clusters[row] == CLUSTERS[row]
        assert not set(result.clusters.tolist()) & set(result.merged)


class TestSplitting:
    PATHS = tuple(f"{number}.jpg" for number in range(8))
    CLUSTERS = np.array([0, 0, 0, 0, 0, 1, 1, 1], np.int64)

    def split(self, highest: int = -1, **values: Any) -> PlanResult:
        document = {"imgcluster_plan": 1, "clustering": identity_of(self.PATHS, self.CLUSTERS), **values}
        plan = read_plan(json.dumps(document), "p")
        result = apply_plan(plan, self.PATHS, self.CLUSTERS, {0: "sea"}, highest=highest)
        return split_clusters(result, plan, self.PATHS, self.by_position, highest=highest)

    @staticmethod
    def by_position(rows: Any, parts: int) -> Any:
        """Put one row into each further part, and all others into part 0."""
        return np.maximum(0, np.arange(len(rows)) - len(rows) + parts)

    def test_the_largest_part_keeps_number_and_name(self) -> None:
        result = self.split(split=[{"cluster": 1, "into": 2}, {"cluster": 0, "into": 3}])
        assert result.clusters.tolist() == [0, 0, 0, 2, 3, 1, 1, 4]
        assert result.names == {0: "sea"}
        assert result.parts == {0: (2, 3), 1: (4,)}
        assert not result.moved.any()

    def test_images_that_the_plan_names_are_left_out(self) -> None:
        result = self.split(
            split=[{"cluster": 0, "into": 2}],
            pinned=["4.jpg"],
            misplaced=[{"path": "5.jpg", "to": 0}],
            unsorted=["0.jpg"],
        )
        assert result.clusters.tolist() == [-1, 0, 0, 2, 0, 0, 1, 1]

    def test_numbers_follow_those_of_new_and_merged_clusters(self) -> None:
        new = [{"name": "", "images": ["7.jpg"]}]
        assert self.split(split=[{"cluster": 0, "into": 2}], new_clusters=new).clusters.max() == 3
        assert self.split(7, split=[{"cluster": 0, "into": 2}]).clusters.max() == 8
        merged = self.split(split=[{"cluster": 0, "into": 2}], merges=[{"from": 1, "into": 0}])
        assert merged.clusters.tolist() == [0] * 7 + [2]

    @pytest.mark.parametrize("into", [4, 5])
    def test_too_few_images(self, into: int) -> None:
        with pytest.raises(PlanError, match=f"cluster 1 into {into} .* 3 "):
            self.split(split=[{"cluster": 1, "into": into}])


def _returns(start: int, merges: Any) -> bool:
    number = merges.get(start)
    for _ in merges:
        if number == start:
            return True
        number = merges.get(number)
    return False
