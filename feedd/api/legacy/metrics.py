"""v1 metrics: all of them, their timelines, and what they come to."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response

from feedd.api.legacy.calls import Call, LegacyRoute, answer, caller, page_of, told, written
from feedd.api.legacy.export import PARAMETERS as EXPORT_PARAMETERS
from feedd.api.legacy.export import asked_for, results_of
from feedd.api.legacy.people import find_person
from feedd.api.legacy.timelines import PARAMETERS, timeline
from feedd.api.people_kinds import integration_of
from feedd.errors import NotFound
from feedd.people.values import Metric
from feedd.store import people_metrics

router = APIRouter(tags=["v1 and v2"], route_class=LegacyRoute)
Reads = Annotated[Call, Depends(caller("metrics", "read"))]
ReadsEvents = Annotated[Call, Depends(caller("events", "read"))]


@router.get(
    "/v1/metrics",
    summary="The metrics",
    **told(
        ("page", "integer", "Which page; the first one is 0"),
        ("count", "integer", "How many metrics a page has, 100 at most"),
    ),
)
def list_metrics(call: Reads) -> Response:
    """The oldest first, so that one that is made meanwhile moves no other to another page."""
    page = call.count("page", default=0, least=0, most=10**9)
    size = call.count("count", default=50, most=100)
    found = people_metrics.read_metrics(call.app.people)
    return page_of(found, lambda shown: [metric_of(each) for each in shown], page=page, size=size)


@router.get("/v1/metrics/timeline", summary="Events of all metrics", **told(*PARAMETERS))
def metrics_timeline(call: ReadsEvents) -> Response:
    return timeline(call, profile=None, metric=None, default=50)


@router.get("/v1/metric/{metric_id}/timeline", summary="Events of a metric", **told(*PARAMETERS))
def metric_timeline(call: ReadsEvents, metric_id: str) -> Response:
    return timeline(call, profile=None, metric=find_metric(call, metric_id).number, default=100)


@router.get(
    "/v1/person/{person_id}/metrics/timeline", summary="Events of a person", **told(*PARAMETERS)
)
def person_timeline(call: ReadsEvents, person_id: str) -> Response:
    return timeline(call, profile=find_person(call, person_id).number, metric=None, default=50)


@router.get(
    "/v1/person/{person_id}/metric/{metric_id}/timeline",
    summary="Events of a person and a metric",
    **told(*PARAMETERS),
)
def person_metric_timeline(call: ReadsEvents, person_id: str, metric_id: str) -> Response:
    person, metric = find_person(call, person_id), find_metric(call, metric_id)
    return timeline(call, profile=person.number, metric=metric.number, default=100)


@router.get(
    "/v1/metric/{metric_id}/export",
    summary="What the events of a metric come to",
    **told(*EXPORT_PARAMETERS),
)
def export_metric(call: Reads, metric_id: str) -> Response:
    """Exact numbers by day, week or month, for all events or by the values of a property."""
    metric = find_metric(call, metric_id)
    question = asked_for(call, metric.number)
    return answer({"metric": metric_of(metric), "results": results_of(call, question)})


def find_metric(call: Call, metric_id: str) -> Metric:
    """The metric with that id. Raises NotFound."""
    plain = metric_id.isascii() and metric_id.isalnum()
    found = people_metrics.find_metric(call.app.people, metric_id) if plain else None
    if found is None or found.id != metric_id:
        raise NotFound("There is no metric with that id")
    return found


def metric_of(metric: Metric) -> dict[str, Any]:
    """A metric as v1 shows one."""
    moment = written(metric.created_at)
    return {
        "object": "metric",
        "id": metric.id,
        "name": metric.name,
        "integration": integration_of(metric),
        "created": moment,
        "updated": moment,
    }
