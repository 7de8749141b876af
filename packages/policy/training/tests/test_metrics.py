"""The numbers that routers are judged by, on cases that were worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from metrics import Ranked, apgr, auc, cpt, ece, interval, resamples


def ranked(scores: list[float], gap: list[float]) -> Ranked:
    return Ranked.of(np.array(scores), np.array(gap))


def test_the_area_and_the_shares_of_a_curve_of_four_prompts() -> None:
    # The strong model is sent the prompts 1, 2, 3, 4; the gap of 2 recovered so far is 1, 1, 2, 2.
    router = ranked([9, 8, 7, 6], [1, 0, 1, 0])
    assert apgr(router) == pytest.approx((0.25 + 0.5 + 0.75 + 1) / 4)  # trapezes of width 1/4
    assert cpt(router, 50) == pytest.approx(0.25)
    assert cpt(router, 80) == pytest.approx(0.5 + 0.25 * 0.6)
    assert cpt(router, 100) == pytest.approx(0.75)


def test_a_prompt_that_the_weak_model_answers_better_lets_the_curve_pass_one() -> None:
    oracle = ranked([1, 0, -1], [1, 0, -0.5])
    assert oracle.curve()[1].tolist() == pytest.approx([0, 2, 2, 1])
    assert apgr(oracle) == pytest.approx((1 + 2 + 1.5) / 3)
    assert cpt(oracle, 50) == pytest.approx(1 / 12)


def test_weights_are_the_same_as_repeated_prompts() -> None:
    once = ranked([3, 2, 1], [1, 0, 1])
    again = ranked([3, 3, 2, 1], [1, 1, 0, 1])
    assert apgr(once, np.array([2.0, 1.0, 1.0])) == pytest.approx(apgr(again))
    assert cpt(once, 50, np.array([2.0, 1.0, 1.0])) == pytest.approx(cpt(again, 50))


def test_without_a_gap_to_recover_nothing_is_said() -> None:
    assert np.isnan(apgr(ranked([1, 2], [1, -1])))
    assert np.isnan(cpt(ranked([1, 2], [0, 0]), 50))


gaps = st.lists(st.sampled_from([-1.0, 0.0, 0.5, 1.0]), min_size=1, max_size=40).filter(lambda gap: sum(gap) > 0)


@given(gap=gaps)
def test_a_constant_score_is_the_random_router(gap: list[float]) -> None:
    router = ranked([0.0] * len(gap), gap)
    assert apgr(router) == pytest.approx(0.5)
    assert cpt(router, 50) == pytest.approx(0.5)
    assert cpt(router, 80) == pytest.approx(0.8)


@given(gap=gaps, data=st.data())
def test_nobody_is_above_the_oracle_nor_below_its_opposite(gap: list[float], data: st.DataObject) -> None:
    scores = data.draw(st.lists(st.floats(-5, 5), min_size=len(gap), max_size=len(gap)))
    best, worst = apgr(ranked(gap, gap)), apgr(ranked([-value for value in gap], gap))
    assert worst - 1e-9 <= apgr(ranked(scores, gap)) <= best + 1e-9
    assert cpt(ranked(gap, gap), 50) <= cpt(ranked(scores, gap), 50) + 1e-9


@given(gap=gaps, data=st.data())
def test_only_the_order_counts(gap: list[float], data: st.DataObject) -> None:
    scores = data.draw(st.lists(st.integers(-50, 50), min_size=len(gap), max_size=len(gap)))
    numbers = [float(score) for score in scores]
    assert apgr(ranked(numbers, gap)) == pytest.approx(apgr(ranked([2 * score - 7 for score in numbers], gap)))


def test_auc_counts_pairs_and_halves_ties() -> None:
    assert auc(np.array([1.0, 2.0, 3.0, 3.0]), np.array([0, 1, 0, 1])) == pytest.approx((1 + 0 + 1 + 0.5) / 4)
    assert np.isnan(auc(np.array([1.0, 2.0]), np.array([1, 1])))


def test_calibration_error_is_the_mean_distance_of_bins() -> None:
    stated = np.array([0.1, 0.1, 0.8, 0.8])
    assert ece(stated, np.array([0.0, 0.0, 1.0, 1.0]), bins=2) == pytest.approx((0.1 + 0.2) / 2)
    assert ece(np.array([0.5, 0.5]), np.array([0.0, 1.0]), bins=1) == 0


def test_near_duplicates_are_drawn_together_and_the_same_each_time() -> None:
    weights = resamples(["a", "a", "b", "c"], 50, seed=3)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 1:].sum(1) == 3).all()
    assert (weights == resamples(["a", "a", "b", "c"], 50, seed=3)).all()


def test_an_interval_leaves_out_a_fortieth_at_each_end() -> None:
    assert interval(np.linspace(0, 1, 41)) == pytest.approx((0.025, 0.975))
