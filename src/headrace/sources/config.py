"""What authors of sources need to configure them."""

from headrace.config.inject import with_config
from headrace.config.spec import configspec

__all__ = ["configspec", "with_config"]
