"""How items are read."""

from __future__ import annotations

from typing import Any

import msgspec


class ExtractSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the extract stage, section ``extract`` of the configuration.

    Attributes:
        max_parallel_items: How many items may be computed outside the main thread at a time.
        workers: Threads for deferred functions and parallelized resources.
        next_item_mode: ``round_robin``: resources give an item in turn; ``fifo``: one is read to its end before the
            next.
        futures_poll_interval: Seconds between looks at items that are being computed.
        copy_on_fork: Give each transformer a deep copy of the items of its resource.
    """

    max_parallel_items: int = 20
    workers: int = 5
    next_item_mode: str = "round_robin"
    futures_poll_interval: float = 0.01
    copy_on_fork: bool = False

    @classmethod
    def configured(cls) -> ExtractSettings:
        """The settings that the configuration gives where the caller is."""
        from headrace.config.known import extract_settings

        found = extract_settings()
        return cls(**{name: getattr(found, name) for name in cls.__struct_fields__})

    def flow_options(self) -> dict[str, Any]:
        """The settings as arguments of `Flow`."""
        return {
            "max_parallel_items": self.max_parallel_items,
            "workers": self.workers,
            "next_item_mode": self.next_item_mode,
            "poll": self.futures_poll_interval,
            "copy_on_fork": self.copy_on_fork,
        }
