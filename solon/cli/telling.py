"""What a verb has to say when it is done, for a person or for a program."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from solon.text import printable


@dataclass(frozen=True, slots=True)
class Told:
    data: Mapping[str, Any]
    text: str
    exit_code: int = 0

    def tell(self, as_json: bool) -> None:
        """Prints to stdout: one JSON object, or the text."""
        print(json.dumps(self.data, indent=2, ensure_ascii=True) if as_json else printable(self.text))
