"""Runs the select of a title over one file, in a process of its own that sees nothing else.

A script, not a module of the package: it imports nothing of it. Reads {"path", "pattern", "select",
"bytes", "seconds"} as JSON from standard input, and writes the result to standard output as an
Arrow stream. Why there is none stands on standard error, in one line.
"""

import json
import signal
import sys

import duckdb
import pyarrow as pa

# DuckDB bounds its buffers by this, and what functions of lists hold by nothing: the address space
# bounds that.
MEMORY_LIMIT = "768MiB"
BATCH_ROWS = 65_536


def _limit(bytes_: int, seconds: int) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    for what, most in (
        (resource.RLIMIT_AS, bytes_),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
    # at the first a signal of its own ends the process; at the second it would be any SIGKILL
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 10))


def _connection(path: str, pattern: str) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": MEMORY_LIMIT,
            "threads": 2,
            "temp_directory": "",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
        },
    )
    con.execute("set timezone = 'UTC'")
    con.execute("set python_enable_replacements = false")
    con.execute("set allowed_paths = $1", [[path, pattern]])
    con.execute("set enable_external_access = false")
    con.execute("set lock_configuration = true")
    return con


def main() -> None:
    # a process inherits what the one that started it ignores or holds back
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
    asked = json.load(sys.stdin)
    _limit(asked["bytes"], asked["seconds"])
    # the pattern matches the path alone; it is another text where the name has letters of patterns
    con = _connection(asked["path"], asked["pattern"])
    quoted = "'" + asked["pattern"].replace("'", "''") + "'"
    (statement,) = duckdb.extract_statements(asked["select"].replace("$file", quoted))
    if statement.type != duckdb.StatementType.SELECT:
        raise ValueError("it is no select")
    batches = con.execute(statement).to_arrow_reader(BATCH_ROWS)
    with pa.ipc.new_stream(sys.stdout.buffer, batches.schema) as out:
        for batch in batches:
            out.write_batch(batch)


if __name__ == "__main__":
    try:
        main()
    except MemoryError:
        sys.exit("OutOfMemory")
    except Exception as error:  # noqa: BLE001 whatever it is, it stands in one line
        lines = str(error).strip().splitlines() or [type(error).__name__]
        sys.exit("OutOfMemory" if isinstance(error, duckdb.OutOfMemoryException) else lines[0])
