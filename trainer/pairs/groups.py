"""Prompt groups: all pairs of one prompt go through training in one batch, wherever they fit.

Pairs of one prompt share completions. Shuffled among all others, the same completion is trained on in
many steps of one epoch, which made a reward model overfit; in one batch, all its pairs count in one step.

Source: Ouyang et al. 2022, "Training language models to follow instructions with human feedback",
arXiv:2203.02155, section 3.5 (on reward models).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from constitution.identity import unit_interval
from trainer.fitting import mean_size

if TYPE_CHECKING:
    from datasets import Dataset

PROMPT = "prompt_id"
SMOOTHING = "label_smoothing"  # a column: what TRL's setting of that name is for this pair
FIGURES = ("rewards/margins", "rewards/accuracies")  # those of TRL's that the record of a step takes


def whole_batches(prompts: Sequence[str], size: int, seed: int) -> tuple[tuple[int, ...], ...]:
    """Batches of at most ``size`` rows, every row in one of them; ``prompts[row]`` is its prompt's id.

    The rows of a prompt share a batch. Those of a prompt with more than ``size`` rows are spread evenly
    over as few batches as hold them, one after the other, and no other prompt's rows come in. ``seed``
    draws which prompts meet and the order of the batches; it changes neither how many there are nor how
    large they are. Where rows stand in the file decides nothing but how too large a prompt is spread.
    """
    rows: dict[str, list[int]] = {}
    for row, prompt in enumerate(prompts):
        rows.setdefault(prompt, []).append(row)
    groups = [rows[prompt] for prompt in sorted(rows, key=lambda prompt: unit_interval("meet", seed, prompt))]
    batches = packed([group for group in groups if len(group) <= size], size)
    for group in groups:
        if len(group) > size:
            count = -(-len(group) // size)
            batches += [group[part::count] for part in range(count)]
    batches.sort(key=lambda batch: unit_interval("order", seed, prompts[batch[0]]))
    return tuple(map(tuple, batches))


def packed(groups: Sequence[list[int]], size: int) -> list[list[int]]:
    """``groups`` of at most ``size`` rows put together: the largest first, each where it leaves the least room."""
    batches: list[list[int]] = []
    with_room: list[list[list[int]]] = [[] for _ in range(size)]  # the batches that have so many places left
    for group in sorted(groups, key=len, reverse=True):
        room = next((room for room in range(len(group), size) if with_room[room]), size)
        if room == size:
            batches.append([])
        batch = batches[-1] if room == size else with_room[room].pop()
        batch += group
        with_room[room - len(group)].append(batch)
    return batches


def has_groups(rows: "Dataset") -> bool:
    """Whether a prompt has several rows. Where ``rows`` do not say whose they are, none has."""
    prompts = list(rows[PROMPT]) if PROMPT in rows.column_names else []
    return len(set(prompts)) < len(prompts)


class EpochBatches:
    """``whole_batches`` as a data loader takes them, drawn anew for each epoch."""

    def __init__(self, prompts: Sequence[str], size: int, seed: int) -> None:
        self.prompts, self.size, self.seed, self.epoch = prompts, size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch, counting from 0."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(whole_batches(self.prompts, self.size, self.seed))

    def __iter__(self) -> Iterator[list[int]]:
        return map(list, whole_batches(self.prompts, self.size, self.seed + self.epoch))


def pair_trainer() -> Any:
    """TRL's ``DPOTrainer``, as a class that keeps prompts whole and takes label noise pair by pair.

    Whole batches are of unequal size. TRL takes the mean of each batch and the trainer the mean of those, so
    a pair in a small batch would count for more than one in a large batch; here every batch counts as
    its number of pairs, and each step's loss is the mean over its pairs, of all processes. Where batches do
    not divide evenly among processes, the epoch's first come again at its end. Evaluation is left alone.
    """
    import trl
    from torch.utils.data import DataLoader

    library: Any = trl
    plain: Any = library.DPOTrainer

    class PairTrainer(plain):  # type: ignore[misc]  # TRL has no types
        data_collator: Any
        label_smoothing: Any  # a number, or a tensor (pairs)

        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)  # which also computes what the reference model says
            self.grouped = has_groups(self.train_dataset)
            if SMOOTHING in self.train_dataset.column_names:
                self.data_collator = with_smoothing(self.data_collator)
            if self.grouped:
                self.accelerator.gather = gathering(self.accelerator)

        def get_train_dataloader(self) -> Any:
            if not self.grouped:
                return super().get_train_dataloader()
            batches = EpochBatches(list(self.train_dataset[PROMPT]), self.args.train_batch_size, self.args.seed)
            memory = self.args.dataloader_pin_memory
            return self.accelerator.prepare(
                DataLoader(self.train_dataset, batch_sampler=batches, collate_fn=self.data_collator, pin_memory=memory)
            )

        def get_batch_samples(self, *given: Any) -> tuple[list[Mapping[str, Any]], float | None]:
            """The batches of one optimizer step, and the mean number of pairs in them."""
            batches, number = super().get_batch_samples(*given)
            if not self.grouped:
                return batches, number
            return batches, mean_size(self, [pairs(batch) for batch in batches])

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: float | None = None
        ) -> Any:
            self.label_smoothing = inputs.pop(SMOOTHING, self.label_smoothing)
            loss = super().compute_loss(model, inputs, return_outputs)
            if num_items_in_batch is None:  # evaluation, or batches of one size
                return loss
            seen = mean_size(self, [pairs(inputs)])
            for name in FIGURES:
                self._metrics["train"][name][-1] *= seen / num_items_in_batch
            return loss * (pairs(inputs) / num_items_in_batch)

    return PairTrainer


def with_smoothing(collator: Any) -> Any:
    """``collator``, which also hands on the pairs' ``SMOOTHING``, as a tensor (pairs)."""
    import torch

    def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
        return {**collator(rows), SMOOTHING: torch.tensor([row[SMOOTHING] for row in rows])}

    return collate


def gathering(accelerator: Any) -> Any:
    """``accelerator.gather`` for tensors of unequal length, which it would not put together."""
    import torch
    from accelerate.utils import pad_across_processes

    plain = accelerator.gather
    if accelerator.num_processes == 1:
        return plain

    def gather(tensor: Any) -> Any:
        everything = plain(pad_across_processes(tensor.float().reshape(-1), pad_index=float("nan")))
        return everything[~torch.isnan(everything)]

    return gather


def pairs(batch: Mapping[str, Any]) -> int:
    """How many pairs a batch holds: the chosen completions stand above the rejected ones."""
    return len(batch["input_ids"]) // 2
