"""What was measured with a model in memory, each in a file named by all that it hangs on: never measured twice."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from constitution.identity import short_id
from solon.folder import make_folder, write_whole


@dataclass(frozen=True, slots=True)
class Kept:
    folder: Path

    def get(self, of: Mapping[str, Any], make: Callable[[], Any]) -> Any:
        """The value that ``of`` decides; made and kept where it is not there, or cannot be read.

        Both are JSON: a value comes back as JSON has it, tuples as lists.
        """
        file = self.folder / f"{short_id(of)}.json"
        try:
            return json.loads(file.read_text(encoding="utf-8"))["value"]
        except (OSError, ValueError, KeyError, TypeError):
            pass
        value = json.loads(json.dumps(make()))
        make_folder(self.folder)
        write_whole(file, json.dumps({"of": of, "value": value}, indent=1) + "\n")
        return value
