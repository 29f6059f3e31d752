"""`el jobs`: the continuous jobs of a Flink cluster."""

import argparse
import json
import sys
import time
from typing import Any

from el_beam.commands.common import add_flink
from el_beam.terminal.console import printable
from runners.flink_rest import FlinkCluster, cluster_of
from schemas.errors import WrongCall

_EXAMPLE = """examples:
  el jobs list
  el jobs stop "el processor"           with a savepoint, whose path it prints
  el jobs stop ID --cancel              without one: offsets are committed
"""


def register(add_parser: Any) -> None:
    parser = add_parser(description="Lists and stops the jobs of a Flink cluster.", epilog=_EXAMPLE)
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="the jobs, newest first")
    listing.add_argument("--all", action="store_true", help="also those that have ended")
    listing.set_defaults(command=_command, call=_list)
    stop = actions.add_parser("stop", help="stop a job with a savepoint")
    add = stop.add_argument
    add("job", metavar="ID|NAME")
    add("--savepoint", metavar="DIR", help="where it goes (default: the cluster's own folder)")
    add("--cancel", action="store_true", help="end it at once, without a savepoint")
    stop.set_defaults(command=_command, call=_stop)
    for each in (listing, stop):
        each.add_argument("--json", action="store_true", help="print it as JSON")
        add_flink(each)


def _command(args: argparse.Namespace) -> int:
    args.call(cluster_of(args.flink), args)
    return 0


def _list(cluster: FlinkCluster, args: argparse.Namespace) -> None:
    jobs = [job for job in cluster.jobs() if args.all or not job.ended]
    if args.json:
        print(json.dumps([{**job._asdict(), "ui": cluster.ui(job.id)} for job in jobs]))
        return
    if not jobs:
        print(printable(f"no job runs at {cluster.address}"), file=sys.stderr)
    for job in jobs:
        started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(job.started))
        tasks = f"{job.running}/{job.tasks} tasks"
        print(printable(f"{job.id}  {job.state:<10}  {tasks}  {started}  {job.name}"))


def _stop(cluster: FlinkCluster, args: argparse.Namespace) -> None:
    if args.cancel and args.savepoint:
        raise WrongCall("--cancel makes no savepoint: give --cancel or --savepoint")
    job = cluster.job(args.job)
    savepoint = None
    if args.cancel:
        cluster.cancel(job.id)
    else:
        savepoint = cluster.stop(job.id, args.savepoint)
    if args.json:
        print(json.dumps({"job": job.id, "name": job.name, "savepoint": savepoint}))
    else:
        made = f"; savepoint {savepoint}" if savepoint else ""
        print(printable(f"stopped {job.id} ({job.name}){made}"))
