"""A Snowflake of the tests' own: fakesnow's server, which the real connector and dbt talk to.

It keeps its databases in the memory of the test process, and makes a database that somebody logs in
to. What it does otherwise than Snowflake, in the way of what we test, is put right here; nothing of
the connector or of our own code is replaced.
"""

from __future__ import annotations

import gzip
import importlib
import json
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb
import fakesnow.conn
import fakesnow.copy_into
import uvicorn
from fakesnow.cursor import FakeSnowflakeCursor
from snowflake.connector.errors import ProgrammingError
from sqlglot import exp
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

ACCOUNT, USER, PASSWORD = "testing", "tester", "snow-white-7"
ROLES, WAREHOUSES = ("SYSADMIN",), ("COMPUTE_WH",)

# by its name, because the package has a function of the same name
fakesnow_server: Any = importlib.import_module("fakesnow.server")

# options of a CSV format that fakesnow does not know, at what DuckDB does anyway
_CSV_OPTIONS_IN_EFFECT = {"ESCAPE_UNENCLOSED_FIELD"}

# what each of Snowflake's AS_ functions takes, in DuckDB's words, and gives
_AS_TYPE = {
    "as_integer": (("UBIGINT", "BIGINT"), "bigint"),
    "as_varchar": (("VARCHAR",), "varchar"),
    "as_boolean": (("BOOLEAN",), "boolean"),
}


def _as_type(call: exp.Anonymous) -> exp.Expr:
    """The same in functions of DuckDB's, which fakesnow leaves alone."""
    types, given = _AS_TYPE[call.name.lower()]
    (value,) = call.expressions
    text = exp.Anonymous(this="json_extract_string", expressions=[value, exp.Literal.string("$")])
    is_it = exp.In(
        this=exp.Anonymous(this="json_type", expressions=[value.copy()]),
        expressions=[exp.Literal.string(name) for name in types],
    )
    return exp.Case(ifs=[exp.If(this=is_it, true=exp.cast(text, given))])


class _Cursor(FakeSnowflakeCursor):
    def _transform(self, expression: exp.Expr, params: Any) -> exp.Expr:
        if isinstance(expression, exp.Use) and expression.text("kind").upper() == "WAREHOUSE":
            if expression.this.name.upper() not in WAREHOUSES:
                raise ProgrammingError(
                    "SQL compilation error:\nObject does not exist, or operation cannot be"
                    " performed.",
                    errno=2043,
                    sqlstate="02000",
                )
            expression = exp.select(exp.Literal.string("Statement executed successfully."))
        if isinstance(expression, exp.Create):
            # DuckDB's temporary tables have no database and schema, Snowflake's (and dbt's) do
            table = expression.find(exp.Table)
            properties = expression.args.get("properties")
            if table is not None and table.db and properties is not None:
                properties.set(
                    "expressions",
                    [p for p in properties.expressions if not isinstance(p, exp.TemporaryProperty)],
                )
        for call in list(expression.find_all(exp.Anonymous)):
            if call.name.lower() in _AS_TYPE:
                call.replace(_as_type(call))
        return super()._transform(expression, params)

    def _execute(self, transformed: exp.Expr, params: Any = None) -> None:
        try:
            super()._execute(transformed, params)
        except duckdb.Error as error:
            # a constraint, a cast: an answer of 500 otherwise, which the connector tries again
            message = str(error).split("\n")[0]
            raise ProgrammingError(message, errno=100072, sqlstate="22000") from error

    def _describe_last_sql(self) -> list[Any]:
        # the server describes every result, and BEGIN (dbt says it) has none in DuckDB
        if str(self._last_sql).upper().startswith("BEGIN"):
            self._last_sql: Any = "select 'Statement executed successfully.' as status"
        return super()._describe_last_sql()


def _csv_format(options: list[Any]) -> Any:
    return _fakesnow_csv_format([o for o in options if o.name not in _CSV_OPTIONS_IN_EFFECT])


_fakesnow_csv_format = fakesnow.copy_into.handle_csv


async def _login(request: Request) -> Response:
    """Lets in who knows the password and the role; fakesnow lets in anybody."""
    body = await request.body()
    credentials = json.loads(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)["data"]
    role = request.query_params.get("roleName")
    if credentials["ACCOUNT_NAME"].lower() != ACCOUNT:
        return Response("Not Found", status_code=404)
    if (credentials["LOGIN_NAME"], credentials["PASSWORD"]) != (USER, PASSWORD):
        return _refusal("390100", "Incorrect username or password was specified.")
    if role and role.upper() not in ROLES:
        return _refusal(
            "390189",
            f"Role '{role}' specified in the connect string does not exist or not authorized."
            " Contact your local system administrator, or attempt to login with another role, e.g."
            " PUBLIC.",
        )
    return await fakesnow_server.login_request(request)


async def _query(request: Request) -> Response:
    """Turns fakesnow's 500 for what it cannot do into an error: the connector tries a 500 again."""
    answer = await fakesnow_server.query_request(request)
    if answer.status_code != 500:
        return answer
    return _refusal("261000", json.loads(bytes(answer.body))["message"])


async def _failed(_: Request, error: Exception) -> Response:
    return _refusal("261000", f"fakesnow cannot do this: {error!r}")


def _refusal(code: str, message: str) -> JSONResponse:
    return JSONResponse({"data": {}, "code": code, "message": message, "success": False})


@contextmanager
def serve() -> Iterator[dict[str, str]]:
    """Serves on a free port while the block runs; gives the SNOWFLAKE_* variables that lead there,
    all but the database."""
    fakesnow.conn.FakeSnowflakeCursor = _Cursor  # type: ignore[misc]
    fakesnow.copy_into.handle_csv = _csv_format  # type: ignore[assignment]
    logging.getLogger("fakesnow.server").setLevel(logging.WARNING)
    ours = {fakesnow_server.login_request: _login, fakesnow_server.query_request: _query}
    routes = [
        Route(r.path, ours.get(r.endpoint, r.endpoint), methods=list(r.methods or ()))
        for r in fakesnow_server.routes
    ]
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    app = Starlette(routes=routes, exception_handlers={Exception: _failed})
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    try:
        yield {
            "SNOWFLAKE_ACCOUNT": ACCOUNT,
            "SNOWFLAKE_USER": USER,
            "SNOWFLAKE_PASSWORD": PASSWORD,
            "SNOWFLAKE_HOST": "127.0.0.1",
            "SNOWFLAKE_PORT": str(listening.getsockname()[1]),
            "SNOWFLAKE_PROTOCOL": "http",
        }
    finally:
        server.should_exit = True
        thread.join()
