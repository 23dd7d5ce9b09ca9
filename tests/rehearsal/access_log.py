"""A line of an HTTP API's access log, from the stage's format."""

import re
import time
import uuid


def line(template: str, started: float, route: dict | None, status: int, address: str) -> str:
    """The format with its variables filled in; "-" for one that is not known here, as on AWS."""
    known = {
        "requestTimeEpoch": int(started * 1000),
        "routeKey": route["routeKey"] if route else "-",
        "status": status,
        "responseLatency": int((time.time() - started) * 1000),
        "requestId": uuid.uuid4(),
        "integrationStatus": status if route else "-",
        "identity.sourceIp": address,
    }
    return re.sub(r"\$context\.([A-Za-z.]+)", lambda found: str(known.get(found[1], "-")), template)
