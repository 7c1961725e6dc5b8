"""SmolLM2's weights, which come as a GGUF file, as the folder of safetensors that vLLM takes.

python benchmarks/vllm/convert.py FOLDER
"""

import sys
from pathlib import Path

from generator.models.llamacpp import find_smollm2
from trainer.models.policies import load_policy, save_policy

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    if not folder.exists():
        save_policy(load_policy(find_smollm2().path), folder)
