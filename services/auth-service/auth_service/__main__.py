"""`python -m auth_service` serves; `python -m auth_service migrate` only migrates."""

from chassis.app import main

from auth_service.main import create_app

main(create_app)
