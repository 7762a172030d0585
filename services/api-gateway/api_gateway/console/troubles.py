"""What is wrong, since when, and what to do: one line for each cause, the gravest first."""

from collections.abc import Iterable
from dataclasses import dataclass

from api_gateway.console.fleet import Fleet, Member
from api_gateway.console.watch import WHOLE, Watch, ills

LETTERS = "/console/dead-letters"
NOTHING_KNOWN = ("", "The log of the service says why.")
ADVICE = {
    "db": ("InfrastructureDown", "It cannot work without its database. Start PostgreSQL or correct the password."),
    "schema": ("ServiceDown", "Its tables are not those that it needs: its log says which migration is missing."),
    "redis": ("CacheUnavailable", "Everything goes on without it, only slower. Start Redis or correct the password."),
    "kafka": ("InfrastructureDown", "Requests go on, and events wait in the outbox. Start Kafka."),
    "relay": ("OutboxStale", "Events wait in the outbox, in order. Its log says which one does not go out."),
    "consumer": ("ConsumerLagHigh", "Messages wait in Kafka, in order. Its log says what holds it up."),
    "billing": ("BreakerOpen", "Patients are created all the same; accounts follow when billing-service answers."),
    "upstreams": ("BreakerOpen", "The gateway answers for that service at once, with 503, and keeps trying it."),
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """One line; `since` is Unix time (s), `runbook` a file of docs/runbooks."""

    what: str
    todo: str
    runbook: str = ""
    since: float | None = None
    grave: bool = False
    link: str = ""


def troubles(fleet: Fleet, watch: Watch, waiting: int = 0) -> list[Trouble]:
    """All that is wrong with these services, and that dead letters wait."""
    found = [_down(member, watch) for member in fleet.members if member.state == "DOWN"]
    found += _missing(fleet.members, watch)
    if waiting:
        what = f"{waiting:,} dead letter{'s' * (waiting != 1)} to be looked at"
        found.append(Trouble(what, "Read why, repair the cause, then replay.", "DeadLetters", link=LETTERS))
    return found


def _down(member: Member, watch: Watch) -> Trouble:
    since = watch.since(member.name)
    if member.summary is not None:
        why = ", ".join(sorted(ills(True, member.summary["components"]))) or "it says so itself"
        return Trouble(f"{member.name} is down: {why}", "Its page shows its parts.", "ServiceDown", since, grave=True)
    todo = "See whether its process runs, and what its log says last. Events wait for it; none is lost."
    return Trouble(f"{member.name} {member.silence}", member.remedy or todo, "ServiceDown", since, grave=True)


def _missing(members: Iterable[Member], watch: Watch) -> list[Trouble]:
    """One line for each part, with all the services that miss it."""
    missed: dict[str, list[str]] = {}
    for member in members:
        for part in sorted(member.ills - {WHOLE}):
            missed.setdefault(part, []).append(member.name)
    found = []
    for part, names in missed.items():
        runbook, todo = ADVICE.get(part, NOTHING_KNOWN)
        since = min(filter(None, (watch.since(name, part) for name in names)), default=None)
        found.append(Trouble(f"{part} is missing at {', '.join(names)}", todo, runbook, since))
    return found
