"""The arithmetic of PPO says what the papers say, on numbers small enough to check by hand."""

from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.models.value_head import Turn
from trainer.online.rollouts import Episode
from trainer.online.surrogate import (
    adapted,
    generalised_advantages,
    policy_losses,
    token_rewards,
    value_losses,
    weighed,
    whitened,
)
from trainer.settings import PpoSettings

pytestmark = pytest.mark.skipif(find_spec("torch") is None, reason="not installed: torch")
PLAIN = PpoSettings(max_tokens=4, missing_eos_penalty=0.0, whiten_rewards=False, kl_coef=0.0, lam=1.0)
NUMBER = st.floats(-3, 3)


def row(*values: float) -> Any:
    import torch

    return torch.tensor([values])


def told(tensor: Any) -> Any:
    return pytest.approx(tensor.flatten().tolist(), abs=1e-5)


def episode(length: int, ended: bool, reward: float, values: float = 0.0, kl: float = 0.0) -> Episode:
    turn = Turn((1,), tuple(range(2, 2 + length)), ended)
    return Episode(0, turn, reward, (-1.0,) * length, (-1.0 - kl,) * length, (values,) * min(length + 1, 4))


def test_the_reward_is_given_in_the_state_after_the_end_or_with_the_last_token_that_fits() -> None:
    import torch

    said = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]]).bool()
    kl = torch.tensor([[1.0, 2.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    rewards = token_rewards(torch.tensor([5.0, 7.0]), kl, said, 0.5)
    assert rewards.tolist() == [[-0.5, -1.0, 5.0, 0.0], [-0.5, -0.5, -0.5, 6.5]]


@given(st.lists(st.tuples(NUMBER, NUMBER), min_size=1, max_size=6), st.floats(0, 1))
def test_looking_all_the_way_ahead_an_advantage_is_what_came_less_what_was_expected(
    places: list[tuple[float, float]], gamma: float
) -> None:
    rewards, values = zip(*places, strict=True)
    wanted = [
        sum(gamma**ahead * reward for ahead, reward in enumerate(rewards[place:])) - values[place]
        for place in range(len(places))
    ]
    assert wanted == told(generalised_advantages(row(*rewards), row(*values), gamma, 1.0))


@given(st.lists(st.tuples(NUMBER, NUMBER), min_size=1, max_size=6), st.floats(0, 1))
def test_looking_one_place_ahead_an_advantage_is_the_surprise_of_that_place(
    places: list[tuple[float, float]], gamma: float
) -> None:
    rewards, values = zip(*places, strict=True)
    following = [*values[1:], 0.0]
    wanted = [reward + gamma * after - value for reward, value, after in zip(rewards, values, following, strict=True)]
    assert wanted == told(generalised_advantages(row(*rewards), row(*values), gamma, 0.0))


def test_whitening_sets_the_variance_and_the_mean_of_what_counts_and_silences_the_rest() -> None:
    import torch

    values, mask = torch.tensor([[1.0, 3.0, 99.0], [5.0, 7.0, -99.0]]), torch.tensor([[1, 1, 0], [1, 1, 0]]).bool()
    white = whitened(values, mask)
    assert white[mask].mean().item() == pytest.approx(0, abs=1e-6)
    assert white[mask].std().item() == pytest.approx(1)
    assert not white[~mask].any()
    kept = whitened(values, mask, centred=False)
    assert kept[mask].mean().item() == pytest.approx(4)
    assert kept[mask].std().item() == pytest.approx(1)
    assert whitened(torch.ones(1, 1), torch.ones(1, 1).bool()).item() == 0  # one value alone


@pytest.mark.parametrize(("advantage", "ratio", "moves"), [
    (1.0, 1.0, True), (1.0, 1.3, False), (1.0, 0.7, True), (-1.0, 1.3, True), (-1.0, 0.7, False),
])  # fmt: skip
def test_a_token_is_pushed_until_it_has_moved_as_far_as_the_clip_and_called_back_from_anywhere(
    advantage: float, ratio: float, moves: bool
) -> None:
    before, now = row(-2.0), (row(-2.0) + row(ratio).log()).requires_grad_()
    losses, clipped = policy_losses(now, before, row(advantage), 0.2)
    losses.sum().backward()
    assert now.grad.item() == pytest.approx(-advantage * ratio if moves else 0)
    assert clipped.item() is not moves
    assert losses.item() == pytest.approx(-advantage * (ratio if moves else min(max(ratio, 0.8), 1.2)))


def test_a_value_gains_nothing_by_moving_further_than_the_clip() -> None:
    before, returns = row(0.0, 0.0, 0.0), row(1.0, 1.0, -1.0)
    now = row(0.1, 0.5, 0.5).requires_grad_()
    losses = value_losses(now, before, returns, 0.2)
    losses.sum().backward()
    assert losses.tolist()[0] == pytest.approx([0.5 * 0.9**2, 0.5 * 0.8**2, 0.5 * 1.5**2])
    assert now.grad.tolist()[0] == pytest.approx([-0.9, 0.0, 1.5])


def test_the_coefficient_follows_the_kl_by_no_more_than_a_fifth_and_only_if_asked() -> None:
    assert adapted(0.05, 100.0, 32, PLAIN) == 0.05
    follows = replace(PLAIN, kl_target=10.0, kl_horizon=100)
    assert adapted(0.05, 10.0, 50, follows) == 0.05
    assert adapted(0.05, 11.0, 50, follows) == pytest.approx(0.05 * (1 + 0.1 * 0.5))
    assert adapted(0.05, 99.0, 50, follows) == pytest.approx(0.05 * 1.1)
    assert adapted(0.05, -3.0, 50, follows) == pytest.approx(0.05 * 0.9)


def test_what_is_better_than_expected_is_raised_and_what_does_not_end_is_worth_less() -> None:
    cut_off = episode(4, ended=False, reward=1.0)
    batch = weighed([episode(2, ended=True, reward=1.0), cut_off], replace(PLAIN, missing_eos_penalty=3.0), 0.0, "cpu")
    assert batch.returns.tolist() == [[1.0, 1.0, 1.0, 0.0], [-2.0, -2.0, -2.0, -2.0]]
    assert batch.advantages.sign().tolist() == [[1.0, 1.0, 0.0, 0.0], [-1.0, -1.0, -1.0, -1.0]]
    assert batch.said.sum(1).tolist() == [2, 4]
    assert batch.states.sum(1).tolist() == [3, 4]


def test_kl_is_counted_from_the_reference_and_paid_token_by_token() -> None:
    batch = weighed([episode(2, ended=True, reward=1.0, kl=0.5)], PLAIN, 0.1, "cpu")
    assert batch.kl.tolist() == [[0.5, 0.5, 0.0, 0.0]]
    assert [pytest.approx(one, abs=1e-6) for one in batch.returns.tolist()] == [[0.9, 0.95, 1.0, 0.0]]
