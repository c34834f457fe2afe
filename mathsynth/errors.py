"""The errors that a user can meet, and the exit code of each.

    MathsynthError              1   one line; the file, the key and what was allowed
    ├── UsageError              2   a wrong command line, recipe or prompt file
    ├── BadRow                  1   one row of a file; becomes Dropped unless the input is `strict`
    ├── RunError                1   the run directory: edited shard, lock held, full disk, too many failures
    ├── Stopped                 3   stopped early and in order (SIGTERM, budget, give-up); the same command goes on
    └── BackendError            1   a model call failed; `retryable` says whether to ask again

Anything else that escapes is a bug and shows its traceback.
"""

from __future__ import annotations

SAME = "the same command goes on"


class MathsynthError(Exception):
    """The root: `str(error)` is the one line that the user reads."""

    exit_code = 1


class UsageError(MathsynthError):
    """The command line, the recipe, a prompt file or a missing extra is at fault."""

    exit_code = 2


class BadRow(MathsynthError):
    """One row of a file is unusable: `where` is `file:line`, `field` the path inside the row."""

    def __init__(self, where: str, field: str, reason: str, text: str = "") -> None:
        super().__init__(f"{where}: {field}: {reason}" if field else f"{where}: {reason}")
        self.where, self.field, self.reason, self.text = where, field, reason, text


class RunError(MathsynthError):
    """The run directory can't be used or written as asked."""


class Stopped(MathsynthError):
    """The run stopped early and in order; what is finished is on disk, `then` says what goes on from there."""

    exit_code = 3

    def __init__(self, reason: str, then: str = SAME) -> None:
        super().__init__(reason)
        self.then = then


class BackendError(MathsynthError):
    """A model call failed.

    `retryable`: asking again may help (rate limit, server error, dropped connection).
    `fatal`: no request of this run can succeed (bad key, unknown model, nobody listening after all retries).
    `unreachable`: no server answered at all (refused, dropped, gateway down), so it is no fault of this request.
    `loading`: one answered that it can't yet (503), so it is there.
    `limited`: the server was asked too much at once or too often (429).
    `retry_after`: seconds the server asked us to wait, if it did.
    `tokens`: prompt and completion tokens that were used up all the same.
    """

    def __init__(
        self,
        reason: str,
        *,
        retryable: bool = False,
        fatal: bool = False,
        unreachable: bool = False,
        loading: bool = False,
        limited: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(reason)
        self.retryable, self.fatal, self.unreachable, self.limited = retryable, fatal, unreachable, limited
        self.loading, self.retry_after = loading, retry_after
        self.tokens = (0, 0)
