"""Models in memory: what they say, and what only they can measure. Everything is kept, and never made twice."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from constitution.identity import full_hash
from generator.chat import Message
from generator.prompts import Prompt
from solon.evaluating.kept import Kept
from solon.folder import RunFolder
from solon.progress import showing
from solon.training.places import prepare_trainer
from trainer.ancestry import weights_hash
from trainer.evaluation.material import Material, Said
from trainer.models.policies import Policy, load_policy
from trainer.models.sampling import sample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BATCH = 64  # prompts sampled at once
PROBE_TOKENS = 64  # of a probe's completion: what a policy thinks of a request it says at once
Texts = Sequence[str]


@lru_cache(maxsize=2)  # the base and what is held against it
def loaded(place: Path) -> Policy:
    import torch

    policy = load_policy(place)
    if torch.cuda.is_available():
        model: Any = policy.model
        model.to("cuda")
    return policy


@lru_cache(maxsize=8)
def content(place: Path) -> str:
    return weights_hash(place)


def let_go() -> None:
    """Frees the models, and looks at folders anew from now on."""
    loaded.cache_clear()
    content.cache_clear()


@dataclass(frozen=True, slots=True)
class Asked:
    """Completions that are wanted: ``samples`` of each prompt, in their order."""

    prompts: tuple[Prompt, ...]
    max_tokens: int
    temperature: float = 0.0
    samples: int = 1

    @property
    def messages(self) -> list[tuple[Message, ...]]:
        return [prompt.messages for prompt in self.prompts for _ in range(self.samples)]


@dataclass(frozen=True, slots=True)
class Bench:
    """Where a run's policies are asked and measured; a policy goes by the place of its weights."""

    folder: RunFolder
    kept: Kept

    def said(self, place: Path, material: Material) -> Said:
        """What the policy answers to all of the material."""
        most = self.folder.config.evaluate.max_tokens
        held_out = self.completions(place, Asked(material.held_out, most), "held-out prompts")
        probed = tuple(probe.prompt for probe in material.probes)
        probes = self.completions(place, Asked(probed, min(most, PROBE_TOKENS)), "probes")
        several = Asked(material.sampled, most, temperature=1.0, samples=material.samples)
        samples = self.completions(place, several, "samples")
        rows = [samples[at : at + several.samples] for at in range(0, len(samples), several.samples)]
        return Said(tuple(held_out), tuple(map(tuple, rows)), tuple(probes))

    def completions(self, place: Path, asked: Asked, what: str) -> list[str]:
        """One for each of ``asked.messages``; greedy where the temperature is 0, else drawn by the run's seed."""
        if not asked.prompts:
            return []
        seed = self.folder.config.seed if asked.temperature else 0
        of = {
            "completions": what, "weights": content(place), "prompts": full_hash(spelled(asked.messages)),
            "max_tokens": asked.max_tokens, "temperature": asked.temperature, "samples": asked.samples, "seed": seed,
        }  # fmt: skip

        def make() -> list[str]:
            prepare_trainer()
            with showing(f"{place.name}: {what}", len(asked.messages)) as reporter:
                done = sample(
                    loaded(place), asked.messages, max_tokens=asked.max_tokens, batch_size=BATCH,
                    temperature=asked.temperature, seed=seed, on_batch=lambda done, _: reporter.at(done, ""),
                )  # fmt: skip
            return [completion.text for completion in done]

        return [str(text) for text in self.kept.get(of, make)]

    def kl(self, place: Path, base: Path, material: Material, said: Said) -> list[float] | None:
        """Nats per completion from the base, one a sampled prompt; None where none is sampled, or where the
        two have different vocabularies."""
        of = {"kl": content(place), "from": content(base), "of": sampled_by(material, said)}

        def make() -> list[float] | None:
            from trainer.evaluation.kl import kl_per_prompt, same_vocabulary

            prepare_trainer()
            if not same_vocabulary(loaded(place), loaded(base)):
                return None
            return kl_per_prompt(loaded(place), loaded(base), material.sampled, said.samples)

        found: list[float] | None = self.kept.get(of, make) if material.sampled else None
        return found

    def embeddings(self, base: Path, said: Said) -> "NDArray[np.float32] | None":
        """Of every sample, by the base: (prompts, samples, width), unit length; None where none is sampled."""
        if not said.samples:
            return None
        import numpy as np

        def make() -> list[list[list[float]]]:
            from trainer.evaluation.embeddings import embed_samples

            prepare_trainer()
            found: list[list[list[float]]] = embed_samples(loaded(base), said.samples).round(6).tolist()
            return found

        of = {"embeddings": full_hash(said.samples), "by": content(base)}
        return np.asarray(self.kept.get(of, make), dtype=np.float32)

    def rewards(self, prompts: tuple[Prompt, ...], texts: Texts) -> list[float | None] | None:
        """What the run's reward model says of a completion of each prompt; None where there is no such model."""
        place = self.folder.model("reward")
        if not place.is_dir():
            return None
        spelling = [spelled([prompt.messages for prompt in prompts]), list(texts)]
        of = {"rewards": full_hash(spelling), "by": content(place)}

        def make() -> list[float | None]:
            from solon.rewarding import open_reward

            prepare_trainer()
            with open_reward(self.folder, "model") as reward:
                return reward(prompts, texts)

        return [None if worth is None else float(worth) for worth in self.kept.get(of, make)]


def spelled(conversations: Sequence[tuple[Message, ...]]) -> list[list[list[str]]]:
    return [[[message.role, message.content] for message in messages] for messages in conversations]


def sampled_by(material: Material, said: Said) -> str:
    return full_hash([spelled([prompt.messages for prompt in material.sampled]), said.samples])
