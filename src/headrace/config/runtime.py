"""The settings of the process: section `runtime`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from headrace.config.hints import SecretSentinel, TSecretStrValue
from headrace.config.spec import BaseConfiguration, configspec


@configspec
class RuntimeConfiguration(BaseConfiguration):
    """Logging, web requests, notifications: section `runtime`. Durations are in seconds.

    `observers` and `gates` name classes or functions as `package.module:name`; called without arguments they give what
    `Pipeline.observe` and `Pipeline.guard` take.

    headrace sends no telemetry; the fields of that name are read so that old files stay valid.
    """

    __section__: ClassVar[str | None] = "runtime"

    pipeline_name: str | None = None
    sentry_dsn: str | None = None
    sentry_environment: str | None = None
    sentry_traces_sample_rate: float = 1.0
    otel: bool = False
    slack_incoming_hook: TSecretStrValue | None = None
    trace_url: TSecretStrValue | None = None
    trace_headers: Annotated[dict[str, Any], SecretSentinel] | None = None
    dlthub_telemetry: bool = False
    dlthub_telemetry_endpoint: str | None = None
    dlthub_telemetry_segment_write_key: str | None = None
    log_format: str = "{asctime}|[{levelname}]|{process}|{thread}|{name}|{filename}|{funcName}:{lineno}|{message}"
    log_level: str = "WARNING"
    request_timeout: float = 60
    request_max_attempts: int = 5
    request_backoff_factor: float = 1
    request_max_retry_delay: float = 300
    config_files_storage_path: str = "/run/config/"
    dlthub_dsn: TSecretStrValue | None = None
    run_id: str | None = None
    http_show_error_body: bool = False
    http_max_error_body_length: int = 8192
    intercept_signals: bool = True
    observers: list[str] | None = None
    gates: list[str] | None = None
