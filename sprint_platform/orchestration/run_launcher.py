"""Dagster's run launcher, which also knows whether a run's process still lives."""

from __future__ import annotations

import json

from dagster import DagsterRun
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import deserialize_value

RUNNING = CheckRunHealthResult(WorkerStatus.RUNNING)
ENDED = CheckRunHealthResult(
    WorkerStatus.NOT_FOUND, "its code server was started anew, and does not know it"
)


class RunLauncher(DefaultRunLauncher):
    """Where ``dagster.yaml`` names it, the daemon marks a run as failed whose code server died. By
    Dagster's own, such a run is under way for ever: it holds a place in the queue, and its job's
    schedule waits for it.

    The code server has to be a ``dagster api grpc`` with a port, whose processes end with it.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Whether the run's code server has a process for it. Running where that cannot be known:
        while the server does not answer, and for runs of `sprint run` and `sprint ui`."""
        server = json.loads(run.tags.get(GRPC_INFO_TAG, "{}"))
        # the servers of `sprint ui` have sockets, and forget runs when their code is reloaded
        client = self._get_grpc_client_for_termination(run.run_id) if server.get("port") else None
        if client is None:
            return RUNNING
        try:
            answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id))
        except DagsterUserCodeUnreachableError:
            return RUNNING
        known = deserialize_value(answer, CanCancelExecutionResult).can_cancel
        return RUNNING if known else ENDED
