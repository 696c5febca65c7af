"""The kinds of state that fusion keeps in the journal, by the first word of their keys.

Here: their union, for the type checker. Not here: who writes each (the module that defines it),
when it is restored (`fuse`).
"""

from __future__ import annotations

from gateway.core.belief import Belief
from gateway.core.counts import Count
from gateway.core.doubts import Doubt
from gateway.core.masses import Learned
from gateway.core.patience import Waits
from gateway.core.places import Place
from gateway.core.shaking import Shaken
from gateway.core.stocktakes import Running, Tallied
from gateway.core.tag_book import Serial, Tagged
from gateway.core.tills import Receipt, Taps
from gateway.core.trails import Trail
from gateway.core.watches import Watch
from gateway.domain.alert import Alert

Part = (
    Waits
    | Trail
    | Place
    | Learned
    | Shaken
    | Count
    | Receipt
    | Taps
    | Belief
    | Alert
    | Watch
    | Doubt
    | Running
    | Tallied
    | Serial
    | Tagged
)
