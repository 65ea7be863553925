from typing import NamedTuple
class CalibrationReport: pass
class Restarts(NamedTuple):
    costs: object
    turns: object
def report_on(pixels, confidence, chosen, cameras, adjusted, restarts, pairs, final, names, skeleton): return (restarts, adjusted, pairs)
