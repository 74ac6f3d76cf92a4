"""Does a live model read its padding? Its results are compared with those of changed batches, and no state is needed.

A new file in `probes/` with a PROBE is a new probe, one in `frameworks/` with a FRAMEWORK a new framework. Importing
this imports none.
"""

from rnninspect.invariance.check import check_padding

__all__ = ["check_padding"]
