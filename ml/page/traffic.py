"""What a server of the page has done, as Prometheus reads it."""

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Traffic:
    """Counters of one server, apart from any other's in the process."""

    def __init__(self) -> None:
        """All at zero."""
        self._registry = registry = CollectorRegistry()
        self.requests = Counter("naturewatch_requests", "Requests.", ["route", "status"], registry=registry)
        self.photographs = Counter("naturewatch_photographs", "Photographs.", ["outcome"], registry=registry)
        self.errors = Counter("naturewatch_errors", "Refused requests and failures.", ["kind"], registry=registry)
        self.network_seconds = Histogram(
            "naturewatch_network_seconds", "Seconds in the network, per batch of photographs.", registry=registry
        )
        self.waiting = Gauge(
            "naturewatch_places_taken", "Requests with photographs that wait or are answered.", registry=registry
        )
        self._model = Info("naturewatch_model", "The version that answers.", registry=registry)

    def text(self, *, model: dict[str, str]) -> bytes:
        """All numbers, in Prometheus' format."""
        self._model.info(model)
        return generate_latest(self._registry)
