"""The command line: verbs in the order of the data, and the one place where errors become exit codes."""

import sys

from constitution.errors import SolonError

INTERRUPTED = 130


def main() -> None:
    """Runs the verb and ends the process: 0 done, 1 failed, 2 bad input, 3 limit reached, 4 disk, 130 interrupted."""
    try:
        from solon.cli.verbs import app

        app()
    except SolonError as error:
        from solon.text import printable

        print(f"error: {printable(' '.join(str(error).splitlines()))}", file=sys.stderr)  # an endpoint may have its say
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
