"""The sidecar's Prometheus metrics. Labels are route names and closed lists, never chosen by a client."""

from __future__ import annotations

from payonce.extras import needs

with needs("sidecar"):
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
NO_ROUTE = "none"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The metrics of one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._of: dict[tuple[str, str], tuple[Counter, Histogram]] = {}
        self.requests = Counter(
            "payonce_proxy_requests",
            "Requests by route and outcome",
            ("route", "outcome"),
            registry=self._registry,
        )
        self.seconds = Histogram(
            "payonce_proxy_request_seconds",
            "From the whole request received to the answer",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.in_flight = Gauge("payonce_proxy_in_flight", "Requests being worked on", registry=self._registry)
        self.store_errors = Counter(
            "payonce_proxy_store_errors", "Requests that the store could not serve", registry=self._registry
        )
        self.recovered = Counter(
            "payonce_proxy_recovered_claims", "Claims concluded by recovery", registry=self._registry
        )
        self.open_claims = Gauge(
            "payonce_proxy_open_claims", "Claims that recovery left in doubt at its last run", registry=self._registry
        )

    def count(self, route: str, outcome: str, seconds: float) -> None:
        """Count one request."""
        requests, times = self._of.get((route, outcome)) or self._labelled(route, outcome)
        requests.inc()
        times.observe(seconds)
        if outcome == "store_unavailable":
            self.store_errors.inc()

    def _labelled(self, route: str, outcome: str) -> tuple[Counter, Histogram]:
        """Return the metrics with these labels, kept by them: the client looks them up under a lock."""
        found = self.requests.labels(route or NO_ROUTE, outcome), self.seconds.labels(route or NO_ROUTE)
        self._of[route, outcome] = found
        return found

    def render(self) -> bytes:
        """Return the metrics in Prometheus' text format."""
        return generate_latest(self._registry)
