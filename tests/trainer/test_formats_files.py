"""What each format's files hold, as far as its own reader is not needed to tell; tests/formats has those readers."""

import json
from dataclasses import replace
from typing import Any

import pytest

from generator.chat import Message
from trainer.formats import axolotl, icai, llamafactory, openrlhf, rewardbench
from trainer.formats.choosing import FORMATS, fault_of, files_of, kinds_of
from trainer.formats.examples import Side, sifted
from trainer.formats.tables import Files, Table, alternates
from trainer.pairs.rows import COLUMNS, TrainingRow

SYSTEM, USER, ANSWER = Message("system", "Be kind."), Message("user", "Hi."), Message("assistant", "Hello.")
VERDICTS = json.dumps(
    [
        {"principle": "brief", "judge": "", "p_chosen": 1.0},
        {"principle": "plain", "judge": "m", "p_chosen": 0.25},
        {"principle": "kind", "judge": "m", "p_chosen": 0.5},
        {"principle": "kind", "judge": "n", "p_chosen": None},
    ]
)


def row(number: int = 0, prompt: tuple[Message, ...] = (USER,)) -> TrainingRow:
    return TrainingRow(
        prompt=prompt, chosen=(Message("assistant", "Yes."),), rejected=(Message("assistant", "Well, no."),),
        pair_id=f"p{number}", prompt_id=f"q{number}", chosen_id="c", rejected_id="r", revised=True, p_chosen=0.75,
        margin=0.5, orders_agree=None, label_source="ai", decided_by=("brief",), verdicts=VERDICTS, epsilon=None,
        ai_p_chosen=0.75, people=0, people_agree=0, human_strength=None, flags=(), same_family=False,
    )  # fmt: skip


def files(format: Any, *prompts: tuple[Message, ...]) -> Files:
    rows = [row(number, prompt) for number, prompt in enumerate(prompts)]
    side = sifted(rows, kinds_of(format), "revisions", fault_of(format, None)).side
    return files_of(format, side, Side(), "demo", {"brief": "At most 60 words."})


def records(files: Files, name: str) -> list[Any]:
    found = files[name]
    assert isinstance(found, Table)
    return list(found.records)


@pytest.mark.parametrize(
    ("roles", "whether"),
    [("u", True), ("su", True), ("uau", True), ("suau", True), ("uu", False), ("au", False), ("usu", False),
     ("ssu", False), ("sau", False), ("suu", False), ("ua", False), ("s", False), ("", False)],
)  # fmt: skip
def test_turns_alternate_after_a_first_system_message_and_end_with_the_users(roles: str, whether: bool) -> None:
    messages = {"s": SYSTEM, "u": USER, "a": ANSWER}
    assert alternates([messages[role] for role in roles]) is whether


@pytest.mark.parametrize("format", ["llamafactory", "rewardbench"])
def test_a_prompt_in_which_turns_do_not_alternate_is_left_out_where_the_reader_would_garble_it(format: Any) -> None:
    rows = [row(0, (USER, USER)), row(1, (SYSTEM, USER))]
    found = sifted(rows, ("pairs",), "chosen", fault_of(format, None))
    assert [one.pair_id for one in found.side.pairs] == ["p1"]
    assert found.dropped["pairs"] == {"turns do not alternate": 1}
    assert len(sifted(rows, ("pairs",), "chosen", fault_of("trl", None)).side.pairs) == 2


@pytest.mark.parametrize("format", FORMATS)
def test_every_record_has_its_tables_columns_and_none_of_them_is_null_where_readers_guess_types(format: Any) -> None:
    for name, found in files(format, (USER,), (SYSTEM, USER, ANSWER, USER)).items():
        if isinstance(found, Table):
            assert len(found.records) in ((0,) if "test" in name else (2, 4))
            assert {tuple(record) for record in found.records} <= {found.columns}
            if name.endswith(".jsonl"):
                assert not any(value is None for record in found.records for value in record.values())


def test_trl_has_every_column_of_a_row_and_reward_the_rankings_beside_them() -> None:
    trl, reward = files("trl", (USER,)), files("reward", (USER,))
    assert records(trl, "train.parquet") == records(reward, "train.parquet")
    assert tuple(records(trl, "train.parquet")[0]) == COLUMNS
    [ranked] = records(reward, "rankings.parquet")
    assert ranked["completions"] == [[{"role": "assistant", "content": text}] for text in ("Yes.", "Well, no.")]
    assert (ranked["split"], ranked["chances"], ranked["completion_ids"]) == ("train", [0.75], ["c", "r"])


def test_openrlhf_takes_each_prompt_once_with_its_id() -> None:
    side = Side((row(1), replace(row(1), pair_id="other"), row(2)))
    told = openrlhf.files(side, Side())
    assert [one["prompt_id"] for one in records(told, "prompts-train.jsonl")] == ["q1", "q2"]
    assert len(records(told, "pairs-train.jsonl")) == 3


def test_llamafactory_is_told_of_the_files_that_have_a_row() -> None:
    info = json.loads(str(files("llamafactory", (USER,))["dataset_info.json"]))
    assert list(info) == ["solon_pairs", "solon_kto", "solon_sft"]
    assert {one["file_name"] for one in info.values()} == {f"{name}.jsonl" for name in info}
    assert [name for name, one in info.items() if one.get("ranking")] == ["solon_pairs"]
    assert "solon_pairs_test" in json.loads(str(llamafactory.files(Side(), Side((row(),)))["dataset_info.json"]))


def test_axolotls_configurations_name_the_files_that_have_a_row() -> None:
    told = files("axolotl", (SYSTEM, USER))
    assert "path: pairs-train.jsonl" in str(told["dpo.yaml"])
    assert "test" not in str(told["dpo.yaml"])
    assert "path: sft-train.jsonl" in str(told["sft.yaml"])
    both = axolotl.files(Side((row(),)), Side((row(),)))
    assert "path: pairs-test.jsonl" in str(both["dpo.yaml"])
    assert both["sft.yaml"] == ""
    [shown] = records(told, "sft-train.jsonl")
    assert [turn["training"] for turn in shown["messages"]] == [False, False, True]


def test_rewardbench_puts_the_system_message_before_what_the_user_says_first() -> None:
    [found] = records(files("rewardbench", (SYSTEM, USER)), "train.jsonl")
    assert [turn["role"] for turn in found["chosen"]] == ["user", "assistant"]
    assert found["chosen"][0]["content"] == "Be kind.\n\nHi."
    assert found["rejected"][1]["content"] == "Well, no."
    assert found["id"] == "p0"
    assert rewardbench.without_system((USER,)) == (USER,)


def test_icai_draws_the_chosen_ones_place_and_tells_what_each_principle_says() -> None:
    told = json.loads(icai.annotated(Side(tuple(map(row, range(200)))), "demo", {"brief": "At most 60 words."}))
    assert next(iter(told)) == "metadata"  # Feedback Forensics wants it first
    people = {one["name"]: (name, one["description"]) for name, one in told["annotators"].items()}
    assert people["brief"][1] == "At most 60 words."
    assert people["plain (m)"][1] == "plain (m)"
    firsts = 0
    for one in told["comparisons"]:
        preferred = one["annotations"][told["metadata"]["default_annotator"]]["pref"]
        other = "b" if preferred == "a" else "a"
        firsts += preferred == "a"
        assert one[f"response_{preferred}"] == {"text": "Yes."}
        assert one[f"response_{other}"] == {"text": "Well, no."}
        said = {name: one["annotations"][annotator] for name, (annotator, _) in people.items()}
        assert said["brief"] == {"pref": preferred}
        assert said["plain (m)"] == {"pref": other}
        assert said["kind (m)"] == {"pref": None, "no_pref_reason": "neither"}
        assert said["kind (n)"] == {"pref": None, "no_pref_reason": "invalid"}
    assert 70 < firsts < 130
