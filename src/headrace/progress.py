"""Ways to watch a pipeline: ``headrace.pipeline("shop", progress=headrace.progress.tqdm(colour="yellow"))``.

Each name makes a collector; the name as text (``progress="log"``) is the same with default settings.
"""

from headrace.observers.bars import AliveCollector as alive_progress
from headrace.observers.bars import EnlightenCollector as enlighten
from headrace.observers.bars import RichCollector as rich
from headrace.observers.bars import TqdmCollector as tqdm
from headrace.observers.collector import Collector
from headrace.observers.collector import LogCollector as log
from headrace.observers.progress import TCollectorArg, TSupportedCollectors

__all__ = ["Collector", "TCollectorArg", "TSupportedCollectors", "alive_progress", "enlighten", "log", "rich", "tqdm"]
