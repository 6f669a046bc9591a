"""The command `onefold`."""

from __future__ import annotations

import sys

_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status.

    0 for success, 1 for a run that failed, 2 for wrong use, 130 for Ctrl-C. An error is one line on
    stderr, never a traceback.
    """
    from onefold._errors import (
        DivergedError,
        ModelFileError,
        OnefoldError,
    )

    try:
        from onefold.cli.app import app

        status = app(args=arguments, prog_name="onefold", standalone_mode=False)
        if status == _INTERRUPTED:  # the command-line library takes Ctrl-C for itself, silently
            return _fail("interrupted", _INTERRUPTED)
        return status if isinstance(status, int) else 0
    except KeyboardInterrupt:
        return _fail("interrupted", _INTERRUPTED)
    except (DivergedError, ModelFileError) as error:
        return _fail(str(error), 1)
    except OnefoldError as error:
        return _fail(str(error), 2)
    except OSError as error:
        return _fail(str(error), 1)
    except Exception as error:
        # Wrong use as the command-line library reports it.
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):
            message = error.format_message()
            return _fail(message, 2) if message else 2  # without a command there is the help alone
        raise


def _fail(message: str, status: int) -> int:
    print(f"onefold: error: {' '.join(message.split())}", file=sys.stderr)
    return status
