from analytics_service.models import TABLES
from chassis.migrations import run

run(TABLES)
