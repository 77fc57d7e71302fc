"""The `engine` section of a study file."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from bequeath.errors import BequeathError, first_line
from bequeath.models.named import call_own
from bequeath.study.config.own import OwnName, own_function
from bequeath.study.config.section import Section

# The most workers or threads: 4 per core, or 16 on small machines. More only take memory and wait for each other.
_PER_CORE, _LEAST = 4, 16


def _check(key: str, given: int | None) -> None:
    cores = os.cpu_count() or 1
    most = max(_PER_CORE * cores, _LEAST)
    if given is not None and given > most:
        raise BequeathError(f"engine.{key}: {given}; this machine has {cores} cores: give at most {most}")


class LocalConfig(Section):
    """The work is done on this machine."""

    kind: Literal["local"] = "local"
    workers: int | None = Field(default=None, ge=1)
    """Number of processes; 1 means this process itself. By default one per GPU if there are several, else 1."""
    threads: int | None = Field(default=None, ge=1)
    """Threads of each worker; by default the machine's cores divided by the workers."""

    def check_machine(self) -> None:
        """Refuse more workers or threads than this machine can use.

        The section itself accepts any number, because a finished run can be read on another machine.
        """
        _check("workers", self.workers)
        _check("threads", self.threads)


class RayConfig(Section):
    """The work is done by a Ray cluster, which may be started on this machine."""

    kind: Literal["ray"]
    address: str | None = None
    """Address of a running cluster, such as ``auto`` or ``ray://host:10001``; by default one is started here."""
    workers: int | None = Field(None, ge=1)
    """Number of actors; by default one per GPU, or, without GPUs, as many as the cores allow."""
    cpus: float = Field(1, gt=0, le=1024)
    """Cores, and threads, of each actor."""
    gpus: float | None = Field(None, ge=0, le=1024)
    """GPUs of each actor; by default 1 if the cluster has any."""
    threads: int | None = Field(None, ge=1, le=1024)
    """Threads of each actor; by default its number of cores."""

    def check_machine(self) -> None:
        """Do nothing, since the cluster's machines are not known before it is running."""


class OwnEngineConfig(Section):
    """An engine from a user's own function or class."""

    kind: OwnName
    """``module:function``, which returns an engine (`bequeath.study.engines.contract.Engine`)."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the function."""

    def make(self) -> Any:
        """Make the engine.

        Raises
        ------
        BequeathError
            If the function fails or returns no engine.
        """
        try:
            made = call_own(own_function(self.kind), **self.options)
        except Exception as error:
            raise BequeathError(
                f"engine.kind: {self.kind} failed ({type(error).__name__}: {first_line(error)}); check it and its "
                f"options {self.options}"
            ) from error
        if not callable(made) or not isinstance(getattr(made, "workers", None), int):
            raise BequeathError(
                f"engine.kind: {self.kind} returns a {type(made).__name__}; it must return an engine: an object with "
                "the numbers workers and threads, which is called with a spec and gives slots as a context manager"
            )
        return made

    def check_machine(self) -> None:
        """Check that the function returns an engine; its machines are not known."""
        self.make()


def _by_name(value: object) -> object:
    return {"kind": value} if isinstance(value, str) else value


def _kind(value: Any) -> str:
    kind = value.get("kind", "local") if isinstance(value, dict) else getattr(value, "kind", "local")
    return "module:function" if isinstance(kind, str) and ":" in kind else str(kind)


EngineConfig = Annotated[
    Annotated[LocalConfig, Tag("local")]
    | Annotated[RayConfig, Tag("ray")]
    | Annotated[OwnEngineConfig, Tag("module:function")],
    Discriminator(_kind),
    BeforeValidator(_by_name),
]
