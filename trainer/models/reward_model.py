"""Reward models: a policy's trunk with one number for a completion in place of the next token.

On disk a Hugging Face folder for sequence classification with one label, so that any library that reads
these can score with it. What its numbers are measured by stands in the record beside the weights.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from constitution.errors import InputError
from generator.chat import Message
from generator.models.folders import SAFE, libraries, require_template, unloadable
from trainer.ancestry import read_record, weights_hash
from trainer.models.chat import whole_tokens
from trainer.models.policies import Policy, require_pad_token
from trainer.quiet import quiet

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

HEAD = "score"  # the last layer's name, in every architecture that reads a text and has this form


@dataclass(frozen=True, slots=True)
class RewardModel:
    """A model that gives a completion one number.

    ``mean`` and ``deviation`` are of its numbers for the chosen and the rejected completions that it was trained
    on: a reward is told as its distance from that mean, in such deviations.
    """

    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    source: Path
    mean: float = 0.0
    deviation: float = 1.0
    weights: str = ""  # the hash of those in ``source``
    bf16: bool = False  # matrix products of the trunk in bfloat16, as in training; the last layer never


def made_from(policy: Policy, seed: int) -> RewardModel:
    """An untrained reward model that takes over the policy's trunk; ``policy`` is used up.

    The last layer is drawn by ``seed`` from N(0, 1 / (width + 1)), so that rewards begin within about ±1.

    Raises:
        InputError: the policy's architecture has no such form.

    Source of the draw: Stiennon et al. 2020, "Learning to summarize from human feedback", arXiv:2009.01325,
    appendix B.1.
    """
    import torch
    import transformers

    library: Any = transformers
    config = copy.deepcopy(policy.model.config)
    config.num_labels = 1
    config.get_text_config().pad_token_id = policy.tokenizer.pad_token_id
    try:
        with torch.device("meta"):  # the shape alone: the trunk is there already
            model = library.AutoModelForSequenceClassification.from_config(config)
        getattr(model, HEAD), getattr(model, model.base_model_prefix)
    except (ValueError, AttributeError) as error:
        kind = type(policy.model).__name__
        raise InputError(str(policy.source), f"a {kind} cannot become a reward model", "take another model") from error
    width = config.get_text_config().hidden_size
    head = torch.empty(1, width).normal_(0, (width + 1) ** -0.5, generator=torch.Generator().manual_seed(seed))
    setattr(model, model.base_model_prefix, policy.model.base_model)
    setattr(model, HEAD, exact_head(head))
    return RewardModel(model, policy.tokenizer, policy.source)


def exact_head(weight: "Tensor") -> Any:
    """The last layer, (1, width), always in full precision: bfloat16 would give rewards in steps of a hundredth."""
    import torch

    class ExactHead(torch.nn.Linear):
        def forward(self, hidden: "Tensor") -> "Tensor":
            with torch.autocast(hidden.device.type, enabled=False):
                return super().forward(hidden.to(self.weight.dtype))

    head = ExactHead(weight.shape[1], weight.shape[0], bias=False)
    head.weight = torch.nn.Parameter(weight)
    return head


def load_reward_model(folder: Path) -> RewardModel:
    """The reward model in ``folder``, on the GPU where there is one.

    One that Solon did not train has no record of its mean and deviation: its numbers are told as they are.

    Raises:
        InputError: there is no reward model that can be loaded, or it has no chat template.
    """
    if not folder.is_dir():
        raise InputError(str(folder), "no such folder", "train one: solon train reward RUN")
    record = read_record(folder) or {}
    if record and record["method"] != "reward":
        fact = f"is a policy trained by {record['method']}, not a reward model"
        raise InputError(str(folder), fact, "train one: solon train reward RUN")
    model, tokenizer = loaded(folder)
    require_template(tokenizer, folder)
    require_pad_token(Policy(model, tokenizer, folder))
    scale, settings = record.get("reward_scale", {}), record.get("settings", {})
    weights = record.get("weights_sha256") or weights_hash(folder)
    return RewardModel(model, tokenizer, folder, weights=weights, bf16=settings.get("bf16", False), **scale)


def loaded(folder: Path) -> tuple["PreTrainedModel", "PreTrainedTokenizerBase"]:
    transformers, torch = libraries()
    from safetensors import SafetensorError

    try:
        with quiet():
            model, notes = transformers.AutoModelForSequenceClassification.from_pretrained(
                folder, dtype=torch.float32, use_safetensors=True, output_loading_info=True, **SAFE
            )
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **SAFE)
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, ImportError, SafetensorError) as error:
        raise unloadable(folder, error) from error
    if notes["missing_keys"] or model.config.num_labels != 1 or not hasattr(model, HEAD):
        fact = "is not a reward model: it has no last layer that gives one number"
        raise InputError(str(folder), fact, "train one: solon train reward RUN")
    setattr(model, HEAD, exact_head(getattr(model, HEAD).weight.data))
    return model.eval().to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer


def score(
    model: RewardModel, prompts: Sequence[tuple[Message, ...]], completions: Sequence[str], batch_size: int
) -> list[float]:
    """The reward of each completion of the prompt at its place: 0 is the mean of the training pairs, 1 a deviation.

    A text longer than the model's context loses its beginning. What shares a batch decides nothing but the
    last digits.
    """
    texts = [
        whole_tokens(model.tokenizer, prompt, completion)
        for prompt, completion in zip(prompts, completions, strict=True)
    ]
    context = model.model.config.get_text_config().max_position_embeddings
    rewards = raw_rewards(model, [text[-context:] for text in texts], batch_size)
    return [(reward - model.mean) / model.deviation for reward in rewards]


def raw_rewards(model: RewardModel, texts: Sequence[Sequence[int]], batch_size: int) -> list[float]:
    """What the model says of each text, in their order. Texts of like length go together: less padding."""
    import torch

    network: Any = model.model
    device = network.device
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    found: dict[int, float] = {}
    training = network.training
    network.eval()
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=model.bf16):
        for start in range(0, len(order), batch_size):
            places = order[start : start + batch_size]
            batch = padded([texts[place] for place in places], pad_of(model.tokenizer))
            on_device: Mapping[str, Any] = {name: tensor.to(device) for name, tensor in batch.items()}
            rewards = network(**on_device, use_cache=False).logits.squeeze(-1).float().tolist()
            found |= dict(zip(places, rewards, strict=True))
    network.train(training)
    return [found[place] for place in range(len(texts))]


def padded(texts: Sequence[Sequence[int]], pad: int) -> dict[str, "Tensor"]:
    """``input_ids`` and ``attention_mask``, (texts, longest), padded on the right."""
    import torch

    width = max(map(len, texts))
    ids = [[*text, *[pad] * (width - len(text))] for text in texts]
    mask = [[1] * len(text) + [0] * (width - len(text)) for text in texts]
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}


def pad_of(tokenizer: "PreTrainedTokenizerBase") -> int:
    pad = tokenizer.pad_token_id
    assert isinstance(pad, int)  # load_policy and load_reward_model see to it
    return pad


def scaled(model: RewardModel, rewards: Sequence[float]) -> RewardModel:
    """``model`` with its rewards measured by the mean and the deviation of ``rewards``, which are not all the same."""
    mean = sum(rewards) / len(rewards)
    variance = sum((reward - mean) ** 2 for reward in rewards) / len(rewards)
    return replace(model, mean=mean, deviation=variance**0.5)
