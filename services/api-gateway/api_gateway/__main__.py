"""`python -m api_gateway` serves the gateway."""

import chassis.app

from api_gateway.main import create_app

chassis.app.main(create_app)
