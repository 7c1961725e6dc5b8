from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from constitution.errors import InputError
from generator.models.vllm_server import options
from solon.config import RunConfig, meaning
from solon.config_file import load_config
from trainer.evaluation.guards import Guards
from trainer.settings import DpoSettings, GroupSettings, PpoSettings, RewardSettings, SftSettings

GOOD = """\
name = "demo"
constitution = "harmless"

[prompts]
files = ["*.jsonl"]

[policy]
backend = "scripted"
model = "rambler"
temperature = 0.5
max_tokens = 100

[judge]
backend = "scripted"
model = "other"
"""

TRAININGS = {
    "sft": SftSettings, "reward": RewardSettings, "dpo": DpoSettings, "ppo": PpoSettings, "grpo": GroupSettings,
    "rloo": GroupSettings,
}  # fmt: skip

# Every field of run.toml stands in exactly one of these two: put a new one where it belongs.
DECIDES = {
    "seed",
    *(f"{role}.{key}" for role in ("policy", "critic") for key in ("backend", "model", "temperature", "max_tokens")),
    *(f"{role}.extra" for role in ("policy", "critic", "judge")),
    *(f"judge.{key}" for key in ("backend", "model", "mode", "principles", "share", "verdict_tokens", "ties")),
    *(f"judge.{key}" for key in ("reason_first", "rationale_tokens", "clamp", "few_shot", "scale", "tournament")),
    *(f"judge.{key}" for key in ("comparisons", "weight", "canaries")),
    "panel",
    "cascade",
    "candidates.completions",
    "candidates.rounds",
    "pairs.policy",
    "pairs.min_margin",
}
DECIDES_NOTHING = {
    "name",
    "engine",
    "constitution",  # data, as the prompts are: edits are taken up call by call
    "prompts.files",
    *(f"{role}.{key}" for role in ("policy", "critic", "judge") for key in ("base_url", "api_key_env", "latency")),
    *(f"{role}.{key}" for role in ("policy", "critic", "judge") for key in ("batch", "serve", "settings")),
    *(f"limits.{key}" for key in ("in_flight", "deadline", "idle", "requests_per_minute", "tokens_per_minute")),
    *(f"budget.{key}" for key in ("usd", "tokens", "prices")),
    *(f"batch.{key}" for key in ("wait", "poll")),
    "judge.allow_same_family",
    *(f"export.{key}" for key in ("test_share", "max_length", "tokenizer")),
    *(f"train.{key}" for key in ("base", "origin")),
    *(f"{method}.{field.name}" for method, settings in TRAININGS.items() for field in fields(settings)),
    *(f"evaluate.{key}" for key in ("files", "max_tokens", "samples", "sampled", "probes", "constitution", "judge")),
    *(f"guards.{field.name}" for field in fields(Guards)),
    *(f"iterate.{key}" for key in ("method", "prompts", "review", "reward")),
    "storage.database_env",
}


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], RunConfig]:
    def load(text: str) -> RunConfig:
        (tmp_path / "run.toml").write_text(text)
        return load_config(tmp_path / "run.toml")

    return load


def every_field(config: RunConfig) -> dict[str, Any]:
    """``section.key`` or ``key`` to value, read off the dataclasses themselves."""
    flat: dict[str, Any] = {}
    for field in fields(config):
        value = getattr(config, field.name)
        if is_dataclass(value):
            flat |= {f"{field.name}.{inner.name}": getattr(value, inner.name) for inner in fields(value)}
        else:
            flat[field.name] = value
    return flat


def another(value: Any) -> Any:
    match value:
        case None:
            return 77
        case str():
            return f"{value}-changed"
        case dict():
            return {**value, "changed": 1}
        case tuple():
            return (*value, "changed")
        case bool():
            return not value
        case _:
            return value + 0.25


def with_another(config: RunConfig, name: str) -> RunConfig:
    section, _, key = name.rpartition(".")
    changed = another(every_field(config)[name])
    if not section:
        return replace(config, **{key: changed})
    return replace(config, **{section: replace(getattr(config, section), **{key: changed})})


def test_every_field_of_the_config_has_its_place_in_the_lists(load: Callable[[str], RunConfig]) -> None:
    assert every_field(load(GOOD)).keys() == DECIDES | DECIDES_NOTHING
    assert not DECIDES & DECIDES_NOTHING


@pytest.mark.parametrize("name", sorted(DECIDES))
def test_a_field_that_decides_calls_or_labels_changes_the_meaning(load: Callable[[str], RunConfig], name: str) -> None:
    config = load(GOOD)
    assert meaning(with_another(config, name)) != meaning(config)


@pytest.mark.parametrize("name", sorted(DECIDES_NOTHING))
def test_a_field_of_how_and_where_does_not_change_the_meaning(load: Callable[[str], RunConfig], name: str) -> None:
    config = load(GOOD)
    assert meaning(with_another(config, name)) == meaning(config)


def test_a_critic_spelled_out_as_the_policy_means_the_same_as_none(load: Callable[[str], RunConfig]) -> None:
    assert meaning(load(GOOD + '[critic]\nmodel = "rambler"\n')) == meaning(load(GOOD))


def test_the_meaning_is_flat_and_names_section_and_key(load: Callable[[str], RunConfig]) -> None:
    told = meaning(load(GOOD))
    assert told["policy.temperature"] == 0.5
    assert told["judge.model"] == "other"
    assert told["seed"] == 0
    assert told.keys() == DECIDES


def test_the_critic_takes_each_key_that_it_does_not_name_from_the_policy(load: Callable[[str], RunConfig]) -> None:
    config = load(GOOD)
    assert config.critic_model == config.policy
    config = load(GOOD + "[critic]\nmax_tokens = 7\ntemperature = 0\n")
    assert config.critic_model == replace(config.policy, max_tokens=7, temperature=0.0)
    config = load(GOOD + '[critic]\nbackend = "openai"\nmodel = "m"\nbase_url = "http://x"\nlatency = 0.0\n')
    critic = config.critic_model
    assert (critic.backend, critic.model, critic.base_url) == ("openai", "m", "http://x")
    assert (critic.temperature, critic.max_tokens) == (0.5, 100)


def test_a_seed_of_zero_is_a_seed(load: Callable[[str], RunConfig]) -> None:
    assert load("seed = 0\n" + GOOD).seed == 0
    assert load("seed = 3\n" + GOOD).seed == 3


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (GOOD.replace("max_tokens", "max_token"), 11, r"unknown key 'policy\.max_token': did you mean 'max_tokens'\?"),
        (GOOD + "[limit]\nin_flight = 2\n", 16, "unknown key 'limit': did you mean 'limits'"),
        (GOOD + "[candidates]\nzzzzzz = 2\n", 17, r"unknown key 'candidates\.zzzzzz': remove it"),
        (GOOD.replace('name = "demo"', "# no name"), 1, "missing key 'name': add it"),
        (GOOD.partition("[judge]")[0], 1, "missing key 'judge': add it"),
        (GOOD.replace('model = "other"', ""), 13, r"missing key 'judge\.model': add it"),
        (GOOD.replace("max_tokens = 100", 'max_tokens = "9"'), 11, r"'policy\.max_tokens' cannot be read: .*, got .9"),
        (GOOD.replace("max_tokens = 100", "max_tokens = 0"), 11, r"'policy\.max_tokens' cannot be read"),
        (GOOD.replace("temperature = 0.5", "temperature = nan"), 10, r"'policy\.temperature' cannot be read"),
        (GOOD.replace("temperature = 0.5", "temperature = true"), 10, r"'policy\.temperature' cannot be read"),
        (GOOD.replace('backend = "scripted"', 'backend = "magic"', 1), 8, r"'policy\.backend' cannot be read"),
        (GOOD.replace('"demo"', '"../demo"'), 1, "'name' cannot be read"),
        (GOOD.replace('"demo"', '""'), 1, "'name' cannot be read"),
        (GOOD.replace('["*.jsonl"]', "[]"), 5, r"'prompts\.files' cannot be read"),
        (GOOD + '[pairs]\npolicy = "worst-vs-worst"\n', 17, r"'pairs\.policy' cannot be read"),
    ],
)  # fmt: skip
def test_a_faulty_key_is_told_with_file_line_and_remedy(
    load: Callable[[str], RunConfig], text: str, line: int, message: str
) -> None:
    with pytest.raises(InputError, match=rf"run\.toml:{line}: {message}") as refusal:
        load(text)
    assert "\n" not in str(refusal.value)


def test_the_judge_is_never_silently_the_policy(load: Callable[[str], RunConfig]) -> None:
    with pytest.raises(InputError, match=r"missing key 'judge\.model'"):
        load(GOOD.partition("[judge]")[0] + '[judge]\nbackend = "scripted"\n')


@pytest.mark.parametrize(("section", "line"), [("policy", 7), ("judge", 13)])
def test_an_openai_model_must_say_where_it_is_or_whose_key_it_takes(
    load: Callable[[str], RunConfig], section: str, line: int
) -> None:
    text = GOOD.replace(f'[{section}]\nbackend = "scripted"', f'[{section}]\nbackend = "openai"')
    with pytest.raises(InputError, match=rf"run\.toml:{line}: \[{section}\] says neither where"):
        load(text)
    for key in ('base_url = "http://x"', 'api_key_env = "KEY"'):
        load(text.replace(f'[{section}]\nbackend = "openai"', f'[{section}]\nbackend = "openai"\n{key}'))


def test_what_is_no_toml_or_no_file_is_refused_in_one_line(load: Callable[[str], RunConfig], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not TOML"):
        load("name = \n")
    with pytest.raises(InputError, match=r"absent\.toml: cannot be read"):
        load_config(tmp_path / "absent.toml")
    (tmp_path / "run.toml").write_bytes(b'name = "\xff"')
    with pytest.raises(InputError, match="cannot be read"):
        load_config(tmp_path / "run.toml")


def test_a_critic_elsewhere_never_gets_the_policys_key(load: Callable[[str], RunConfig]) -> None:
    policy = '[policy]\nbackend = "openai"\nmodel = "m"\nbase_url = "http://a"\napi_key_env = "A"\n'
    text = GOOD[: GOOD.index("[policy]")] + policy + '[judge]\nbackend = "scripted"\nmodel = "rambler"\n'
    same, elsewhere = load(text), load(text + '[critic]\nbase_url = "http://b"\n')
    assert (same.critic_model.base_url, same.critic_model.api_key_env) == ("http://a", "A")
    assert (elsewhere.critic_model.base_url, elsewhere.critic_model.api_key_env) == ("http://b", None)


@pytest.mark.parametrize(
    ("more", "line", "message"),
    [
        ("settings = { max_model_len = 9 }", 12, "'policy.settings' are a vLLM engine's, and the run starts none"),
        ("batch = true", 12, "backend 'scripted' has no batches"),
        ("extra = { top_k = 5 }", 12, "backend 'scripted' sends no request that 'extra' could be part of"),
    ],
)
def test_a_key_that_the_backend_has_no_use_for_is_refused(
    load: Callable[[str], RunConfig], more: str, line: int, message: str
) -> None:
    with pytest.raises(InputError, match=rf"run\.toml:{line}: {message}"):
        load(GOOD.replace("max_tokens = 100\n", f"max_tokens = 100\n{more}\n"))


def test_an_engines_settings_are_told_to_its_server_as_arguments() -> None:
    settings = {"max_model_len": 4096, "enforce_eager": True, "enable_prefix_caching": False}
    assert list(options(settings)) == ["--max-model-len", "4096", "--enforce-eager", "--no-enable-prefix-caching"]


OTHER = '[[panel]]\nbackend = "scripted"\nmodel = "third"\n'
CHEAP = '[cascade]\nbackend = "scripted"\nmodel = "cheap"\n'


@pytest.mark.parametrize(
    ("more", "line", "message"),
    [
        ('mode = "pointwise"\nties = true\n', 17, "'judge.ties' is for comparisons, and mode is 'pointwise'"),
        ('mode = "pointwise"\nreason_first = true\n', 17, "'judge.reason_first' is for comparisons"),
        ('mode = "pointwise"\nfew_shot = 1\n', 17, "'judge.few_shot' is for comparisons"),
        ('mode = "pointwise"\n\n' + CHEAP, 18, "a cascade compares, and mode is 'pointwise': remove the section"),
        ('scale = "1-10"\n', 16, "'judge.scale' is for grades, and mode is 'pairwise'"),
        ('mode = "ranked"\nscale = "1-10"\n', 17, "'judge.scale' is for grades, and mode is 'ranked'"),
        ('tournament = "adaptive"\n', 16, "'judge.tournament' is for rankings, and mode is 'pairwise'"),
        ('mode = "ranked"\ncomparisons = 4\n', 17, "'judge.comparisons' bounds an adaptive tournament, and"),
        ("comparisons = 4\n", 16, "'judge.comparisons' bounds an adaptive tournament"),
        ("reason_first = true\n" + CHEAP + "sure = 0.7\n", 20, r"'cascade.sure' is 0.7, .* judge.clamp, 0.6: lower it"),
        ("clamp = 0.4\n", 16, "'judge.clamp' cannot be read"),
        ("clamp = 1.1\n", 16, "'judge.clamp' cannot be read"),
        ("canaries = 1.5\n", 16, "'judge.canaries' cannot be read"),
        ("weight = 0\n", 16, "'judge.weight' cannot be read"),
        ("few_shot = -1\n", 16, "'judge.few_shot' cannot be read"),
        ("ties = 1\n", 16, "'judge.ties' cannot be read"),
        (CHEAP + "sure = 0.4\n", 19, "'cascade.sure' cannot be read"),
        (CHEAP + "weight = 1.0\n", 19, "unknown key 'cascade.weight'"),
        (OTHER + "sure = 0.9\n", 19, r"unknown key 'panel\.0\.sure'"),
        (OTHER + "weight = -1.0\n", 19, r"'panel\.0\.weight' cannot be read"),
        (OTHER + "batch = true\n", 19, "backend 'scripted' has no batches"),
        (OTHER + OTHER, 21, "'third' judges already: name another model"),
        (OTHER.replace("third", "other"), 18, "'other' judges already: name another model, or"),
        (CHEAP.replace("cheap", "other"), 18, "'other' judges already: name another model, or"),
        (OTHER + OTHER.replace('"scripted"', '"openai"').replace("third", "x"), 19, r"\[panel.1\] says neither where"),
    ],
)  # fmt: skip
def test_what_is_wrong_about_judging_is_told_with_its_line(
    load: Callable[[str], RunConfig], more: str, line: int, message: str
) -> None:
    with pytest.raises(InputError, match=rf"run\.toml:{line}: {message}") as refusal:
        load(GOOD + more)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "more",
    [
        'mode = "pointwise"\nscale = "1-10"\ncanaries = 0\n' + OTHER,
        'mode = "ranked"\ntournament = "adaptive"\ncomparisons = 4\nties = true\nfew_shot = 2\n' + CHEAP,
        "reason_first = true\nclamp = 0.9\n" + OTHER + CHEAP + "sure = 0.9\n",
    ],
)
def test_what_goes_together_is_taken(load: Callable[[str], RunConfig], more: str) -> None:
    assert load(GOOD + more).judge.model == "other"


JUDGED = '\n[evaluate.judge]\nbackend = "openai"\nmodel = "m"\n'


@pytest.mark.parametrize(
    ("more", "line", "message"),
    [
        ("[dpo]\nlora_rank = 8\ntrain_embeddings = true\n", 18, "'dpo.train_embeddings' and 'dpo.lora_rank' are both"),
        ("[grpo]\nmax_tokens = 1024\n", 17, "'grpo.max_tokens' fills grpo.max_length"),
        ("[ppo]\nkl_coef = -1.0\n", 17, "'ppo.kl_coef' cannot be read"),
        ("[dpo]\nbase = 'x'\n", 17, "unknown key 'dpo.base'"),
        ("[evaluate]\n" + JUDGED, 18, "'evaluate.judge' judges by evaluate.constitution, and there is none"),
        ("[evaluate]\nconstitution = 'c'\n" + JUDGED, 19, r"\[evaluate.judge\] says neither where the model is nor"),
        ("[guards]\nwin_rate = 0.4\n", 17, "'guards.win_rate' is on, and nothing measures it"),
        ("[iterate]\nmethod = 'ppo'\nreward = false\n", 18, r"'iterate.reward' is off, and \[ppo\] is rewarded by the"),
    ],
)  # fmt: skip
def test_what_is_wrong_about_training_is_told_with_its_line(
    load: Callable[[str], RunConfig], more: str, line: int, message: str
) -> None:
    with pytest.raises(InputError, match=rf"run\.toml:{line}: {message}") as refusal:
        load(GOOD + more)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "more",
    [
        "[dpo]\nlora_rank = 8\nlora_alpha = 16\n[ppo]\nkl_target = 6.0\nkl_horizon = 50\n",
        "[iterate]\nmethod = 'rloo'\nreward = false\n[rloo]\nreward = 'constitution'\n",
        "[evaluate]\nconstitution = 'c'\n[evaluate.judge]\nbackend = 'scripted'\nmodel = 'm'\n",
    ],
)
def test_training_settings_that_go_together_are_taken(load: Callable[[str], RunConfig], more: str) -> None:
    assert load(GOOD + more).judge.model == "other"


KIN = GOOD.replace(
    'backend = "scripted"\nmodel = "rambler"', 'backend = "openai"\nbase_url = "http://x"\nmodel = "gpt-4o"'
)


@pytest.mark.parametrize(
    ("text", "line", "role"),
    [
        (
            KIN.replace('"scripted"\nmodel = "other"', '"openai"\nbase_url = "http://x"\nmodel = "openai/o3"'),
            17,
            "judge",
        ),
        (KIN + OTHER.replace('"scripted"', '"vllm"').replace("third", "gpt-oss-20b"), 19, r"panel\.0"),
        (KIN + CHEAP.replace('"scripted"', '"vllm"').replace("cheap", "chatgpt-4o-latest"), 19, "cascade"),
    ],
)
def test_a_judge_of_the_policys_family_is_told_with_the_line_of_its_name(
    load: Callable[[str], RunConfig], text: str, line: int, role: str
) -> None:
    message = rf"run\.toml:{line}: \[{role}\] and \[policy\] are of one family \(OpenAI\), .*allow_same_family = true"
    with pytest.raises(InputError, match=message):
        load(text)
    load(text.replace("[judge]\n", "[judge]\nallow_same_family = true\n"))


def test_where_models_are_and_what_they_are_tried_on_decides_nothing_for_a_panel_and_a_cascade_either(
    load: Callable[[str], RunConfig],
) -> None:
    config = load(GOOD + OTHER + CHEAP)
    assert config.cascade
    for moved in (
        replace(config, panel=(replace(config.panel[0], base_url="http://elsewhere", api_key_env="KEY", latency=1.0),)),
        replace(config, cascade=replace(config.cascade, labelled="labelled.jsonl", base_url="http://elsewhere")),
    ):
        assert meaning(moved) == meaning(config)
    for other in (
        replace(config, panel=()),
        replace(config, panel=(replace(config.panel[0], weight=2.0),)),
        replace(config, cascade=None),
        replace(config, cascade=replace(config.cascade, sure=0.9)),
        replace(config, cascade=replace(config.cascade, least_agreement=0.9)),
    ):
        assert meaning(other) != meaning(config)
    assert list(config.endpoints) == ["policy", "critic", "cascade", "judge", "panel.0"]
