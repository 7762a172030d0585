"""The commands. Each is a few lines: what it does lives in the module that it calls."""

import asyncio
import json
import os
import sys
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from hpctl import logs as log_files
from hpctl import stack, state
from hpctl.layout import SERVICES, Failure, Layout, UsageError
from hpctl.log_lines import wanted
from hpctl.report import DEMO_EMAIL, DEMO_PASSWORD, console, errors, rows, show_addresses, show_progress, show_status

EVERYTHING = 1_000_000

app = typer.Typer(
    help="The healthcare platform on this machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
dead_letters = typer.Typer(help="Messages that a consumer could not handle.", no_args_is_help=True)
projections = typer.Typer(help="Read models.", no_args_is_help=True)
app.add_typer(dead_letters, name="dlq")
app.add_typer(projections, name="projection")

Json = Annotated[bool, typer.Option("--json", help="For programs.")]
Topic = Annotated[str, typer.Argument(help="a dead-letter topic, as `hpctl dlq list` prints it")]
STORED = [service.name for service in SERVICES if service.database_port]
Services = Annotated[
    list[str] | None,
    typer.Option(
        "--service",
        help=f"only this service, of {', '.join(STORED)}; may be given again",
        autocompletion=lambda: STORED,
    ),
]
Count = Annotated[int, typer.Option(min=1, help="how many, the oldest first")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def _version(asked: bool) -> None:
    if asked:
        print(f"hpctl {metadata.version('hpctl')}")  # noqa: T201
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """The healthcare platform on this machine."""


@app.command()
def up(foreground: Annotated[bool, typer.Option(help="Stay, print the logs, and stop on Ctrl-C.")] = False) -> None:
    """Start everything; return when it answers."""
    layout = Layout.from_environ()
    with stack.one_at_a_time(layout):
        found = state.running(layout)
        if found is not None:
            ready = found if found.ready else stack.wait_until_ready(layout)
            console.print(f"already running, {len(ready.processes)} processes:")
            show_status(layout, rows(layout, ready))
        else:
            stack.start(layout, show_progress)
            console.print()
    show_addresses(layout)
    if foreground:
        log_files.follow_until_stopped(layout)


@app.command()
def down() -> None:
    """Stop everything; data stays."""
    console.print("stopped" if stack.stop(Layout.from_environ()) else "nothing was running")


@app.command()
def reset(yes: Yes = False) -> None:
    """Stop everything and delete its data."""
    layout = Layout.from_environ()
    _ask(f"Delete all data in {layout.directory}?", yes)
    console.print("stopped, and its data is deleted" if stack.reset(layout) else "there was nothing to delete")


@app.command()
def status(as_json: Json = False) -> None:
    """Say what runs; exit code 1 when something that should run does not."""
    layout = Layout.from_environ()
    found, others, full = state.running(layout), state.offsets(except_for=layout.offset), state.full_disk(layout)
    listed = rows(layout, found) if found else []
    well = found is not None and found.ready and not full and all(row.health == "UP" for row in listed)
    if as_json:
        body = {"offset": layout.offset, "running": found is not None, "ready": well, "gateway": layout.gateway}
        more = {"diskFull": bool(full), "otherOffsets": others, "processes": [asdict(row) for row in listed]}
        _print_json(body | more)
        raise typer.Exit(0 if well else 1)
    if found is None:
        console.print("not running; `hpctl up` starts it")
    else:
        show_status(layout, listed)
    if full:
        console.print(full, style="red", markup=False)
    for offset in others:
        console.print(f"another stack runs: PORT_OFFSET={offset} hpctl status")
    raise typer.Exit(0 if well else 1)


@app.command()
def logs(
    service: Annotated[str | None, typer.Argument(help="one process; all of them when left out")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="how many of the last lines")] = 50,
    level: Annotated[str | None, typer.Option(help="at least this one: debug, info, warning, error")] = None,
    since: Annotated[str | None, typer.Option(help="90s, 10m, 2h, 1d ago, or a date and time")] = None,
    request_id: Annotated[str | None, typer.Option(help="lines of one request, over all services")] = None,
) -> None:
    """Print what the processes wrote: readable on a terminal, as JSON lines otherwise."""
    chosen = wanted(level, since, request_id, readable=sys.stdout.isatty())
    log_files.show(Layout.from_environ(), service, lines, chosen, follow=follow)


@app.command()
def demo() -> None:
    """Walk through the platform; the exit code is not 0 when a step fails."""
    from hpctl.walkthrough import walk

    walk(Layout.from_environ())


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check what the platform needs of this machine; exit code 1 when something is missing."""
    from hpctl.checkup import examine

    if as_json:
        found = list(examine(Layout.from_environ()))
        _print_json([asdict(finding) for finding in found])
        raise typer.Exit(0 if all(finding.well for finding in found) else 1)
    well = True
    for finding in examine(Layout.from_environ()):
        well = well and finding.well
        console.print(f"[{'green' if finding.well else 'red'}]{'✓' if finding.well else '✗'}[/] {finding.sentence}")
    raise typer.Exit(0 if well else 1)


@app.command()
def routes(as_json: Json = False) -> None:
    """Print the gateway's routes."""
    from hpctl.routing import described, show_routes

    if as_json:
        _print_json(described())
    else:
        show_routes()


@app.command()
def token(
    email: Annotated[str, typer.Option(help="whose")] = DEMO_EMAIL,
    password: Annotated[str, typer.Option(envvar="HPCTL_PASSWORD", help="or HPCTL_PASSWORD")] = DEMO_PASSWORD,
) -> None:
    """Log in through the gateway and print the token."""
    from hpctl.walkthrough import login

    print(login(Layout.from_environ(), email, password))  # noqa: T201


@app.command()
def backup(
    directory: Annotated[Path | None, typer.Argument(help="a new directory; one named by the time otherwise")] = None,
    service: Services = None,
    as_json: Json = False,
) -> None:
    """Dump the services' databases; the stack may run. The files hold personal data."""
    from hpctl.backup import back_up, verified

    made = back_up(Layout.from_environ(), directory, service or ())
    if as_json:
        _print_json({"directory": str(made), "archives": [asdict(archive) for archive in verified(made)]})
    else:
        print(made)  # noqa: T201


@app.command()
def restore(
    directory: Annotated[Path, typer.Argument(help="a directory that `hpctl backup` made")], service: Services = None
) -> None:
    """Put databases back to what a backup holds; the stack must not run. What is there now is lost."""
    from hpctl import backup as backups

    for archive in backups.restore(Layout.from_environ(), directory, service or ()):
        console.print(f"restored {archive.service}, {archive.size} bytes")


@dead_letters.command("list")
def dlq_list(as_json: Json = False) -> None:
    """Count the dead letters of each topic and group."""
    from hpctl import dlq

    counts = asyncio.run(dlq.counts(Layout.from_environ()))
    if as_json:
        _print_json(counts)
    else:
        dlq.show_counts(counts)


@dead_letters.command("show")
def dlq_show(
    topic: Topic, body: Annotated[bool, typer.Option("--body", help="Print the message too: personal data.")] = False
) -> None:
    """Print why each message is there; never the message itself unless asked."""
    from hpctl import dlq

    asyncio.run(dlq.show_messages(Layout.from_environ(), topic, body=body))


@dead_letters.command("replay")
def dlq_replay(topic: Topic, count: Count = EVERYTHING) -> None:
    """Give messages back to the group that could not handle them, and to no other."""
    from hpctl import dlq

    done = asyncio.run(dlq.replay(Layout.from_environ(), topic, count))
    console.print(f"replayed {done} of {topic}")


@dead_letters.command("discard")
def dlq_discard(topic: Topic, count: Count = EVERYTHING, yes: Yes = False) -> None:
    """Delete messages for good."""
    from hpctl import dlq

    which = "everything" if count >= EVERYTHING else f"the oldest {count}"
    _ask(f"Delete {which} of {topic} for good?", yes)
    console.print(f"discarded {asyncio.run(dlq.discard(Layout.from_environ(), topic, count))} of {topic}")


@projections.command("rebuild")
def projection_rebuild() -> None:
    """Rebuild appointment-service's read model of patients from Kafka; reads go on meanwhile."""
    from hpctl.projection import rebuild

    asyncio.run(rebuild(Layout.from_environ()))


def _print_json(content: object) -> None:
    print(json.dumps(content, indent=2))  # noqa: T201


def _ask(question: str, yes: bool) -> None:
    """Somebody at a terminal has to agree; a script has been told what it does. Raises Failure."""
    if not yes and sys.stdin.isatty() and not typer.confirm(question):
        raise Failure("nothing was deleted")


def main() -> int:
    """Run one command; bad use is one sentence and exit code 2, what did not work is one sentence and exit code 1."""
    os.umask(0o077)  # databases, logs and backups hold personal data: they are their owner's only
    try:
        return int(app(standalone_mode=False) or 0)
    except UsageError as error:
        return _tell(str(error), 2)
    except typer.TyperException as error:  # the parser's own complaints
        return _tell(error.format_message(), 2)
    except Failure as error:
        return _tell(str(error), 1)
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # a full disk, a directory of somebody else
        return _tell(f"{error.filename}: {error.strerror}" if error.filename else str(error), 1)


def _tell(sentence: str, code: int) -> int:
    if sentence:  # a bare `hpctl` printed its help already
        errors.print(f"hpctl: {sentence}", markup=False)
    return code
