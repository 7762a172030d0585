"""The analytics' HTTP door."""

from typing import Annotated

from chassis.auth import Principal, Requires
from chassis.db import Reads
from chassis.http import JsonResponse
from fastapi import APIRouter, Response

from analytics_service import queries
from analytics_service.schemas import RecentEventsRead, SummaryRead

router = APIRouter(prefix="/analytics", tags=["analytics"])

Reader = Annotated[Principal, Requires("analytics:read")]


@router.get("/summary", response_model=SummaryRead, operation_id="analyticsSummary")
async def summary(who: Reader, reads: Reads) -> Response:
    """Totals of every event type, in all and by day."""
    return JsonResponse(await queries.summary(reads))


@router.get("/events", response_model=RecentEventsRead, operation_id="recentEvents")
async def recent_events(who: Reader, reads: Reads) -> Response:
    """The newest events, without personal data."""
    return JsonResponse(await queries.recent_events(reads))
