"""No test may depend on how fast the machine is: hypothesis, too, has no deadline. And what is quick to train."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small matrices: more threads only wait for each other
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from trainer.models.policies import Policy

settings.register_profile("solon", deadline=None)
settings.load_profile("solon")


@pytest.fixture
def byte_tokenizer() -> Callable[[str], Any]:
    """Makes a tokenizer under a chat template, to which every byte is a token, and each mark such as <|im_end|>."""

    def make(template: str) -> Any:
        import transformers
        from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

        library: Any = transformers
        names = ["<|im_start|>", "<|im_end|>", "<|pad|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
        backend = Tokenizer(models.BPE(vocab={name: place for place, name in enumerate(names)}, merges=[]))
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        backend.add_special_tokens([AddedToken("<|im_start|>", special=True, normalized=False)])
        made = library.PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|im_end|>", pad_token="<|pad|>")
        made.chat_template = template
        return made

    return make


WORDS = """a and answer ask banana be bee bird blue boat book bread brief bring calm cat clear cloud cold cup dance day
dog door drink east fair far farm fish fly food fox garden give glass go good grass green grow hand happy hat hear
help hill home honey house ice is it jump keep kind lake leaf learn light like long look love milk moon more morning
new night no north now ocean old on open orange paper path pear pen plain plant play quick quiet rain read red rest
river road room run sad say sea see ship sing sky sleep slow small snow song south stand star stone sun sweet table
talk tea tell the thing think to tree try walk warm water west wind word work write yellow yes you""".split()
TEMPLATE = (
    "{% for message in messages %}<{{ message.role }}> {{ message.content }} <end> {% endfor %}"
    "{% if add_generation_prompt %}<assistant> {% endif %}"
)


@pytest.fixture
def small_policy() -> "Callable[..., Policy]":
    """Makes random policies of two small layers that know ``WORDS`` alone, and learn within a second or two.

    Given a folder, the policy is saved there, and its source is the folder.
    """

    def make(seed: int = 0, folder: Path | None = None) -> "Policy":
        import torch
        from tokenizers import Tokenizer, models, pre_tokenizers
        from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

        from trainer.models.policies import Policy, save_policy

        roles = ["<system>", "<user>", "<assistant>"]
        names = ["<unk>", "<end>", *roles, *WORDS]
        words = Tokenizer(models.WordLevel({name: place for place, name in enumerate(names)}, unk_token="<unk>"))
        words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=words, unk_token="<unk>", eos_token="<end>", pad_token="<end>",
            additional_special_tokens=roles, chat_template=TEMPLATE,
        )  # fmt: skip
        torch.manual_seed(seed)
        shape = LlamaConfig(
            vocab_size=len(names), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=1, bos_token_id=1, eos_token_id=1, pad_token_id=1, initializer_range=0.25,
            max_position_embeddings=512,
        )  # fmt: skip
        policy = Policy(LlamaForCausalLM(shape), tokenizer, folder or Path("small"))
        if folder:
            save_policy(policy, folder)
        return policy

    return make
