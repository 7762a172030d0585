from billing_service.models import TABLES
from chassis import migrations

migrations.run(TABLES)
