"""`el jars`: the Java parts that jobs on Flink and Spark, and the servers of `el stack`, run on."""

import argparse
import sys
from typing import Any

from el_beam.commands.common import local_folder
from runners import jars


def register(add_parser: Any) -> None:
    parser = add_parser(
        description="The Java parts that Flink, Spark and the servers of `el stack` run on."
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    help_ = "build them with Maven, unless they are built; prints their folder"
    builder = actions.add_parser("build", help=help_, description=help_)
    builder.add_argument("--to", metavar="DIR", type=local_folder,
                         help="copy them there too, for EL_JARS on another machine")  # fmt: skip
    builder.set_defaults(command=_build)


def _build(args: argparse.Namespace) -> int:
    if not jars.built().exists():
        print("el jars: building, which takes minutes the first time", file=sys.stderr)
    folder = jars.build()
    if args.to:
        jars.copy(args.to)
    print(args.to or folder)
    return 0
