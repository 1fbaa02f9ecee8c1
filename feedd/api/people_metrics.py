"""Metrics, the kinds of what people do, and the properties that their events have."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from feedd.api.access import TheApp
from feedd.api.asking import Asked, Asking, Number
from feedd.api.filters import texts
from feedd.api.openapi import Shape
from feedd.api.people_kinds import (
    CATEGORY,
    METRIC,
    METRIC_PROPERTY,
    metric_resource,
    property_resource,
)
from feedd.app import App
from feedd.errors import NotFound
from feedd.people.inference import Property
from feedd.people.values import Metric
from feedd.store import people_metrics
from feedd.store.metric_properties import (
    MOST_PROPERTIES,
    metric_of,
    property_id,
    read_properties,
)

router = APIRouter(tags=["metrics"])

METRICS = Asking(
    METRIC,
    filters={"integration.name": texts("equals"), "integration.category": texts("equals")},
    pages=(200, 200),
)
ONE_METRIC = Asking(METRIC)
PROPERTIES = Asking(METRIC_PROPERTY, pages=(MOST_PROPERTIES, MOST_PROPERTIES))
ONE_PROPERTY = Asking(METRIC_PROPERTY, include={"metric": METRIC})


@router.get("/metrics", summary="What people do", **METRICS.route(shape=Shape.PAGE))
def list_metrics(app: TheApp, asked: Annotated[Asked, Depends(METRICS)]) -> Response:
    """All metrics, the oldest first."""
    last = asked.position(tuple[Number])
    names, categories = asked.values("integration.name"), asked.values("integration.category")
    found = [
        metric
        for metric in people_metrics.read_metrics(app.people)
        if (last is None or metric.number > last[0])
        and (names is None or metric.integration in names)
        and (categories is None or CATEGORY in categories)
    ]
    return asked.page(found, resource=metric_resource, position=lambda metric: [metric.number])


@router.get("/metrics/{metric_id}", summary="One metric", **ONE_METRIC.route())
def get_metric(
    app: TheApp, metric_id: str, asked: Annotated[Asked, Depends(ONE_METRIC)]
) -> Response:
    return asked.one(metric_resource(find_metric(app, metric_id)))


@router.get(
    "/metrics/{metric_id}/metric-properties",
    summary="The properties of a metric's events",
    **PROPERTIES.route(shape=Shape.PAGE),
)
def list_properties(
    app: TheApp, metric_id: str, asked: Annotated[Asked, Depends(PROPERTIES)]
) -> Response:
    """By name: what the newest 1,000 events have, and what is in packed columns of older ones."""
    metric = find_metric(app, metric_id)
    return asked.page(
        _properties(app, metric, asked),
        resource=lambda found: property_resource(metric, found),
        position=lambda found: [found.name],
    )


@router.get(
    "/metrics/{metric_id}/relationships/metric-properties",
    summary="The ids of the properties of a metric's events",
    **PROPERTIES.route(shape=Shape.LINKAGES),
)
def list_property_ids(
    app: TheApp, metric_id: str, asked: Annotated[Asked, Depends(PROPERTIES)]
) -> Response:
    metric = find_metric(app, metric_id)
    return asked.linkages(
        METRIC_PROPERTY.name,
        _properties(app, metric, asked),
        id_of=lambda found: property_id(metric.id, found.name),
        position=lambda found: [found.name],
    )


@router.get(
    "/metric-properties/{metric_property_id}",
    summary="One property of a metric's events",
    **ONE_PROPERTY.route(),
)
def get_property(
    app: TheApp, metric_property_id: str, asked: Annotated[Asked, Depends(ONE_PROPERTY)]
) -> Response:
    metric, found = _property(app, metric_property_id)
    return asked.one(
        property_resource(metric, found), include={"metric": lambda: [metric_resource(metric)]}
    )


@router.get(
    "/metric-properties/{metric_property_id}/metric",
    summary="The metric that a property is of",
    **ONE_METRIC.route(),
)
def get_property_metric(
    app: TheApp, metric_property_id: str, asked: Annotated[Asked, Depends(ONE_METRIC)]
) -> Response:
    metric, _ = _property(app, metric_property_id)
    return asked.one(metric_resource(metric))


@router.get(
    "/metric-properties/{metric_property_id}/relationships/metric",
    summary="The id of the metric that a property is of",
    **ONE_METRIC.route(shape=Shape.LINKAGE),
)
def get_property_metric_id(
    app: TheApp, metric_property_id: str, asked: Annotated[Asked, Depends(ONE_METRIC)]
) -> Response:
    metric, _ = _property(app, metric_property_id)
    return asked.linkage(METRIC.name, metric.id)


def find_metric(app: App, id_: str) -> Metric:
    """The metric with that id; names are none. Raises NotFound."""
    found = people_metrics.find_metric(app.people, id_)
    if found is None or found.id != id_:
        raise NotFound(
            f"there is no metric with the id {id_[:100]!r}",
            hint="GET /api/metrics tells the ids of all.",
        )
    return found


def _properties(app: App, metric: Metric, asked: Asked) -> list[Property]:
    last = asked.position(tuple[str])
    found = read_properties(app.people, metric.number)
    return [each for each in found if last is None or each.name > last[0]]


def _property(app: App, id_: str) -> tuple[Metric, Property]:
    metric = people_metrics.find_metric(app.people, metric_of(id_))
    if metric is not None:
        for found in read_properties(app.people, metric.number):
            if property_id(metric.id, found.name) == id_:
                return metric, found
    raise NotFound(f"there is no metric property with the id {id_[:100]!r}")
