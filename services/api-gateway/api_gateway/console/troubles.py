"""What is wrong, since when, and what to do: one line for each cause, the gravest first."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from api_gateway.console.fleet import GATEWAY, Fleet, Member
from api_gateway.console.watch import WHOLE, Watch, ills
from api_gateway.console.words import share

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
    "diskSpace": ("DiskFull", "Nothing more can be written there. Free some space: everything goes on by itself."),
    "upstreams": ("BreakerOpen", "The gateway answers for that service at once, with 503, and keeps trying it."),
}
REFUSED = "See whether it is a replica, set to read-only or full, or whether the role may still log in."
STALE_SECONDS, FAR_BEHIND, TOO_MANY_FAIL = 60, 1000, 0.0144
"""As the alerts OutboxStale, ConsumerLagHigh and ErrorBudgetBurnsFast (monitoring/rules) have them."""


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
    found += _read_only(fleet.members)
    for member in fleet.members:
        found += _late(member)
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


def _read_only(members: Iterable[Member]) -> Iterator[Trouble]:
    """One line for all whose database refuses writes and answers reads; a database that is missing says enough."""
    parts = {member.name: (member.summary or {}).get("components", {}).get("db", {}) for member in members}
    names = [
        name
        for name, part in parts.items()
        if part.get("status") == "UP" and part.get("details", {}).get("writable") is False
    ]
    if names:
        what = f"the database refuses writes of {', '.join(names)}"
        yield Trouble(
            what, "Writes are answered by 503 and messages wait. " + REFUSED, "DatabaseRefusesWrites", grave=True
        )


def _late(member: Member) -> Iterator[Trouble]:
    """What works and does not keep up."""
    outbox = (member.summary or {}).get("outbox")
    if outbox and outbox["oldestSeconds"] > STALE_SECONDS:
        since = time.time() - outbox["oldestSeconds"]
        what = f"{outbox['waiting']:,.0f} events of {member.name} wait for Kafka"
        yield Trouble(what, "Its log says why they do not go out.", "OutboxStale", since)
    if member.behind > FAR_BEHIND:
        what = f"{member.name} is {member.behind:,.0f} messages behind"
        yield Trouble(what, "What it shows or counts is old until they are read.", "ConsumerLagHigh")
    failed, count = member.total.get("failed") or 0, member.total.get("count") or 0
    if member.name == GATEWAY and failed > TOO_MANY_FAIL * count:
        what = f"{share(failed, count)} of the requests failed in 15 minutes"
        yield Trouble(what, "The services' pages show which routes.", "ErrorBudgetBurnsFast", grave=True)
