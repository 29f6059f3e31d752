"""`el`: one command for all that people do. Each command is a file of commands/.

Exit codes: 0 done, 1 the job failed, 2 the call was wrong. A command's file is imported only if the
call names it: `--help` answers at once.
"""

import argparse
import gc
import os
import sys
import tempfile
import textwrap
import traceback
from collections.abc import Container, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from runners.encoding import in_utf8, open_streams
from schemas.errors import ElBeamError, WrongCall

FAILED, WRONG_CALL = ElBeamError.exit_code, WrongCall.exit_code
COMMANDS = {
    "run": "read, validate and store events",
    "backfill": "make hours again from the raw archive",
    "bad": "list and replay lines that are not valid events",
    "check": "see whether a continuous job works as it should",
    "compact": "merge the many small files of an hour into few",
    "find": "see where an event is, and where it came from",
    "forward": "put lines into a Kafka topic, as they are",
    "jars": "build the Java parts of jobs and servers",
    "jobs": "list and stop continuous jobs",
    "ledger": "see what a folder holds, hour by hour, and what is missing",
    "mysql": "create, repair and purge tables of MySQL",
    "purge": "remove what is too old to be kept",
    "reconcile": "compare what two stores hold, by schema and hour",
    "schema": "list the schemas, show one",
    "stack": "start and stop real servers on this machine",
    "state": "show or change how far increments are",
}
"""Each command, a module of commands/, and what its line of the help says."""

_WIDTH = 78  # columns of help
_GOES_ON = "; the same command goes on where it was"


class _Parser(argparse.ArgumentParser):
    def __init__(self, **options: Any) -> None:
        options["description"] = textwrap.fill(options.get("description") or "", _WIDTH)
        options["formatter_class"] = argparse.RawDescriptionHelpFormatter  # for the examples
        super().__init__(**{"allow_abbrev": False, **options})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does; `prog` of what is found is that of the innermost command."""
        found, rest = super().parse_known_args(args, namespace)
        found.prog = getattr(found, "prog", self.prog)
        return found, rest

    def error(self, message: str) -> NoReturn:
        """One line on what is wrong, one on where to look."""
        from el_beam.terminal.console import printable

        print(f"{self.prog}: {printable(message)}\nSee '{self.prog} --help'.", file=sys.stderr)
        sys.exit(WRONG_CALL)


def parser(named: Container[str] = COMMANDS) -> argparse.ArgumentParser:
    """The command line. The commands that are named have their options, the others only a line of
    help.

    The defaults of a command's parser say what `main` does with it:

    - `command`: the function(args) that does the work, prints its result and returns the exit code;
      it raises ElBeamError;
    - `goes_on`: the function(args) that says whether the same call goes on where a failed one was;
    - `fault`: the exit code of a failure, WRONG_CALL for a command whose 1 is an answer;
    - `needs_scratch`: whether it can't do without the folder `scratch`."""
    top = _Parser(
        prog="el",
        description="EventLogging as one Apache Beam graph: read, validate, store, find again.",
        epilog="Exit codes: 0 done, 1 the job failed, 2 the call was wrong.",
    )
    top.set_defaults(goes_on=lambda _: False, fault=FAILED, needs_scratch=False)
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        add_parser = partial(commands.add_parser, name, help=summary)
        if name in named:
            import_module(f"el_beam.commands.{name}").register(add_parser)
        else:
            add_parser()
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `el` and return its exit code. Only here errors are printed, and become exit codes.

    A command finds in its arguments also `beam`, what follows `--`, and `scratch`, a folder that
    is removed when it ends."""
    try:
        args = _parsed(list(sys.argv[1:] if arguments is None else arguments))
    except (Exception, KeyboardInterrupt) as error:  # a command's file can't be imported
        unknown = argparse.Namespace(prog="el", fault=WRONG_CALL, goes_on=lambda _: False)
        return _ended(unknown, error, Path(os.devnull))
    from el_beam.running.process import for_command, in_use

    noise = Path(os.devnull)  # what libraries and workers write to stderr
    with ExitStack() as stack:
        try:
            args.scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="el-"))
            stack.enter_context(in_use(args.scratch))
            noise = Path(args.scratch, "noise.log")
        except OSError as error:  # a full disk is what `el purge` is called for
            if args.needs_scratch:
                return _ended(args, error, noise)
        stack.enter_context(for_command(str(noise)))
        if not isinstance(getattr(args, "mode", ""), str | None):  # parsed already
            from transforms.io.files.filesystem import making

            stack.enter_context(making(args.mode))
        try:
            code: int = args.command(args)
            sys.stdout.flush()  # so that a reader who has gone is noticed here
            return code
        except (Exception, KeyboardInterrupt) as error:
            return _ended(args, error, noise)


def _parsed(given: list[str]) -> argparse.Namespace:
    beam: list[str] = []
    if "--" in given:
        place = given.index("--")
        given, beam = given[:place], given[place + 1 :]
    top = parser(given)
    args, rest = top.parse_known_args(given)
    if rest and hasattr(args, "uris") and not any(each.startswith("-") for each in rest):
        args.uris += rest  # sinks that stand behind an option
    elif rest:
        top.error(f"unrecognized arguments: {' '.join(rest)}")
    args.beam = beam
    return args


def _ended(args: argparse.Namespace, error: BaseException, noise: Path) -> int:
    """Print why the command ended before its time; returns the exit code."""
    from el_beam.running.process import OUTPUT
    from el_beam.terminal.console import printable

    code: int = args.fault
    details = ""
    sentences: Sequence[str]
    match error:
        case ElBeamError():
            sentences, details = error.sentences, error.details
            code = max(code, error.exit_code)
        case KeyboardInterrupt():
            sentences = ["interrupted"]
        case BrokenPipeError():  # as in `el … | head`
            sentences = ["nobody reads its output any more, so it stopped"]
        case FileNotFoundError() if not error.filename and not _has_folder():
            sentences = ["the working folder is gone: go to another one, or give whole paths"]
        case OSError():
            sentences = [f"{error.filename}: {error.strerror}" if error.filename else str(error)]
        case _:
            sentences = [f"unexpected: {type(error).__name__}: {error}"]
            details = traceback.format_exc()
    is_pipe = isinstance(error, BrokenPipeError)
    advice = _GOES_ON if code == FAILED and args.goes_on(args) else ""
    if isinstance(error, OSError) and (is_pipe or error.filename == OUTPUT):
        with suppress(OSError):  # Python flushes standard output once more at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sentences = sentences if advice or not is_pipe else []
    with suppress(OSError):  # standard error may go the same way
        for sentence in sentences:
            print(f"{args.prog}: {printable(sentence)}{advice}", file=sys.stderr)
        if details:
            try:
                kept = f"are in {_kept(details + noise.read_text(errors='replace'))}"
            except OSError as full:
                kept = f"can't be written: {full}"
            print(f"{args.prog}: details {kept}", file=sys.stderr)
    return code


def _has_folder() -> bool:
    try:
        return bool(Path.cwd())
    except OSError:
        return False


def _kept(details: str) -> str:
    with tempfile.NamedTemporaryFile("w", prefix="el-failure-", suffix=".log", delete=False) as log:
        log.write(details)
    return str(log.name)


def entry() -> int:
    """Run `el` as a process of its own."""
    in_utf8()
    open_streams()
    try:
        return main()
    finally:
        gc.freeze()  # Python would look for garbage in all of Beam as it ends: 0.7 s


if __name__ == "__main__":
    sys.exit(entry())
