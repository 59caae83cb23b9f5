"""A session of Spark's: in this process (``local[n]``), on a cluster (``spark://…``), or at a
Connect server (``SPARK_REMOTE``)."""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from sprint_platform.core.errors import SprintError, one_line
from sprint_platform.core.locks import wait_until
from sprint_platform.core.project import installed_root, is_checkout
from sprint_platform.core.settings import settings, variable
from sprint_platform.places import data_dir, spark_warehouse_dir

# An optional dependency, which takes a second to import.
if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# What tables, macros and models rely on, also at a Connect server.
OF_A_SESSION = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    # an insert replaces the periods that its rows are in, and no other
    "spark.sql.sources.partitionOverwriteMode": "dynamic",
    # the folders say which periods there are: another process may have written since
    "spark.sql.hive.manageFilesourcePartitions": "false",
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "1000",
    # it fails on a table that has no folder yet, and models name their days themselves
    "spark.sql.optimizer.dynamicPartitionPruning.enabled": "false",
}
# What a Connect server has of its own.
OF_A_DRIVER = {
    "spark.ui.enabled": "false",
    # it would hide lines of the log
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
    # tables are registered anew by each session: no database of them is needed, which would let in
    # one process at a time
    "spark.sql.catalogImplementation": "in-memory",
    # two attempts at one partition would sweep away each other's files
    "spark.speculation": "false",
}
# A cluster may have to end what others run first.
EXECUTOR_SECONDS = 600.0


class SparkError(SprintError):
    """Spark is not installed, or cannot be reached. The message is one line."""


def on_spark() -> bool:
    """Whether titles' models are built on Spark (``SPRINT_ENGINE``)."""
    return bool(settings().engine == "spark")


def require_duckdb(command: str) -> None:
    """Raises SparkError for a command that changes rows of DuckDB's tables, where titles are
    Spark's."""
    if on_spark():
        raise SparkError(
            f"{command} works on DuckDB's tables, and {variable('engine')} is spark: Spark's"
            " folders are changed by runs only"
        )


def described() -> str:
    """Where Spark is, for people."""
    return settings().spark_remote or settings().spark_master


def options() -> dict[str, str]:
    """Spark's configuration; at a Connect server only what belongs to a session."""
    chosen = settings()
    of_session = {
        **OF_A_SESSION,
        "spark.sql.shuffle.partitions": str(chosen.spark_partitions),
    }
    if chosen.spark_remote is not None:
        return of_session
    return {
        **of_session,
        **OF_A_DRIVER,
        "spark.driver.memory": chosen.spark_memory,
        "spark.executor.memory": chosen.spark_memory,
        "spark.sql.warehouse.dir": str(spark_warehouse_dir()),
        "spark.executorEnv.PYTHONPATH": str(installed_root()),
        f"spark.executorEnv.{variable('data_dir')}": str(data_dir()),
        "spark.executorEnv.OPENBLAS_NUM_THREADS": "1",
    }


def spark_session() -> SparkSession:
    """The session of this process, opened where there is none. Waits for a cluster's first
    executor. Raises SparkError, and LockError where there is no executor in time."""
    # nothing of ours goes through pandas
    warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas")
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise SparkError(
            f"{variable('engine')} is spark, but {error.name or 'pyspark'} is not installed:"
            f" {_how_to_install()}"
        ) from None
    chosen = settings()
    builder = SparkSession.builder
    if chosen.spark_remote is None:
        _require_java()
        # executors would take the system's Python
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        builder = builder.master(chosen.spark_master).appName("sprint")
    else:
        # pyspark reads it itself, and not from .env
        os.environ[variable("spark_remote")] = chosen.spark_remote
    try:
        for name, value in options().items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
    # py4j's, gRPC's and pyspark's own have no base class in common
    except Exception as error:
        raise SparkError(
            f"Spark at {described()} cannot be reached: {one_line(error, 300)}"
        ) from error
    if chosen.spark_remote is None and chosen.spark_master.startswith("spark://"):
        # Spark itself would wait for ever, and say so in a warning of its log only
        wait_until(
            lambda: _executors(session) or None,
            lambda: f"Spark at {described()} has given no executor of {chosen.spark_memory}",
            EXECUTOR_SECONDS,
            f"a worker must have that much memory ({variable('spark_memory')}) and a core free, and"
            " reach this machine",
        )
    return session


def _executors(session: SparkSession) -> int:
    # of which one is this process
    return int(session.sparkContext._jsc.sc().getExecutorMemoryStatus().size()) - 1


def _require_java() -> None:
    home = os.environ.get("JAVA_HOME")
    if shutil.which("java") is None and not (home and Path(home, "bin", "java").exists()):
        raise SparkError(
            "Spark needs Java 17 or later, and there is none: install it"
            " (apt-get install openjdk-17-jre-headless), or set JAVA_HOME"
        )


def _how_to_install() -> str:
    if is_checkout():
        lock = installed_root() / "requirements-spark.txt"
        return f"pip install --no-deps --require-hashes -r '{lock}'"
    return "pip install 'sprint-platform[spark]'"
