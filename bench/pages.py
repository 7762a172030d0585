"""Deep pages and a search at a million patients."""

import time
from collections.abc import Iterator

from bench.measure import Ratio, Wrong, compare, percentile
from bench.world import World, call

ROWS = 1_000_000

FILL = """
INSERT INTO patient (id, name, name_key, name_search, email, email_key, email_order, address, date_of_birth,
  registered_date, billing_status, version, keyed_version, created_at, updated_at)
SELECT gen_random_uuid(), 'Person ' || n, 'person ' || md5(n::text), 'person ' || md5(n::text), n || '@example.org',
  n || '@example.org', n || '@example.org', '1 Road', date '1950-01-01' + (n % 25000), date '2020-01-01' + (n % 2000),
  'ACTIVE', 1, 1, now(), now() - n * interval '1 second'
FROM generate_series(1, {rows}) n;
VACUUM ANALYZE patient;
"""


def pages(world: World) -> Iterator[Ratio]:
    """At a million rows: page 1,000 over the first page, a search with its total; unfiltered totals are exact."""
    world.database("patient_service")
    with world.service(
        "patient_service",
        cpu=None,
        SERVICE_ROLES="api",
        BILLING_SERVICE_ADDRESS="127.0.0.1:1",
        DATABASE_TIMEOUT_SECONDS="60",
    ) as url:
        before = call(f"{url}/patients?size=1")["totalElements"]
        world.postgres.execute(FILL.format(rows=ROWS), "patient_service")
        if call(f"{url}/patients?size=1")["totalElements"] != before + ROWS:
            raise Wrong("the unfiltered total is not exact")

        def page(number: int) -> float:
            return percentile([timed(f"{url}/patients?size=20&sort=name,asc&page={number}") for _ in range(15)], 50)

        yield compare(
            "page 1,000 over the first page, 1 M rows",
            "s",
            lambda: page(1000),
            lambda: page(0),
            better="lower",
            floor=12,
            goal=8,
        )
        yield compare(
            "a search with its exact total, 1 M rows, over 150 ms",
            "s",
            lambda: percentile([timed(f"{url}/patients?size=20&search=abc12") for _ in range(5)], 50),
            lambda: 0.15,
            better="lower",
            floor=1,
            goal=0.5,
        )


def timed(url: str) -> float:
    """Seconds of one request."""
    started = time.perf_counter()
    call(url)
    return time.perf_counter() - started
