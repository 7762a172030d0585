"""`python -m patient_service` serves; `python -m patient_service migrate` only migrates."""

from chassis.server import main

from patient_service.main import create_app

main(create_app)
