"""What runs on a box beside its station: takes bundles in, tries them, and says what it is."""

from edge.agent.facts import box_facts
from edge.agent.serve import serve
from edge.agent.trial import try_bundle

__all__ = ["box_facts", "serve", "try_bundle"]
