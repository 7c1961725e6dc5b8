"""The sections of ``run.toml`` that name a model: where it is, and what it is put to."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from constitution.checks import STRICT
from generator.sampling import Sampling
from judge.grades import Scale
from judge.judging import Mode, Tournament
from trainer.settings import Count, Positive, Share

Temperature = Annotated[float, Field(ge=0, le=5)]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Backend = Literal["openai", "anthropic", "vllm", "transformers", "llamacpp", "scripted"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model is and what it is called."""

    backend: Backend
    model: str
    base_url: str | None = None
    api_key_env: Variable | None = None  # the variable that holds the key; the key itself stands in no file
    latency: Annotated[float, Field(ge=0)] = 0.0  # seconds a call of the scripted backend takes
    batch: bool = False  # through the service's batch API: cheaper, and within a day
    serve: bool = False  # vllm: as a server that the run starts and stops, not in this process
    extra: dict[str, Any] = field(default_factory=dict)  # more of the request's body, as the endpoint calls it
    settings: dict[str, Any] = field(default_factory=dict)  # vllm: the engine's, where the run starts it

    @property
    def takes_extra(self) -> bool:
        """Whether its calls are requests to a server."""
        return self.backend in ("openai", "anthropic") or (self.backend == "vllm" and bool(self.base_url or self.serve))

    @property
    def address(self) -> tuple[str, str | None, str | None]:
        """What two models have in common that share one endpoint's limits."""
        return self.backend, self.base_url, self.api_key_env


@dataclass(frozen=True, slots=True)
class Model(Endpoint):
    __pydantic_config__ = STRICT
    temperature: Temperature = 1.0
    max_tokens: Positive = 256

    @property
    def sampling(self) -> Sampling:
        return Sampling(self.temperature, self.max_tokens)


@dataclass(frozen=True, slots=True)
class Critic:
    """The keys of ``[policy]``, each of which defaults to the policy's."""

    __pydantic_config__ = STRICT
    backend: Backend | None = None
    model: str | None = None
    base_url: str | None = None
    api_key_env: Variable | None = None
    latency: Annotated[float, Field(ge=0)] | None = None
    batch: bool | None = None
    serve: bool | None = None
    extra: dict[str, Any] | None = None
    settings: dict[str, Any] | None = None
    temperature: Temperature | None = None
    max_tokens: Positive | None = None


@dataclass(frozen=True, slots=True)
class Judge(Endpoint):
    __pydantic_config__ = STRICT
    mode: Mode = "pairwise"  # pointwise grades each completion alone; ranked puts all of a prompt's in order
    principles: Literal["one", "all"] = "one"  # of those without a check: one drawn for each couple, or all
    share: Share = 1.0  # of the couples that the model sees, drawn by seed; checks see all of them
    verdict_tokens: Positive = 2048  # for a verdict in words, hidden reasoning included, where there are no log-probs
    ties: bool = False  # whether the judge may say "equally good" and "both are bad"
    reason_first: bool = False  # the judge reasons, then gives the label, in two calls
    rationale_tokens: Positive = 256
    clamp: Annotated[float, Field(ge=0.5, le=1)] = 0.6  # the most certain a reasoned verdict may be; 1 switches it off
    few_shot: Count = 0  # the most of a principle's examples that the judge sees solved
    scale: Scale = "yes-no"  # pointwise
    tournament: Tournament = "all"  # ranked: every couple, or in rounds those that tell most
    comparisons: Positive | None = None  # the most that an adaptive tournament asks about a prompt's candidates
    weight: Weight = 1.0  # beside the [[panel]]
    canaries: Share = 0.02  # of the prompts, on which the judge is also shown planted completions
    allow_same_family: bool = False  # a judge favours what a model of its own family wrote


@dataclass(frozen=True, slots=True)
class Panelist(Endpoint):
    """One more judge, put to use as [judge] is."""

    __pydantic_config__ = STRICT
    weight: Weight = 1.0


@dataclass(frozen=True, slots=True)
class CheapJudge(Endpoint):
    """A judge that is asked first; the others only where its orders disagree or it is unsure."""

    __pydantic_config__ = STRICT
    sure: Annotated[float, Field(ge=0.5, le=1)] = 0.8
    labelled: str | None = None  # a file of comparisons with people's choices, which it must stand up to
    least_agreement: Share = 0.8  # with people, where it is consistent and sure; below it the cascade is off
