"""``run.toml``: its schema, and what of it decides a run's meaning."""

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from constitution.checks import STRICT
from judge.families import same_family
from judge.pairs import PairPolicy
from solon.endpoints import CheapJudge, Critic, Endpoint, Judge, Model, Panelist, Variable
from trainer.evaluation.guards import Guards
from trainer.settings import (
    Count,
    DpoSettings,
    GroupSettings,
    Positive,
    PpoSettings,
    RewardSettings,
    SftSettings,
    Share,
)

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class Prompts:
    __pydantic_config__ = STRICT
    files: Annotated[tuple[str, ...], Field(min_length=1)]  # paths or globs, relative to the file that names them


@dataclass(frozen=True, slots=True)
class Completions:
    __pydantic_config__ = STRICT
    completions: Positive = 2
    rounds: Count = 1


@dataclass(frozen=True, slots=True)
class Pairs:
    __pydantic_config__ = STRICT
    policy: PairPolicy = "best-vs-worst"
    min_margin: Share = 0.1


@dataclass(frozen=True, slots=True)
class Limits:
    __pydantic_config__ = STRICT
    in_flight: Positive = 64  # calls at once to one endpoint
    deadline: Seconds = 300.0  # for all tries of one call and the pauses between
    idle: Seconds = 120.0  # without a byte from the endpoint
    requests_per_minute: Positive | None = None  # to one endpoint
    tokens_per_minute: Positive | None = None  # read and written, at one endpoint


@dataclass(frozen=True, slots=True)
class BudgetCap:
    __pydantic_config__ = STRICT
    usd: Annotated[float, Field(gt=0)] | None = None  # for the run in all, whatever happens
    tokens: Positive | None = None  # read and written, in all
    prices: str = "prices.toml"  # beside the file that names it


@dataclass(frozen=True, slots=True)
class Batch:
    __pydantic_config__ = STRICT
    wait: Annotated[float, Field(ge=0)] = 86400.0  # seconds to wait for batches; then the run says to come back
    poll: Seconds = 30.0  # seconds between two looks at a batch


@dataclass(frozen=True, slots=True)
class Export:
    __pydantic_config__ = STRICT
    test_share: Share = 0.1  # of the prompts
    max_length: Positive = 1024  # tokens of prompt and completion that training will see
    tokenizer: str | None = None  # a model folder or GGUF file to count them with; the weights to train if not given


@dataclass(frozen=True, slots=True)
class Train:
    __pydantic_config__ = STRICT
    base: str | None = None  # the weights to train, a model folder or a GGUF file; the embedded policy's if not given
    origin: tuple[str, ...] = ()  # names of what the policy was trained from, where its own name tells no family


@dataclass(frozen=True, slots=True)
class Evaluate:
    __pydantic_config__ = STRICT
    files: tuple[str, ...] = ()  # held-out prompts, never trained on
    max_tokens: Positive = 160
    samples: Annotated[int, Field(ge=2)] = 2  # of each of `sampled` prompts, at temperature 1: for diversity and KL
    sampled: Count = 16  # of the held-out prompts; 0 leaves diversity and KL out
    probes: bool = True  # Solon's own prompts: safe and unsafe ones, and opinions held before the question
    constitution: str | None = None  # for the win rate: principles that did not make the labels
    judge: Judge | None = None  # for its principles without a check: a judge that did not make the labels


@dataclass(frozen=True, slots=True)
class Iterate:
    __pydantic_config__ = STRICT
    method: Literal["sft", "dpo", "ppo", "grpo", "rloo"] = "dpo"  # what each round trains its policy by
    prompts: Share = 1.0  # of the run's prompts, drawn anew each round
    review: Count = 0  # couples that people are asked about before a round is trained on; 0 does not wait
    reward: bool = True  # whether a reward model is fitted each round, on the pairs of all rounds so far


@dataclass(frozen=True, slots=True)
class Storage:
    __pydantic_config__ = STRICT
    database_env: Variable | None = None  # the variable with a PostgreSQL address; without one, files in the run folder


@dataclass(frozen=True, slots=True)
class RunConfig:
    """A run as its file describes it, every default filled in."""

    __pydantic_config__ = STRICT
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    constitution: str
    prompts: Prompts
    policy: Model
    judge: Judge
    seed: int = 0
    engine: Literal["local"] = "local"
    critic: Critic = field(default_factory=Critic)
    panel: tuple[Panelist, ...] = ()
    cascade: CheapJudge | None = None
    candidates: Completions = field(default_factory=Completions)
    pairs: Pairs = field(default_factory=Pairs)
    limits: Limits = field(default_factory=Limits)
    budget: BudgetCap = field(default_factory=BudgetCap)
    batch: Batch = field(default_factory=Batch)
    export: Export = field(default_factory=Export)
    train: Train = field(default_factory=Train)
    sft: SftSettings = field(default_factory=SftSettings)
    reward: RewardSettings = field(default_factory=RewardSettings)
    dpo: DpoSettings = field(default_factory=DpoSettings)
    ppo: PpoSettings = field(default_factory=PpoSettings)
    grpo: GroupSettings = field(default_factory=GroupSettings)
    rloo: GroupSettings = field(default_factory=GroupSettings)
    evaluate: Evaluate = field(default_factory=Evaluate)
    guards: Guards = field(default_factory=Guards)
    iterate: Iterate = field(default_factory=Iterate)
    storage: Storage = field(default_factory=Storage)

    @property
    def critic_model(self) -> Model:
        """The policy with what ``[critic]`` says instead; another address never gets the policy's key."""
        given = {f.name: getattr(self.critic, f.name) for f in fields(self.critic)}
        said = {name: value for name, value in given.items() if value is not None}
        if said.keys() & {"base_url", "backend"}:
            said = {
                "base_url": None,
                "api_key_env": None,
                "batch": False,
                "serve": False,
                "extra": {},
                "settings": {},
                **said,
            }
        return replace(self.policy, **said)

    @property
    def kin(self) -> dict[str, str]:
        """The judges that are of the policy's family, by role; what is scripted has none."""
        judges = {role: one for role, one in self.endpoints.items() if role not in ("policy", "critic")}
        if self.policy.backend == "scripted":
            return {}
        found = {role: self.kin_of(one) for role, one in judges.items() if one.backend != "scripted"}
        return {role: family for role, family in found.items() if family}

    def kin_of(self, judge: Endpoint) -> str | None:
        """What the policy shares with a judge, in words. A policy that was trained here is of its origin's family."""
        names = self.train.origin or (self.policy.model,)
        shared = {family for name in names if (family := same_family(judge.model, name))}
        return " and ".join(sorted(shared)) or None

    @property
    def endpoints(self) -> dict[str, Endpoint]:
        """Every model of the run, by its role; a role is also where the file says so, dotted."""
        return {
            "policy": self.policy,
            "critic": self.critic_model,
            **({"cascade": self.cascade} if self.cascade else {}),
            "judge": self.judge,
            **{f"panel.{number}": panelist for number, panelist in enumerate(self.panel)},
        }


CONFIG = TypeAdapter(RunConfig)

# How a run is carried out, and what is done with its labels afterwards: none of it changes a call or a label.
OPERATIONAL = frozenset(
    {"name", "engine", "prompts", "constitution", "limits", "budget", "batch", "storage", "export", "train", "sft",
     "reward", "dpo", "ppo", "grpo", "rloo", "evaluate", "guards", "iterate"}
)  # fmt: skip
OPERATIONAL_KEYS = frozenset({"base_url", "api_key_env", "latency", "batch", "serve", "settings", "labelled",
                              "allow_same_family"})  # fmt: skip


def meaning(config: RunConfig) -> dict[str, Any]:
    """What decides the calls and labels, flat: ``section.key`` to value.

    Prompts and principles are not in it: they are data, and a run takes up their edits call by call. Nor
    is the file of labels that a cascade is held against, for the same reason.
    """
    whole = asdict(config) | {"critic": asdict(config.critic_model)}
    flat: dict[str, Any] = {}
    for name, value in whole.items():
        if name in OPERATIONAL:
            continue
        if isinstance(value, dict):
            flat |= {f"{name}.{key}": v for key, v in deciding(value).items()}
        else:
            flat[name] = [deciding(one) for one in value] if isinstance(value, tuple) else value
    return flat


def deciding(section: Any) -> Any:
    """A section without the keys that decide nothing."""
    if not isinstance(section, dict):
        return section
    return {key: value for key, value in section.items() if key not in OPERATIONAL_KEYS}
