"""A run's configuration turned into what its rows are made by: models, sampling, judging."""

from constitution.principle import Constitution
from generator.gather import Generation
from judge.asking import Asking
from judge.cascade import Trial
from judge.judging import Cascade, Judging
from judge.pairwise import Juror
from solon.config import RunConfig
from solon.endpoints import Endpoint
from solon.folder import RunFolder
from solon.pipeline import Recipe
from solon.supply import Supply
from solon.trials import read_trials


def recipe_of(config: RunConfig, constitution: Constitution, supply: Supply) -> Recipe:
    critic = config.critic_model
    generation = Generation(
        supply.model(config.policy), supply.model(critic), config.policy.sampling, critic.sampling,
        config.candidates.completions, config.candidates.rounds, config.seed,
    )  # fmt: skip
    judging = judging_of(config, supply)
    return Recipe(constitution, generation, judging, config.pairs.min_margin, config.judge.canaries)


def judging_of(config: RunConfig, supply: Supply) -> Judging:
    judge, cascade = config.judge, config.cascade

    def juror(endpoint: Endpoint, weight: float = 1.0) -> Juror:
        return Juror(supply.model(endpoint), endpoint.model, weight)

    return Judging(
        jurors=(juror(judge, judge.weight), *(juror(one, one.weight) for one in config.panel)),
        principles=judge.principles,
        policy=config.pairs.policy,
        asking=asking_of(config),
        mode=judge.mode,
        share=judge.share,
        first=Cascade(juror(cascade), cascade.sure) if cascade else None,
        scale=judge.scale,
        tournament=judge.tournament,
        comparisons=judge.comparisons,
    )


def asking_of(config: RunConfig) -> Asking:
    judge = config.judge
    return Asking(
        seed=config.seed,
        words=judge.verdict_tokens,
        ties=judge.ties,
        reasons=judge.rationale_tokens if judge.reason_first else 0,
        clamp=judge.clamp,
        few_shot=judge.few_shot,
    )


def trials_of(folder: RunFolder) -> tuple[Trial, ...]:
    """The labelled comparisons that a cascade's first judge must stand up to; none where none are named."""
    cascade = folder.config.cascade
    return read_trials(folder.beside / cascade.labelled) if cascade and cascade.labelled else ()
