"""Credentials of Snowflake: the SNOWFLAKE_* variables of the project's settings."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from sprint_platform.core.errors import SprintError
from sprint_platform.core.settings import filled_in, variable


def _plain_name(value: str) -> str:
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_$]{0,254}", value) is None:
        raise ValueError("it should be a plain name of letters, digits and underscores")
    return value


# Names that go into SQL as they are, unquoted, as dbt and everybody else spells them.
Identifier = Annotated[str, AfterValidator(_plain_name)]
Text = Annotated[str, StringConstraints(min_length=1)]

GROUP = "snowflake_"


class SnowflakeError(SprintError):
    """Snowflake could not be reached, let nobody in, or refused a statement. The message is one
    line, which names the variable to look at, and never the password."""


class SnowflakeCredentials(BaseModel):
    """What a connection needs; each field is SNOWFLAKE_<FIELD> of the settings.

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
    def read() -> SnowflakeCredentials:
        """The credentials. Raises SettingsError, which names every variable that is missing or
        wrong."""
        return filled_in(SnowflakeCredentials, GROUP, {})

    def environment(self) -> dict[str, str]:
        """The variables again, the password among them: for a program that reads them itself, as
        dbt's profile does. Never to be shown."""
        values = self.model_dump(by_alias=True, exclude_none=True)
        values["password"] = self.password.get_secret_value()
        return {variable(GROUP + name): str(value) for name, value in values.items()}
