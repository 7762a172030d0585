"""Clients of AWS, or of a server that speaks its protocols."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError
from chassis.outbound import inside
from pydantic import SecretStr

ERRORS = (BotoCoreError, ClientError, OSError)


@dataclass(frozen=True)
class Endpoint:
    """Where a service of AWS is; without a key, its environment or its role says who we are."""

    service: str
    region: str
    url: str | None
    key_id: str | None
    key: SecretStr | None

    def client(self, **options: Any) -> AbstractAsyncContextManager[Any]:
        """A client that gives up soon: the queue in the database tries again."""
        connecting: AbstractAsyncContextManager[Any] = get_session().create_client(
            self.service,
            region_name=self.region,
            endpoint_url=self.url,
            aws_access_key_id=self.key_id,
            aws_secret_access_key=self.key.get_secret_value() if self.key else None,
            config=AioConfig(
                connect_timeout=3,
                read_timeout=10,
                retries={"total_max_attempts": 1},
                proxies={} if self.url and inside(self.url) else None,  # None: as the environment says
                **options,
            ),
        )
        return connecting
