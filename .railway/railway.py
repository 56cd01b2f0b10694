"""The Railway project: services rt, bg and beat, and their Redis.

`railway config plan` (CLI 5.42.1 or later) evaluates this file with a plain
``python3`` and calls ``main()``; nothing may be printed, nothing needs installing.
Every number comes from ``worker.policy``. Set GITHUB_REPOSITORY to ``owner/name`` to
deploy from GitHub; without it the services take what `railway up` uploads.

A variable that is set in Railway and not listed here would be planned for deletion,
hence the ``preserve`` rows: their values are set once, in the dashboard.
https://docs.railway.com/infrastructure-as-code
"""

import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from worker.policy import POLICY
from worker.policy.pools import Service

# Singapore: Railway has no region in Sydney. Stated from the start, because a move of
# a single replica to another region is not seen as a change.
REGION = "asia-southeast1-eqsg3a"

# The image that Railway's own Redis template runs. Without an image the CLI would
# take a PostgreSQL one.
REDIS_IMAGE = "ghcr.io/railwayapp-templates/redis:8"

# Each service holds the secrets that its tasks need and no other: a poller that
# cannot reach PostgreSQL cannot come to depend on it.
SECRETS = {
    "rt": ("NSW_API_KEY",),
    "bg": (
        "DATABASE_URL",
        "DATABASE_ADMIN_URL",
        "NSW_API_KEY",
        "APNS_KEY",
        "APNS_KEY_ID",
        "APNS_TEAM_ID",
        "APNS_TOPIC",
    ),
    "beat": (),
}

# Set by hand to vary a running worker; a plan must not remove them.
KNOBS = ("POLICY_SET", "LOG_LEVEL")


def main() -> dict[str, Any]:
    """The whole project: what is not returned here would be planned for deletion."""
    services = [_service(row) for row in POLICY.services.values()]
    return {"name": "transit-workers", "resources": [_redis(), *services]}


def _redis() -> dict[str, Any]:
    return {
        "type": "database",
        "kind": "database",
        "engine": "redis",
        "name": "redis",
        "image": REDIS_IMAGE,
        "source": {"type": "image", "image": REDIS_IMAGE},
        "output": "REDIS_URL",
        "defaultMountPath": "/data",
    }


def _service(row: Service) -> dict[str, Any]:
    return {
        "type": "service",
        "name": row.name,
        **_source(),
        "build": {
            "builder": "DOCKERFILE",
            "dockerfilePath": "worker/Dockerfile",
            "watchPatterns": ["worker/**"],
        },
        "deploy": _deploy(row),
        "variables": _variables(row),
    }


def _source() -> dict[str, Any]:
    repository = os.environ.get("GITHUB_REPOSITORY")
    if not repository:
        return {"kind": "empty"}
    source = {"type": "github", "repo": repository, "branch": "main"}
    return {"kind": "github", "source": source}


def _deploy(row: Service) -> dict[str, Any]:
    deploy: dict[str, Any] = {
        "startCommand": row.command,
        # The default gives up for good after ten crashes.
        "restartPolicyType": "ALWAYS",
        # The default is SIGKILL at once.
        "drainingSeconds": row.draining_s,
        "overlapSeconds": 0,
        "multiRegionConfig": {REGION: {"numReplicas": 1}},
        "limitOverride": {
            "containers": {"cpu": row.vcpu, "memoryBytes": row.memory_mib * 2**20}
        },
    }
    if "DATABASE_ADMIN_URL" in SECRETS[row.name]:
        deploy["preDeployCommand"] = ["python -m worker migrate"]
    return deploy


def _variables(row: Service) -> dict[str, Any]:
    return {
        "REDIS_URL": {
            "type": "reference",
            "resource": "database.redis",
            "output": "REDIS_URL",
        },
        # The same as drainingSeconds, read by Railway's older deployment system too.
        "RAILWAY_DEPLOYMENT_DRAINING_SECONDS": {
            "type": "literal",
            "value": str(row.draining_s),
        },
        **{name: {"type": "preserve"} for name in (*SECRETS[row.name], *KNOBS)},
    }
