"""The addresses that each URLconf of the interface has, whichever of them a project includes."""

from events.api.introduction import describe_tags
from events.api.schema import START

from .metrics import METRICS
from .probes import PROBES
from .problem_types import PROBLEM_TYPES
from .root import ROOT

EVERYWHERE = (ROOT, *PROBES, METRICS, PROBLEM_TYPES)

describe_tags(
    {
        START: "The addresses that you may use.",
        "health": "For monitors and orchestrators: is the process alive, is it ready, do the projections keep up?",
        "metrics": "For Prometheus: the state of the store and of its projections.",
        "problems": "What each type of error means, and what to do.",
    }
)
