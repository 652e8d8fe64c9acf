"""Where a run takes place: Python, machine, scheduler, library. Stored with each trace."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headrace.base.version import VERSION

# an environment variable that only the named place sets
_PLACES = {
    "AIRFLOW_CTX_DAG_ID": "airflow",
    "AIRFLOW_HOME": "airflow",
    "AWS_LAMBDA_FUNCTION_NAME": "aws_lambda",
    "CODESPACES": "codespaces",
    "COLAB_RELEASE_TAG": "colab",
    "DAGSTER_RUN_JOB_NAME": "dagster",
    "DATABRICKS_RUNTIME_VERSION": "databricks",
    "FUNCTION_TARGET": "cloud_function",
    "KUBERNETES_SERVICE_HOST": "kubernetes",
    "MODAL_TASK_ID": "modal",
    "PREFECT__FLOW_RUN_ID": "prefect",
}
_CI = ("CI", "GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "JENKINS_URL", "TEAMCITY_VERSION", "TF_BUILD", "CIRCLECI")


def execution_context(environ: Mapping[str, str] | None = None, run_context_name: str = "headrace") -> dict[str, Any]:
    """Describe the process for the trace; nothing in it identifies a person or holds a secret.

    Args:
        environ: Environment variables; those of the process by default.
        run_context_name: Name of the workspace.
    """
    env = os.environ if environ is None else environ
    places = sorted({place for variable, place in _PLACES.items() if env.get(variable)})
    if Path("/.dockerenv").exists():
        places.append("docker")
    return {
        "ci_run": any(env.get(variable, "").lower() not in ("", "0", "false") for variable in _CI),
        "python": platform.python_version(),
        "cpu": os.cpu_count(),
        "exec_info": places,
        "os": {"name": platform.system(), "version": platform.release()},
        "library": {"name": "headrace", "version": VERSION},
        "run_context": {"name": run_context_name},
    }
