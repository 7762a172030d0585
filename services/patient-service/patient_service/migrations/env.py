from chassis.migrations import run
from patient_service.models import TABLES

run(TABLES)
