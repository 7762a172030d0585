"""`python -m auth_service` serves; `python -m auth_service migrate` only migrates."""

from chassis.server import main

from auth_service.main import create_app

main(create_app)
