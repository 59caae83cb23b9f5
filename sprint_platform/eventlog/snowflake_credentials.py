"""How to get in to Snowflake: the SNOWFLAKE_* variables, of the environment or of ``.env``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Literal

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, ValidationError

from sprint_platform.eventlog.errors import EventlogError
from sprint_platform.places import project_root

# Names that go into SQL as they are, unquoted, as dbt and everybody else spells them.
Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_$]{0,254}$")]
Text = Annotated[str, StringConstraints(min_length=1)]

PREFIX = "SNOWFLAKE_"


class SnowflakeError(EventlogError):
    """Snowflake could not be reached, let nobody in, or refused a statement. The message is one
    line, which names the variable to look at, and never the password."""


class SnowflakeCredentials(BaseModel):
    """What a connection needs; each field is read from SNOWFLAKE_<FIELD>.

    Host, port and protocol are for those who do not reach ``<account>.snowflakecomputing.com``
    itself: a private link, a proxy, a test server.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    account: Text
    user: Text
    password: SecretStr = Field(min_length=1)
    role: Text | None = None
    warehouse: Identifier = "COMPUTE_WH"
    database: Identifier = "GAME_ANALYTICS"
    schema_: Identifier = Field(default="RAW", alias="schema")
    host: Text | None = None
    port: int | None = Field(default=None, ge=1, le=65535)
    protocol: Literal["https", "http"] | None = None

    @staticmethod
    def read(environment: Mapping[str, str] = os.environ) -> SnowflakeCredentials:
        """The credentials: from the environment, what is not there from the project's ``.env``.
        An empty variable is one that is not there.

        Raises SnowflakeError, which names every variable that is missing or wrong.
        """
        # read, not exported: what .env says is for this connection, not for every child process
        written = dotenv_values(project_root() / ".env")
        told = {}
        for name, field in SnowflakeCredentials.model_fields.items():
            key = field.alias or name
            variable = PREFIX + key.upper()
            if value := (environment.get(variable) or written.get(variable) or "").strip():
                told[key] = value
        try:
            return SnowflakeCredentials.model_validate(told)
        except ValidationError as error:
            # not chained: its text may quote what was given
            raise SnowflakeError(_reason(error)) from None

    def environment(self) -> dict[str, str]:
        """The variables again, the password among them: for a program that reads them itself, as
        dbt's profile does. Never to be shown."""
        told = self.model_dump(by_alias=True, exclude_none=True)
        told["password"] = self.password.get_secret_value()
        return {PREFIX + name.upper(): str(value) for name, value in told.items()}


def _reason(error: ValidationError) -> str:
    missing, wrong = [], []
    for detail in error.errors(include_input=False, include_url=False):
        variable = PREFIX + str(detail["loc"][0]).upper()
        if detail["type"] == "missing":
            missing.append(variable)
        elif detail["type"] == "string_pattern_mismatch":
            wrong.append(f"{variable} is not a plain name of letters, digits and underscores")
        else:
            message = detail["msg"]
            wrong.append(f"{variable}: {message[0].lower()}{message[1:]}")
    if missing:
        wrong.insert(
            0,
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set:"
            " export, or write into .env in the project's root",
        )
    return "; ".join(wrong)
