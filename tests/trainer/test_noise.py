"""Known label noise: the loss is TRL's where there is none, has its minimum where it must, and finds what is true."""

import random
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from constitution.errors import InputError
from trainer.dpo import dpo_arguments, make_trainer, train_dpo, with_noise
from trainer.models.policies import Policy, load_policy
from trainer.pairs.noise import BY_PAIR, BY_SETTING, MOST_ROBUST, conservative, noise_of, plan
from trainer.quiet import quiet_training
from trainer.settings import DpoSettings
from trainer.steps import Job, Trained

NEEDED = ("torch", "transformers", "accelerate", "trl", "datasets", "pyarrow", "tokenizers")
MISSING = [name for name in NEEDED if find_spec(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
WORDS = 40
WORTH = [random.Random(f"word {place}").gauss(0, 1) for place in range(WORDS)]
TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}> {{ m.content }} <end> {% endfor %}"
    "{% if add_generation_prompt %}<assistant> {% endif %}"
)
SMALL = DpoSettings(
    learning_rate=1e-2, batch_size=64, gradient_accumulation=1, epochs=4, beta=0.3, bf16=False, train_embeddings=True,
)  # fmt: skip


def test_peoples_word_goes_before_a_judges_and_both_before_the_setting() -> None:
    told, silent = {"epsilon": 0.3, "p_chosen": 0.9}, {"epsilon": None, "p_chosen": 0.9}
    people, judge, nobody = (DpoSettings(noise=whose, epsilon=0.1) for whose in ("people", "judge", "none"))
    assert [noise_of(told, settings) for settings in (people, judge, nobody)] == [0.3, 0.3, 0.1]
    assert [noise_of(silent, settings) for settings in (people, judge, nobody)] == [0.1, pytest.approx(0.1), 0.1]
    assert [noise_of({}, settings) for settings in (people, judge, nobody)] == [0.1, 0.1, 0.1]
    assert noise_of({"epsilon": 0.0}, people) == 0.0


def test_without_noise_every_loss_is_trls_own() -> None:
    for loss in ("ipo", "hinge", "sppo_hard", "sigmoid"):
        noise = plan([0.0, 0.0], DpoSettings(loss=loss))
        assert (noise.losses, noise.weights, noise.smoothing, noise.by_pair) == ((loss,), None, 0.0, None)
    assert plan([0.0], DpoSettings(loss="robust")).losses == ("sigmoid",)


def test_a_loss_that_takes_no_noise_is_refused_with_those_that_do() -> None:
    with pytest.raises(InputError, match=r"loss = 'ipo' knows no chance .*: write noise = .* sigmoid, robust"):
        plan([0.1, 0.0], DpoSettings(loss="ipo"))
    for loss in BY_SETTING:
        assert plan([0.2, 0.2], DpoSettings(loss=loss, epsilon=0.2)).smoothing == 0.2
        with pytest.raises(InputError, match="for each pair"):
            plan([0.2, 0.3], DpoSettings(loss=loss, epsilon=0.2))
    with pytest.raises(InputError, match=r"exo_pair.*epsilon, which is 0: write epsilon = 0\.001"):
        plan([0.0], DpoSettings(loss="exo_pair"))


def test_the_unbiased_form_leaves_out_what_tells_next_to_nothing_and_needs_something_to_be_left() -> None:
    noise = plan([0.1, 0.5, MOST_ROBUST, 0.0], DpoSettings(loss="robust"))
    assert noise.places == (0, 2, 3)
    assert noise.by_pair == (0.1, MOST_ROBUST, 0.0)
    assert noise.told == {"rows": 2, "mean": pytest.approx(0.5 / 3), "highest": MOST_ROBUST}
    with pytest.raises(InputError, match=r"above 0\.4, and the unbiased loss cannot take it"):
        plan([0.5], DpoSettings(loss="robust"))


def words(places: list[int]) -> str:
    return " ".join(f"w{place}" for place in places)


def tokenizer() -> Any:
    """Of a language of forty words and a chat template, without a pad token or marks for training."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = ["<unknown>", "<end>", "<user>", "<assistant>", "go", *words(list(range(WORDS))).split()]
    numbered = {word: number for number, word in enumerate(vocabulary)}
    made = Tokenizer(models.WordLevel(numbered, unk_token="<unknown>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token="<end>", pad_token="<unknown>", unk_token="<unknown>", chat_template=TEMPLATE
    )


def policy(seed: int) -> Policy:
    """A random model of one small layer."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    shape = LlamaConfig(
        vocab_size=WORDS + 5, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=64, pad_token_id=0, eos_token_id=1, bos_token_id=1,
    )  # fmt: skip
    return Policy(LlamaForCausalLM(shape).eval(), tokenizer(), Path("made here"))


Couple = tuple[list[int], list[int]]


def couples(seed: int, count: int, subjects: Sequence[range] = (range(WORDS),) * 4) -> list[Couple]:
    """Two completions of a word from each of ``subjects``, the better one first: its words are worth more in sum."""
    chance = random.Random(seed)
    made: list[Couple] = []
    while len(made) < count:
        drawn = ([chance.choice(subject) for subject in subjects] for _ in range(2))
        one, other = sorted(drawn, key=lambda completion: -worth(completion))
        if worth(one) - worth(other) > 0.5:
            made.append((one, other))
    return made


def worth(completion: list[int]) -> float:
    return sum(WORTH[word] for word in completion)


def mislabelled(pairs: list[Couple], epsilons: list[float], seed: int) -> list[Couple]:
    chance = random.Random(seed)
    return [pair[::-1] if chance.random() < wrong else pair for pair, wrong in zip(pairs, epsilons, strict=True)]


def table(pairs: list[Couple], epsilons: list[float]) -> dict[str, list[Any]]:
    def said(role: str, texts: list[str]) -> list[list[dict[str, str]]]:
        return [[{"role": role, "content": text}] for text in texts]

    return {
        "prompt": said("user", ["go"] * len(pairs)),
        "chosen": said("assistant", [words(chosen) for chosen, _ in pairs]),
        "rejected": said("assistant", [words(rejected) for _, rejected in pairs]),
        "epsilon": epsilons,
    }


def pair_trainer(made: Policy, settings: DpoSettings, epsilons: list[float], folder: Path) -> Any:
    """Our trainer as it stands before its first step, on as many pairs as there are ``epsilons``."""
    from datasets import Dataset

    with quiet_training():
        noise = plan(epsilons, settings)
        rows = with_noise(Dataset.from_dict(table(couples(1, len(epsilons)), epsilons)), noise)
        return make_trainer(made, rows, settings, dpo_arguments(settings, noise, str(folder), 0))


def loss_at(trainer: Any, margins: list[float]) -> list[float]:
    """The loss of the trainer's batch where the margin of all its pairs is each of ``margins``, in nats times beta.

    The margin is moved through what the reference model is said to think of the chosen completions.
    """
    import torch

    losses = []
    for margin in margins:
        batch = next(iter(trainer.get_train_dataloader()))
        policy_says = log_probs(trainer.model, batch)
        chosen, rejected = policy_says.chunk(2)
        batch["ref_rejected_logps"] = rejected
        batch["ref_chosen_logps"] = chosen - margin / trainer.beta
        with torch.no_grad():
            losses.append(trainer.compute_loss(trainer.model, batch).item())
    return losses


def log_probs(model: Any, batch: Any) -> Any:
    """Of the completions in ``batch``, in its order."""
    import torch

    with torch.no_grad():
        every = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, :-1].log_softmax(-1)
    each = every.gather(-1, batch["input_ids"][:, 1:, None])[..., 0]
    return (each * batch["completion_mask"][:, 1:]).sum(1)


@pytest.mark.real
def test_with_epsilon_0_the_loss_is_trls_own(tmp_path: Path) -> None:
    import trl
    from datasets import Dataset

    library: Any = trl
    made, epsilons = policy(0), [0.0] * 8
    settings = replace(SMALL, batch_size=8)
    ours = pair_trainer(made, settings, [0.2] * 8, tmp_path / "ours")
    assert ours.loss_types == ["sigmoid", "robust"]
    ours.train_dataset = with_noise(
        ours.train_dataset.remove_columns("label_smoothing"), replace(plan([0.2] * 8, settings), by_pair=(0.0,) * 8)
    )
    with quiet_training():
        theirs = library.DPOTrainer(
            model=made.model,
            args=dpo_arguments(settings, plan(epsilons, settings), str(tmp_path / "theirs"), 0),
            train_dataset=Dataset.from_dict(table(couples(1, 8), epsilons)),
            processing_class=made.tokenizer,
        )
    margins = [-8.0, -1.0, 0.0, 0.3, 5.0]
    wanted = loss_at(theirs, margins)
    assert loss_at(ours, margins) == pytest.approx(wanted, abs=1e-6)
    assert wanted[2] == pytest.approx(0.6931472, abs=1e-6)


@pytest.mark.real
@pytest.mark.parametrize(("epsilon", "lowest"), [(0.5, 0.0), (0.2, 1.4), (0.0, 4.0)])
def test_the_conservative_loss_is_lowest_where_the_label_is_as_sure_as_it_is_told(
    tmp_path: Path, epsilon: float, lowest: float
) -> None:
    trainer = pair_trainer(policy(0), replace(SMALL, batch_size=4), [epsilon] * 4, tmp_path)
    margins = [round(-4 + 0.1 * step, 1) for step in range(81)]
    losses = loss_at(trainer, margins)
    assert margins[losses.index(min(losses))] == lowest  # log((1 - epsilon) / epsilon)
    beyond = np.array(margins)
    right, wrong = np.log1p(np.exp(-beyond)), np.log1p(np.exp(beyond))
    assert losses == pytest.approx(((1 - epsilon) * right + epsilon * wrong).tolist(), abs=1e-5)


@pytest.mark.real
def test_each_pair_is_taken_with_its_own_chance_in_both_forms(tmp_path: Path) -> None:
    epsilons, x = [0.0, 0.1, 0.3, 0.4], 1.5
    right, wrong = np.log1p(np.exp(-x)), np.log1p(np.exp(x))
    wanted = {
        "sigmoid": np.mean([(1 - e) * right + e * wrong for e in epsilons]),
        "robust": np.mean([((1 - e) * right - e * wrong) / (1 - 2 * e) for e in epsilons]),
    }
    assert set(wanted) == set(BY_PAIR)
    for loss in BY_PAIR:
        settings = DpoSettings(loss=loss, batch_size=4, bf16=False)
        trainer = pair_trainer(policy(0), settings, epsilons, tmp_path / loss)
        assert loss_at(trainer, [x]) == [pytest.approx(wanted[loss], abs=1e-5)]


def test_smoothing_is_what_makes_the_sum_of_trls_losses_conservative() -> None:
    for epsilon in (0.0, 0.1, 0.5, 0.9):
        smoothing = conservative(epsilon)
        assert 0 <= smoothing <= 1 / 3
        assert smoothing / (1 - 2 * smoothing) == pytest.approx(epsilon)


@pytest.mark.real
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_known_noise_beats_plain_dpo_on_clean_pairs_where_three_labels_in_ten_are_wrong(
    tmp_path: Path, seed: int
) -> None:
    """Two pairs in five are all but certain; on the others people were split, and the label is a coin's throw."""
    epsilons = [0.02, 0.5, 0.02, 0.5, 0.5] * 128
    pairs = couples(seed, len(epsilons))
    labelled = mislabelled(pairs, epsilons, seed)
    assert sum(map(list.__ne__, map(list, pairs), map(list, labelled))) / len(pairs) == pytest.approx(0.3, abs=0.03)
    low, high = gain(SMALL, table(labelled, epsilons), couples(1000 + seed, 2000), tmp_path, seed)
    assert low > 0.01, f"{low:.3f} to {high:.3f}"


@pytest.mark.real
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_unbiased_form_learns_a_subject_with_wrong_labels_as_strongly_as_one_without(
    tmp_path: Path, seed: int
) -> None:
    """Each pair is of one subject. On one of them a third of the labels is wrong, so plain DPO learns it less, and goes
    wrong on held-out pairs in which the two pull opposite ways. No pair is left out."""
    doubtful, clear = range(WORDS // 2), range(WORDS // 2, WORDS)
    epsilons = [0.35, 0.0] * 640
    subjects = zip(couples(seed, 640, (doubtful,) * 4), couples(100 + seed, 640, (clear,) * 4), strict=True)
    pairs = [pair for both in subjects for pair in both]
    held_out = [
        (one, other)
        for one, other in couples(1000 + seed, 4000, (doubtful, doubtful, clear, clear))
        if (worth(one[:2]) > worth(other[:2])) != (worth(one[2:]) > worth(other[2:]))
    ]
    rows = table(mislabelled(pairs, epsilons, seed), epsilons)
    low, high = gain(replace(SMALL, loss="robust", epochs=1, learning_rate=5e-3), rows, held_out, tmp_path, seed)
    assert low > 0.01, f"{low:.3f} to {high:.3f}"


def gain(
    settings: DpoSettings, rows: dict[str, list[Any]], held_out: list[Couple], folder: Path, seed: int
) -> tuple[float, float]:
    """Over plain DPO on all of ``rows``: how many more of the held-out pairs are preferred more than before training,
    as a share, from its lowest to its highest."""
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table(rows), folder / "train.parquet")
    before = preferred(policy(seed), held_out)
    right = []
    for name, how in (("known", settings), ("plain", replace(settings, loss="sigmoid", noise="none"))):
        result: Trained = train_dpo(policy(seed), how, Job(folder, folder / name, seed, lambda step: None))
        assert result.rows == len(rows["epsilon"])
        right.append(preferred(load_policy(folder / name), held_out) > before)
    return interval(right[0], right[1])


def preferred(made: Policy, pairs: list[Couple]) -> NDArray[np.float64]:
    """By how many nats the first completion of each pair is likelier than the second."""
    import torch

    def likely(completions: list[list[int]]) -> Any:
        texts = [f"<user> go <end> <assistant> {words(completion)} <end>" for completion in completions]
        ids = torch.tensor([made.tokenizer(text)["input_ids"] for text in texts])
        mask = torch.ones_like(ids)
        mask[:, :4] = 0
        batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "completion_mask": mask}
        return log_probs(made.model, batch).numpy()

    difference: NDArray[np.float64] = likely([one for one, _ in pairs]) - likely([other for _, other in pairs])
    return difference


def interval(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> tuple[float, float]:
    """Of the difference of two shares over the same pairs, 95 % by the bootstrap."""
    difference = one.astype(float) - other
    drawn = np.random.default_rng(0).integers(0, len(difference), (1000, len(difference)))
    low, high = np.quantile(difference[drawn].mean(axis=1), (0.025, 0.975))
    return float(low), float(high)
