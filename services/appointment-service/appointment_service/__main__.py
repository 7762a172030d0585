"""`python -m appointment_service` serves; `python -m appointment_service migrate` only migrates."""

from chassis.server import main

from appointment_service.main import create_app

main(create_app)
