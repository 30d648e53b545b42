"""The addresses that each URLconf of the interface has, whichever of them a project includes."""

from events.api.introduction import describe_tags
from events.api.schema import START

from .probes import PROBES
from .problem_types import PROBLEM_TYPES
from .root import ROOT

EVERYWHERE = (ROOT, *PROBES, PROBLEM_TYPES)

describe_tags(
    {
        START: "The addresses that you may use.",
        "health": "For monitors and orchestrators: is the process alive, is it ready, do the projections keep up?",
        "problems": "What each type of error means, and what to do.",
    }
)
