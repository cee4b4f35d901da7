"""A project: the `conf/` folder of one environment, with every declaration validated where it stands."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self, TypeVar

from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from lakeloop.core.connections import Connection, FilesConnection
from lakeloop.core.documents import Declaration, Document, propose
from lakeloop.core.errors import ConfigError, SecretMissingError
from lakeloop.core.secrets import SecretReference

Declared = TypeVar("Declared", bound=BaseModel)


class MlflowSettings(Declaration):
    """Where runs and models are tracked."""

    tracking_uri: str = Field(default="", description="MLflow's tracking URI; empty: SQLite inside the lake")


class LineageSettings(Declaration):
    """Where OpenLineage's events go after each run: to a catalog's address, or to a file, one JSON object a line."""

    url: str | None = Field(default=None, pattern=r"^https?://", description="Address of the catalog, without a path")
    api_key: SecretReference | None = None
    file: str | None = None
    namespace: str = Field(default="lakeloop", description="What the catalog groups this project's jobs under")

    @model_validator(mode="after")
    def _has_one_target(self) -> Self:
        if (self.url is None) == (self.file is None):
            raise PydanticCustomError("lineage", "lineage has exactly one of the keys url, file")
        if self.api_key and self.url is None:
            raise PydanticCustomError("lineage", "api_key belongs to url")
        return self


class Platform(Declaration):
    """Settings of the whole project (`platform.yml`)."""

    lake: str = Field(description="Folder or URI (s3a://…, abfss://…) that holds every table")
    parallel_pipelines: int = Field(default=2, ge=1, le=64, description="Pipelines that run side by side")
    mlflow: MlflowSettings = MlflowSettings()
    lineage: LineageSettings | None = None
    secrets_folder: str = Field(default="", description="Folder with one file per secret; empty: environment only")

    @property
    def secrets(self) -> list[SecretReference]:
        """The references that must have a value."""
        return [self.lineage.api_key] if self.lineage and self.lineage.api_key else []


@dataclass(frozen=True)
class Project:
    """`folder/base` overlaid by `folder/<environment>`. Nothing is read before it is asked for."""

    folder: Path
    environment: str = "local"

    def __post_init__(self) -> None:
        if not (self.folder / "base").is_dir():
            raise ConfigError(f"{self.folder}/base is not a folder; name your configuration with --conf-dir")
        if not (self.folder / self.environment).is_dir():
            known = sorted(p.name for p in self.folder.iterdir() if p.is_dir() and p.name != "base")
            raise ConfigError(
                f"no environment '{self.environment}' in {self.folder}; {propose(self.environment, known)}"
            )

    @cached_property
    def platform(self) -> Platform:
        """The settings in `platform.yml`."""
        return self._load("platform.yml").parse(Platform)

    @cached_property
    def connections(self) -> Document:
        """`connections.yml`, one `Connection` per key."""
        return self._load("connections.yml")

    @cached_property
    def lake_root(self) -> str:
        """The lake as a URI or an absolute path."""
        root = self.platform.lake
        return root.rstrip("/") if "://" in root else str(Path(root).expanduser().resolve())

    @property
    def secrets_folder(self) -> Path | None:
        """Where secrets are mounted, or None for the environment only."""
        return Path(self.platform.secrets_folder) if self.platform.secrets_folder else None

    @property
    def spark_properties(self) -> list[Path]:
        """The Spark property files that apply, the later over the earlier."""
        files = [self.folder / layer / "spark.properties" for layer in ("base", self.environment)]
        return [file for file in files if file.is_file()]

    def connection(self, name: str, kind: type[Declared], wanted_by: str) -> Declared:
        """The connection `name`, which must be of `kind`. Raises ConfigError that names `wanted_by` otherwise."""
        document = self.connections
        if name not in document.values:
            raise ConfigError(
                f"{wanted_by}: no connection '{name}' in {document.file}; {propose(name, list(document.values))}"
            )
        connection = document.parse(Connection, at=(name,))
        if isinstance(connection.kind, kind):
            return connection.kind
        raise ConfigError(f"{document.place((name,))}: {wanted_by} needs a {kind.__name__}, found another kind")

    def names(self, kind: str) -> list[str]:
        """The declared names under a folder of the configuration (`pipelines`, `models`), sorted."""
        layers = [self.folder / layer / kind for layer in ("base", self.environment)]
        return sorted({file.stem for layer in layers if layer.is_dir() for file in layer.glob("*.yml")})

    def document(self, kind: str, name: str) -> Document:
        """One declaration of a kind. Raises ConfigError that proposes the nearest name."""
        if name not in self.names(kind):
            raise ConfigError(
                f"no {kind.removesuffix('s')} '{name}' in {self.folder}; {propose(name, self.names(kind))}"
            )
        return self._load(f"{kind}/{name}.yml")

    def documents(self, kind: str) -> Iterator[tuple[str, Document]]:
        """Every declaration of a kind, by name."""
        for name in self.names(kind):
            yield name, self.document(kind, name)

    def optional(self, file: str) -> Document | None:
        """A file beside `platform.yml` that a project need not have; None where no layer has it."""
        layers = [self.folder / layer / file for layer in ("base", self.environment)]
        return self._load(file) if any(layer.is_file() for layer in layers) else None

    def connection_names(self) -> list[str]:
        """The systems that `connections.yml` declares."""
        return list(self.connections.values)

    def drop_folders(self) -> Iterator[str]:
        """Where connections of files lead, without those whose variables are not set here."""
        if (document := self.optional("connections.yml")) is None:
            return
        for name, declared in document.values.items():
            if isinstance(declared, dict) and isinstance(declared.get("files"), dict):
                with suppress(SecretMissingError):
                    yield document.parse(FilesConnection, at=(name, "files")).path

    def _load(self, relative: str) -> Document:
        layers = [self.folder / layer / relative for layer in ("base", self.environment)]
        found = [Document.load(file) for file in layers if file.is_file()]
        if not found:
            raise ConfigError(f"{layers[0]} does not exist")
        document = found[0]
        for over in found[1:]:
            document = document.overlaid(over)
        return document
