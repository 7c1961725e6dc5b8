"""What an SDK's own methods ask, with whatever goes wrong as a value."""

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import aiohttp
import httpx2

from constitution.errors import InputError
from generator.chat import CallFailure
from generator.models.problems import problem_of
from generator.models.replies import UNREADABLE
from generator.models.wire import Answer, Wire

if TYPE_CHECKING:  # both take long to import, and one of them is enough
    import anthropic
    import openai

    Refusal: TypeAlias = openai.APIStatusError | anthropic.APIStatusError

AT_ONCE = 60.0  # seconds for a question with a short answer
AT_LENGTH = 3600.0  # seconds for a file
GONE = CallFailure("", "expired", "the batch's results are no longer there", charged=True)
BROKEN = (httpx2.HTTPError, httpx2.StreamError, aiohttp.ClientError)
T = TypeVar("T")


class Asking:
    """Awaits what an SDK does.

    Args:
        wire: the way of the same model's calls, which knows the secret to strike out.
        refused: the SDK's error for an answer with an error's status.
        failed: the SDK's error for everything.
    """

    def __init__(self, wire: Wire, refused: "type[Refusal]", failed: type[Exception]) -> None:
        self.wire = wire
        self.refused = refused
        self.failed = failed

    async def __call__(
        self, doing: Awaitable[T], within: float = AT_ONCE, absent: InputError | CallFailure | None = None
    ) -> T | CallFailure:
        """What is awaited, or why it did not come within ``within`` seconds.

        The SDKs check no answer's shape. So what is awaited reads all that it needs of the answer, and
        where that fails the answer is not what the API promises.

        Args:
            absent: what it means where the endpoint has nothing at that address.
        """
        try:
            async with asyncio.timeout(within):
                return await doing
        except self.refused as error:
            return self.refusal(error, absent)
        except self.failed as error:
            cause = error.__cause__
            if isinstance(cause, (*BROKEN, TimeoutError)):
                return lost(cause)
            return CallFailure("", "unreadable", f"{type(error).__name__}: {error}"[:300], charged=True)
        except BROKEN as error:
            return lost(error)
        except UNREADABLE as error:
            return CallFailure("", "unreadable", f"{type(error).__name__}: {error}"[:300], charged=True)
        except TimeoutError:
            return CallFailure("", "timeout", f"no answer within {within:g} s", charged=True)

    def refusal(self, error: "Refusal", absent: InputError | CallFailure | None) -> CallFailure:
        response = error.response
        answer = Answer(response.status_code, response.headers, self.wire.without_secret(response.content))
        problem = problem_of(answer)
        if absent is not None and answer.status in (404, 405) and "model_not_found" not in problem.codes:
            if isinstance(absent, InputError):
                raise absent
            return absent
        return problem.failure("", answer)


def lost(error: BaseException) -> CallFailure:
    """What became of a question that brought no whole answer.

    The aiohttp transport calls every broken connection a timeout; what lies beneath tells them apart.
    """
    beneath = error.__cause__ or error
    said = " ".join(str(beneath).split())[:300] or type(beneath).__name__
    match beneath:
        case httpx2.ConnectError() | aiohttp.ClientConnectorError():
            return CallFailure("", "connection", f"nobody answers ({said})")
        case httpx2.TimeoutException() | TimeoutError():
            return CallFailure("", "timeout", f"the endpoint was silent for too long ({said})", charged=True)
        case _:
            return CallFailure("", "connection", f"broke off ({said})", charged=True)


def text(value: object) -> str:
    """The value, which the SDK says is text."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.80} is no text")
    return value


def not_here(endpoint: object, batch: str) -> InputError:
    remedy = "run with the base_url and the key that it was sent with, or set batch = false to pay for its calls again"
    return InputError(f"batch {batch}", f"{endpoint} does not know it", remedy)
