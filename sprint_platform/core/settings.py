"""Every setting of the project, and where its value comes from.

A flag wins over the environment, the environment over ``.env`` in the project's root, ``.env``
over the default. An empty variable is not set. ``.env`` is read and never exported: child processes
do not get its passwords.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import cache
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from sprint_platform.core.errors import SprintError
from sprint_platform.core.project import find_project, folder_at, installed_root, project_root

Model = TypeVar("Model", bound=BaseModel)


class SettingsError(SprintError):
    """A setting has a value that it cannot have, or none where it needs one."""


@dataclass(frozen=True)
class Refused:
    """In place of a value that a setting cannot have; ``reason`` is the message of the error."""

    reason: str


def _memory(value: Any) -> Any:
    if re.fullmatch(r"(?i)\d+(\.\d+)? ?[KMGT](i?B)?|none", str(value)) is None:
        raise ValueError("it should be a number with a unit, such as 700MiB or 4GB, or none")
    return value


def _paths(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part for part in value.split(os.pathsep) if part)
    return value


def _web_address(value: Any) -> Any:
    if value is None:
        return None
    # a port that is none makes urlsplit's `port` raise
    with suppress(ValueError):
        parts = urlsplit(str(value))
        # letters that are not printable ASCII end in an error that quotes the address
        plain = str(value).isascii() and str(value).isprintable() and " " not in str(value)
        if plain and parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return value
    raise ValueError("it should be an address that begins with https:// or http://")


Word = Annotated[str, StringConstraints(strip_whitespace=True)]


class Settings(BaseSettings):
    """The settings, by field; a field's alias is its variable in the environment and in ``.env``.

    Paths are as they were written: ``places`` makes them absolute. None is a setting that is not
    given and whose default depends on others: ``filled_in`` makes a store, a batch and a connection
    from the fields ``store_*``, ``eventlog_*`` and ``snowflake_*`` and checks their values further.
    Reading a field that has a wrong value raises SettingsError.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    data_dir: Path = Field(default=Path("data"), alias="SPRINT_DATA_DIR")
    titles_dir: Annotated[tuple[Path, ...], BeforeValidator(_paths)] = Field(
        default=(), alias="SPRINT_TITLES_DIR"
    )
    duckdb_memory: Annotated[str | None, BeforeValidator(_memory)] = Field(
        default=None, alias="SPRINT_DUCKDB_MEMORY"
    )
    duckdb_temp: Path | None = Field(default=None, alias="SPRINT_DUCKDB_TEMP")
    # where titles' models are built
    engine: Literal["duckdb", "spark"] = Field(default="duckdb", alias="SPRINT_ENGINE")
    # local[n], or spark://host:port; a Connect server is named by SPARK_REMOTE (sc://host:port)
    spark_master: str = Field(default="local[*]", alias="SPRINT_SPARK_MASTER")
    spark_remote: str | None = Field(default=None, alias="SPARK_REMOTE")
    spark_warehouse: Path | None = Field(default=None, alias="SPRINT_SPARK_WAREHOUSE")
    spark_memory: str = Field(default="2g", pattern=r"^\d+[mg]$", alias="SPRINT_SPARK_MEMORY")
    spark_partitions: int = Field(default=4, ge=1, alias="SPRINT_SPARK_PARTITIONS")
    spark_threads: int = Field(default=2, ge=1, alias="SPRINT_SPARK_THREADS")
    # the most days that one run of the schedule catches up
    catch_up_days: int = Field(default=400, ge=1, alias="SPRINT_CATCH_UP_DAYS")
    dagster_home: Path = Field(default=Path(".dagster"), alias="DAGSTER_HOME")
    # where Dagster stores its history instead, for several machines
    dagster_postgres_url: SecretStr | None = Field(
        default=None, alias="SPRINT_DAGSTER_POSTGRES_URL", repr=False
    )
    # where failed runs and checks are posted; whoever has it can post there
    webhook_url: Annotated[SecretStr | None, BeforeValidator(_web_address)] = Field(
        default=None, alias="SPRINT_WEBHOOK_URL", repr=False
    )
    # what people open: links in these posts begin with it
    ui_url: Annotated[str | None, BeforeValidator(_web_address)] = Field(
        default=None, alias="SPRINT_UI_URL"
    )
    # the simulator's matrix products are small: more threads make them slower
    openblas_num_threads: int = Field(default=1, ge=0, alias="OPENBLAS_NUM_THREADS")

    store_preset: str | None = Field(default=None, alias="SPRINT_STORE_PRESET")
    store_customers: int | None = Field(default=None, alias="SPRINT_STORE_CUSTOMERS")
    store_products: int | None = Field(default=None, alias="SPRINT_STORE_PRODUCTS")
    store_orders: int | None = Field(default=None, alias="SPRINT_STORE_ORDERS")
    store_days: int | None = Field(default=None, alias="SPRINT_STORE_DAYS")
    store_seed: int | None = Field(default=None, alias="SPRINT_STORE_SEED")
    store_start: date | None = Field(default=None, alias="SPRINT_STORE_START")
    store_title: str | None = Field(default=None, alias="SPRINT_STORE_TITLE")
    store_batch_size: int | None = Field(default=None, alias="SPRINT_STORE_BATCH_SIZE")

    eventlog_players: int | None = Field(default=None, alias="N_PLAYERS")
    eventlog_max_sessions: int | None = Field(default=None, alias="MAX_SESSIONS_PER_PLAYER")
    eventlog_game_version: str | None = Field(default=None, alias="GAME_VERSION")
    eventlog_seed: int | None = Field(default=None, alias="GAME_DATA_SEED")
    eventlog_batch: int | None = Field(default=None, alias="LOAD_BATCH_ID")

    # not in repr: a password in the wrong one of these is not shown either
    postgres_url: SecretStr | None = Field(default=None, alias="SPRINT_POSTGRES_URL", repr=False)
    snowflake_account: Word | None = Field(default=None, alias="SNOWFLAKE_ACCOUNT", repr=False)
    snowflake_user: Word | None = Field(default=None, alias="SNOWFLAKE_USER", repr=False)
    snowflake_password: SecretStr | None = Field(
        default=None, alias="SNOWFLAKE_PASSWORD", repr=False
    )
    snowflake_authenticator: Word | None = Field(
        default=None, alias="SNOWFLAKE_AUTHENTICATOR", repr=False
    )
    snowflake_token: SecretStr | None = Field(default=None, alias="SNOWFLAKE_TOKEN", repr=False)
    snowflake_private_key_file: Word | None = Field(
        default=None, alias="SNOWFLAKE_PRIVATE_KEY_FILE", repr=False
    )
    snowflake_private_key_file_pwd: SecretStr | None = Field(
        default=None, alias="SNOWFLAKE_PRIVATE_KEY_FILE_PWD", repr=False
    )
    snowflake_role: Word | None = Field(default=None, alias="SNOWFLAKE_ROLE", repr=False)
    snowflake_warehouse: Word | None = Field(default=None, alias="SNOWFLAKE_WAREHOUSE", repr=False)
    snowflake_database: Word | None = Field(default=None, alias="SNOWFLAKE_DATABASE", repr=False)
    snowflake_schema: Word | None = Field(default=None, alias="SNOWFLAKE_SCHEMA", repr=False)
    snowflake_host: Word | None = Field(default=None, alias="SNOWFLAKE_HOST", repr=False)
    snowflake_port: int | None = Field(default=None, alias="SNOWFLAKE_PORT", repr=False)
    snowflake_protocol: Word | None = Field(default=None, alias="SNOWFLAKE_PROTOCOL", repr=False)

    @field_validator("*", mode="wrap")
    @classmethod
    def _refused_when_it_is_read(
        cls, value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo
    ) -> Any:
        # a wrong setting of the store must not stop the games' graph
        try:
            return handler(value)
        except ValidationError as error:
            assert info.field_name is not None
            return Refused(_refusal(info.field_name, value, _reason(error.errors()[0]["msg"])))

    if not TYPE_CHECKING:  # it would hide from mypy that a field does not exist

        def __getattribute__(self, name: str) -> Any:
            value = super().__getattribute__(name)
            if isinstance(value, Refused):
                raise SettingsError(value.reason)
            return value

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *_: Any, **sources: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The sources in their order: the environment, then ``.env``."""
        return _Variables(settings_cls, os.environ), _Variables(settings_cls, read_env_file())

    def refusals(self) -> list[str]:
        """An error message for every setting that has a wrong value by itself."""
        return [value.reason for value in self.__dict__.values() if isinstance(value, Refused)]


class _Variables(PydanticBaseSettingsSource):
    """Settings from a mapping of variables."""

    def __init__(
        self, settings_cls: type[BaseSettings], variables: Mapping[str, str | None]
    ) -> None:
        super().__init__(settings_cls)
        self._variables = variables

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        value = self._variables.get(str(field.alias))
        # an empty title is a value: that of a store without a game's players
        if value is not None and not value.strip() and field_name != "store_title":
            value = None
        return value, str(field.alias), False

    def __call__(self) -> dict[str, Any]:
        values = {}
        for name, field in self.settings_cls.model_fields.items():
            value, variable, _ = self.get_field_value(field, name)
            if value is not None:
                values[variable] = value
        return values


@cache
def env_file() -> Path:
    """The path of the project's ``.env``; the file may not exist."""
    return (find_project() or installed_root()) / ".env"


def read_env_file() -> dict[str, str]:
    """The variables in ``.env``, with ``${NAME:-value}`` filled in from the environment. Raises
    SettingsError where the file cannot be read."""
    path = env_file()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from None
    for statement in parse_stream(StringIO(text)):
        if statement.error:
            # not shown: it may hold a password
            raise SettingsError(
                f"{path} cannot be read: line {statement.original.line} is not NAME=value; a value"
                " with a quote in it is quoted by the other one"
            )
    written = dotenv_values(stream=StringIO(text))
    return {name: value for name, value in written.items() if value is not None}


def winning_over_exported() -> list[str]:
    """The variables whose value in ``.env`` differs from the environment's. Dagster's own commands,
    started beside the file, use the value in ``.env``; the settings use the exported one."""
    return [
        name
        for name, value in read_env_file().items()
        if os.environ.get(name) and not _same_value(name, os.environ[name], value)
    ]


def _same_value(name: str, exported: str, written: str) -> bool:
    # `sprint` exports Dagster's home itself, as an absolute path
    if name == variable("dagster_home"):
        return folder_at(Path(written), name, project_root) == Path(exported).resolve()
    return exported == written


_last: tuple[Any, Mapping[Any, Any], Settings] | None = None


def settings() -> Settings:
    """The current settings; they are read again when the environment or ``.env`` has changed.

    Raises SettingsError where ``.env`` cannot be read.
    """
    global _last
    try:
        stat = os.stat(env_file())
        file = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
    except OSError:
        file = None
    # Every partition's path calls this. Comparing os.environ decodes each variable, which takes
    # longer than all else; comparing the dictionary in it takes half a microsecond.
    environment = os.environ._data  # type: ignore[attr-defined]
    if _last is not None and _last[0] == file and _last[1] == environment:
        return _last[2]
    # copied first: the next call reads again what changes during this one
    environment = dict(environment)
    current = Settings()
    _last = file, environment, current
    return current


def secrets() -> set[str]:
    """The values of all settings that are secret: no text that leaves the machine may have one."""
    known = vars(settings()).values()
    found = {value.get_secret_value() for value in known if isinstance(value, SecretStr)}
    # `postgresql://user:password@host`
    return found.union(*(re.findall(r"://[^/:@]*:([^/@]+)@", value) for value in found))


def variable(field: str) -> str:
    """The environment variable of a field of ``Settings``."""
    return str(Settings.model_fields[field].alias)


def filled_in(
    model: type[Model],
    group: str,
    given: Mapping[str, Any],
    otherwise: Mapping[str, Any] | None = None,
) -> Model:
    """The model from the ``given`` values that are not None, then from the settings that begin with
    ``group`` (``store_orders`` is field ``orders`` of a store), then from ``otherwise``.

    Raises SettingsError, which names each wrong or missing value and its source. A wrong setting is
    no error where a value is given.
    """
    values = {name: value for name, value in given.items() if value is not None}
    chosen, of_settings = settings(), {}
    for field, info in model.model_fields.items():
        name = info.alias or field
        if name not in values and group + name in Settings.model_fields:
            value = getattr(chosen, group + name)
            if value is not None:
                of_settings[name] = value
    try:
        return model.model_validate({**(otherwise or {}), **of_settings, **values})
    except ValidationError as error:
        # not chained: its text may quote a password
        raise SettingsError(_reasons(model, group, error, values, of_settings)) from None


def _reasons(
    model: type[BaseModel],
    group: str,
    error: ValidationError,
    values: Mapping[str, Any],
    of_settings: Mapping[str, Any],
) -> str:
    missing, wrong = [], []
    for detail in error.errors(include_url=False):
        name = str(detail["loc"][0]) if detail["loc"] else ""
        reason = _reason(detail["msg"])
        if detail["type"] == "missing":
            missing.append(variable(group + name))
        elif name in of_settings:
            wrong.append(_refusal(group + name, of_settings[name], reason))
        elif name:
            wrong.append(f"{name.replace('_', ' ')} is {str(values.get(name))!r}: {reason}")
        else:
            wrong.append(reason)
    if missing:
        wrong.insert(
            0,
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set:"
            " export, or write into .env in the project's root",
        )
    return "; ".join(wrong)


def _refusal(field: str, value: Any, reason: str) -> str:
    name = variable(field)
    shown = f" is {str(value)!r}" if Settings.model_fields[field].repr else ""
    where = "" if os.environ.get(name) else f" (in {env_file()})"
    return f"{name}{shown}: {reason}{where}"


def _reason(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message[0].lower() + message[1:]
