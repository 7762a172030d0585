"""`python -m patient_service` serves; `python -m patient_service migrate` only migrates."""

from chassis.app import main

from patient_service.main import create_app

main(create_app)
