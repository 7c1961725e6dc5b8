"""What models cost: the file that people keep, the arithmetic, and who is asked for a price at all."""

import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitution.errors import InputError
from generator.chat import ChatRequest, Message, Usage
from solon.backends import is_billed
from solon.config_file import load_config
from solon.endpoints import Endpoint
from solon.folder import RunFolder
from solon.prices import Price, load_prices, most_prompt_tokens
from solon.supply import prices_of, require_prices

Cli = Callable[..., subprocess.CompletedProcess[str]]
WriteRun = Callable[..., Path]

GOOD = """\
as_of = 2026-01-31

[model."maker/small-1"]
input = 2
output = 8.5
cached_input = 0.2
stored_input = 2.5
batch = 0.5

[model.plain]
input = 0.1
output = 0.4
"""


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], dict[str, Price]]:
    def load(text: str) -> dict[str, Price]:
        (tmp_path / "prices.toml").write_text(text)
        return load_prices(tmp_path / "prices.toml")

    return load


def test_prices_are_read_as_they_are_written(load: Callable[[str], dict[str, Price]], tmp_path: Path) -> None:
    assert load(GOOD) == {"maker/small-1": Price(2.0, 8.5, 0.2, 2.5, 0.5), "plain": Price(0.1, 0.4)}
    assert load("as_of = 2026-01-31\n") == {}
    assert load_prices(tmp_path / "absent.toml") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("cached_input", "cached"), r"prices\.toml:6: unknown key 'model\.maker/small-1\.cached': did"),
        (GOOD.replace("[model.plain]", "[modle.plain]"), r"prices\.toml:10: unknown key 'modle': did you mean 'model'"),
        (GOOD.replace("input = 0.1", "input = -0.1"), r"prices\.toml:11: 'model\.plain\.input' cannot be read"),
        (GOOD.replace("input = 0.1", "input = inf"), r"prices\.toml:11: 'model\.plain\.input' cannot be read"),
        (GOOD.replace("input = 0.1", "input = nan"), r"prices\.toml:11: 'model\.plain\.input' cannot be read"),
        (GOOD.replace("input = 0.1", 'input = "0.1"'), r"prices\.toml:11: 'model\.plain\.input' cannot be read"),
        (GOOD.replace("output = 0.4", ""), r"prices\.toml:10: missing key 'model\.plain\.output': add it"),
        (GOOD.replace("batch = 0.5", "batch = 0.0"), r"prices\.toml:8: 'model\.maker/small-1\.batch' cannot be read"),
        (GOOD.replace("batch = 0.5", "batch = 50"), r"prices\.toml:8: 'model\.maker/small-1\.batch' cannot be read"),
        (GOOD.replace("as_of = 2026-01-31", ""), r"prices\.toml:1: missing key 'as_of': add it"),
        (GOOD.replace("2026-01-31", '"lately"'), r"prices\.toml:1: 'as_of' cannot be read"),
        ("as_of = \n", r"prices\.toml:1: this is not TOML"),
    ],
)  # fmt: skip
def test_a_faulty_price_is_refused_with_file_and_line(
    load: Callable[[str], dict[str, Price]], text: str, message: str
) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        load(text)
    assert "\n" not in str(refusal.value)


def test_a_price_file_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    (tmp_path / "prices.toml").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        load_prices(tmp_path / "prices.toml")


FULL = Price(input=2.0, output=8.0, cached_input=0.5, stored_input=2.5, batch=0.5)


@pytest.mark.parametrize(
    ("usage", "batch", "nanodollars"),
    [
        (Usage(1_000_000, 0), False, 2 * 10**9),
        (Usage(0, 1_000_000), False, 8 * 10**9),
        (Usage(1000, 100), False, 2_800_000),
        (Usage(1000, 0, cached=600), False, 400 * 2000 + 600 * 500),
        (Usage(1000, 0, stored=600), False, 400 * 2000 + 600 * 2500),
        (Usage(1000, 10, cached=600, stored=400), False, 600 * 500 + 400 * 2500 + 10 * 8000),
        (Usage(1000, 100), True, 1_400_000),
        (Usage(5, 0, cached=9), False, 9 * 500),  # an endpoint that counts oddly is never owed money
        (Usage(), False, 0),
    ],
)
def test_cached_stored_and_batched_tokens_cost_what_the_file_says(usage: Usage, batch: bool, nanodollars: int) -> None:
    assert FULL.of(usage, batch) == nanodollars


def test_cached_and_stored_tokens_without_a_price_cost_what_others_do() -> None:
    price = Price(input=2.0, output=8.0)
    assert price.of(Usage(1000, 10, cached=600, stored=100)) == price.of(Usage(1000, 10))
    assert price.of(Usage(1000, 10), batch=True) == price.of(Usage(1000, 10))


def test_a_cache_that_is_free_costs_nothing() -> None:
    assert Price(input=2.0, output=8.0, cached_input=0.0).of(Usage(1000, 0, cached=1000)) == 0


DOLLARS = st.integers(0, 10**8).map(lambda n: n / 10**6)
COUNTS = st.integers(0, 10**7)


def exact(price: Price, usage: Usage, batch: bool) -> Fraction:
    """Nano-dollars, without rounding."""

    def of(dollars: float | None) -> Fraction:
        return Fraction(repr(price.input if dollars is None else dollars))

    plain = max(0, usage.prompt - usage.cached - usage.stored)
    total = plain * of(price.input) + usage.completion * of(price.output)
    total += usage.cached * of(price.cached_input) + usage.stored * of(price.stored_input)
    return total * 1000 * (of(price.batch) if batch else 1)


PRICES = st.builds(Price, DOLLARS, DOLLARS, st.none() | DOLLARS, st.none() | DOLLARS, st.sampled_from([1.0, 0.5, 0.3]))


@given(PRICES, st.builds(Usage, COUNTS, COUNTS, COUNTS, COUNTS), st.booleans())
def test_a_cost_is_the_exact_one_rounded_up(price: Price, usage: Usage, batch: bool) -> None:
    true = exact(price, usage, batch)
    assert true <= price.of(usage, batch) < true + 1


@given(
    PRICES,
    st.lists(st.text(st.characters(codec=None), max_size=60), min_size=1, max_size=4),
    st.integers(1, 4000),
    st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
    st.booleans(),
)
def test_no_call_costs_more_than_its_worst_case_whatever_of_it_is_cached(
    price: Price, texts: list[str], max_tokens: int, shares: tuple[float, float, float, float], batch: bool
) -> None:
    request = ChatRequest(tuple(Message("user", text) for text in texts), 1.0, max_tokens)
    prompt = int(most_prompt_tokens(request) * shares[0])
    cached = int(prompt * shares[1])
    usage = Usage(prompt, int(max_tokens * shares[2]), cached, int((prompt - cached) * shares[3]))
    assert price.of(usage, batch) <= price.at_most(request, batch)


@given(st.text(st.characters(codec=None), max_size=300))
def test_the_tokens_reckoned_with_are_at_least_one_for_every_byte(text: str) -> None:
    request = ChatRequest((Message("user", text),), 1.0, 1)
    assert most_prompt_tokens(request) >= len(text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize(
    ("endpoint", "billed"),
    [
        (Endpoint("openai", "m", api_key_env="K"), True),
        (Endpoint("anthropic", "m", api_key_env="K"), True),
        (Endpoint("openai", "m", "https://api.example.org/v1", "K"), True),
        (Endpoint("openai", "m", "http://127.evil.example:80/v1", "K"), True),
        (Endpoint("openai", "m", "http://localhost.example.org/v1", "K"), True),
        (Endpoint("openai", "m", "http://[::1f]/v1", "K"), True),
        (Endpoint("openai", "m", "https://api.example.org/v1"), False),
        (Endpoint("openai", "m", "http://127.0.0.1:8000/v1", "K"), False),
        (Endpoint("openai", "m", "http://127.1.2.3/v1", "K"), False),
        (Endpoint("openai", "m", "http://LocalHost:8000/v1", "K"), False),
        (Endpoint("anthropic", "m", "http://[::1]:8000", "K"), False),
        (Endpoint("scripted", "rambler", api_key_env="K"), False),
        (Endpoint("llamacpp", "m", api_key_env="K"), False),
        (Endpoint("vllm", "m", "https://gpu.example.org/v1", "K"), False),
    ],
    ids=str,
)
def test_billed_is_what_is_elsewhere_and_takes_a_key(endpoint: Endpoint, billed: bool) -> None:
    assert is_billed(endpoint) is billed


BILLED = {"backend": "openai", "model": "dear", "base_url": "https://127.0.0.1.example.invalid/v1", "api_key_env": "K"}


def folder_of(config: Path) -> RunFolder:
    return RunFolder(config.parent / "out", load_config(config), config.parent)


@pytest.mark.parametrize("role", ["policy", "critic", "judge"])
@pytest.mark.parametrize("budget", [{}, {"tokens": 1000}, {"usd": 1.0}], ids=str)
def test_a_billed_model_without_a_price_is_refused_and_goes_on_without_one_only_where_no_dollars_are_capped(
    write_run: WriteRun, tmp_path: Path, role: str, budget: dict[str, Any]
) -> None:
    folder = folder_of(write_run({role: BILLED, "budget": budget}))
    with pytest.raises(
        InputError, match=r"prices\.toml: has no price for 'dear': write it there .*docs/budget\.md"
    ) as no:
        require_prices(folder, no_budget=False)
    assert ("--no-budget" in str(no.value)) == ("usd" not in budget)
    if "usd" in budget:
        with pytest.raises(InputError, match="has no price for 'dear'"):
            require_prices(folder, no_budget=True)
    else:
        assert require_prices(folder, no_budget=True) == {}
    (tmp_path / "prices.toml").write_text("as_of = 2026-01-01\n[model.dear]\ninput = 1\noutput = 1\n")
    assert require_prices(folder, no_budget=False) == {"dear": Price(1.0, 1.0)}


def test_the_price_file_may_have_another_name(write_run: WriteRun, tmp_path: Path) -> None:
    (tmp_path / "ours.toml").write_text("as_of = 2026-01-01\n[model.dear]\ninput = 1\noutput = 1\n")
    folder = folder_of(write_run({"judge": BILLED, "budget": {"prices": "ours.toml"}}))
    assert require_prices(folder, no_budget=False) == {"dear": Price(1.0, 1.0)}


def test_a_price_holds_under_the_name_by_which_the_journal_knows_the_model(write_run: WriteRun, tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text("as_of = 2026-01-01\n[model.rambler]\ninput = 1\noutput = 1\n")
    assert prices_of(folder_of(write_run()))["scripted:rambler"] == Price(1.0, 1.0)


def test_without_a_price_nothing_is_sent_and_no_folder_is_made(cli: Cli, write_run: WriteRun, tmp_path: Path) -> None:
    config = write_run({"judge": BILLED})
    for verb in (("run", config), ("run", config, "--out", "x")):
        said = cli(*verb, K="key-of-somebody")
        assert (said.returncode, said.stdout) == (2, "")
        assert "has no price for 'dear'" in said.stderr
        assert said.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["principles.toml", "prompts.jsonl", "run.toml"]
