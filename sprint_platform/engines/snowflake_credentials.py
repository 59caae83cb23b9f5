"""Credentials of Snowflake: the SNOWFLAKE_* variables of the project's settings."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from sprint_platform.core.errors import SprintError
from sprint_platform.core.settings import filled_in, variable


def _plain_name(value: str) -> str:
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_$]{0,254}", value) is None:
        raise ValueError("it should be a plain name of letters, digits and underscores")
    return value


# Names that go into SQL as they are, unquoted, as dbt and everybody else spells them.
Identifier = Annotated[str, AfterValidator(_plain_name)]
Text = Annotated[str, StringConstraints(min_length=1)]
Secret = Annotated[SecretStr, Field(min_length=1)]
SECRETS = ("password", "token", "private_key_file_pwd")
# dbt knows these by their names in small letters alone; the connector takes any
_DBTS_NAMES = ("oauth", "externalbrowser", "programmatic_access_token", "username_password_mfa")

GROUP = "snowflake_"


class SnowflakeError(SprintError):
    """Snowflake could not be reached, let nobody in, or refused a statement. The message is one
    line, which names the variable to look at, and never a password, key or token."""


class SnowflakeCredentials(BaseModel):
    """What a connection needs; each field is SNOWFLAKE_<FIELD> of the settings, named as the
    connector's parameter.

    Somebody comes in by a password, by the file of a private key (and its password, where it has
    one), by a token, or as the ``authenticator`` says (externalbrowser, say).

    Host, port and protocol are for those who do not reach ``<account>.snowflakecomputing.com``
    itself: a private link, a proxy, a test server.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    account: Text
    user: Text
    authenticator: Text | None = None
    token: Secret | None = None
    private_key_file: Text | None = None
    private_key_file_pwd: Secret | None = None
    password: Secret | None = Field(default=None, validate_default=True)
    role: Text | None = None
    warehouse: Identifier = "COMPUTE_WH"
    database: Identifier = "GAME_ANALYTICS"
    schema_: Identifier = Field(default="RAW", alias="schema")
    host: Text | None = None
    port: int | None = Field(default=None, ge=1, le=65535)
    protocol: Literal["https", "http"] | None = None

    @field_validator("authenticator")
    @classmethod
    def _as_dbt_has_it(cls, value: str | None) -> str | None:
        return value.lower() if value and value.lower() in _DBTS_NAMES else value

    @field_validator("password")
    @classmethod
    def _some_way_in(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        others = ("token", "private_key_file", "authenticator")
        if value is None and not any(info.data.get(name) for name in others):
            raise PydanticCustomError("missing", "Field required")
        return value

    @property
    def way_in(self) -> dict[str, str]:
        """What identifies the user, as the connector's parameters. Never to be shown."""
        names = ("authenticator", "private_key_file", *SECRETS)
        return {name: value for name in names if (value := self._plain(name)) is not None}

    def _plain(self, name: str) -> str | None:
        value = getattr(self, name)
        return value.get_secret_value() if isinstance(value, SecretStr) else value

    @staticmethod
    def read() -> SnowflakeCredentials:
        """The credentials. Raises SettingsError, which names every variable that is missing or
        wrong."""
        return filled_in(SnowflakeCredentials, GROUP, {})

    def environment(self) -> dict[str, str]:
        """The variables again, the password among them: for a program that reads them itself, as
        dbt's profile does. Never to be shown."""
        values = self.model_dump(by_alias=True, exclude_none=True)
        values |= self.way_in
        return {variable(GROUP + name): str(value) for name, value in values.items()}
