"""`el jars`: the Java parts that jobs on Flink and Spark, and the servers of `el stack`, run on."""

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any


def register(commands: Any) -> None:
    """Add `el jars` to the command line."""
    parser = commands.add_parser(
        "jars",
        help="build the Java parts of jobs and servers",
        description="The Java parts that Flink, Spark and the servers of `el stack` run on.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    help_ = "build them with Maven, unless they are built; prints their folder"
    build = actions.add_parser("build", help=help_, description=help_)
    build.add_argument("--to", metavar="DIR", type=Path,
                       help="copy them there too, for EL_JARS on another machine")  # fmt: skip
    build.set_defaults(command=_build)


def _build(args: argparse.Namespace) -> int:
    from runners import jars

    if not jars.built().exists():
        print("el jars: building, which takes minutes the first time", file=sys.stderr)
    folder = jars.build()
    if args.to:
        shutil.copytree(folder, args.to, dirs_exist_ok=True)
    print(args.to or folder)
    return 0
