"""The frozen settings of one installation, read once by the composition root."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from folkmoot_config import addresses

Port = Annotated[int, Field(ge=0, le=65535)]


class Settings(BaseSettings):
    """Everything an operator can set; unknown keys are refused and every error names its path.

    Order of precedence: command line, `FOLKMOOT_…` environment, `folkmoot.toml` in the working folder, defaults.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix="FOLKMOOT_", toml_file="folkmoot.toml")

    data: Path = Path("data")
    host: str = "127.0.0.1"
    port: Port = 8080
    public_url: str = "http://localhost:8080"
    cert: Path | None = None
    key: Path | None = None
    trust_proxy: bool = False
    announce_ip: str = "127.0.0.1"
    media_listen_ip: str = ""
    media_port: Port = 0
    media_workers: Annotated[int, Field(ge=0, le=64)] = 0
    media_fan: Literal["auto", "compiled", "cffi", "python"] = "auto"
    metrics_port: Port = 0
    turn_urls: tuple[str, ...] = ()
    turn_secret_file: Path | None = None
    demo: bool = False
    electorate_min: Annotated[int, Field(ge=3, le=1000)] = 5
    lease_away_s: Annotated[int, Field(ge=5, le=600)] = 45
    lease_lost_s: Annotated[int, Field(ge=10, le=3600)] = 120
    chair_lost_s: Annotated[int, Field(ge=11, le=600)] = 20
    site_lost_s: Annotated[int, Field(ge=11, le=600)] = 20
    publish_every_s: Annotated[int, Field(ge=1, le=600)] = 5
    publish_batch_min: Annotated[int, Field(ge=1, le=1000)] = 3
    closing_grace_s: Annotated[int, Field(ge=0, le=600)] = 2

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Name the sources in order of precedence."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @field_validator("public_url")
    @classmethod
    def _origin_only(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
            raise ValueError("public_url must look like https://meet.example.org, without a path")
        if parts.scheme == "http" and parts.hostname != "localhost":
            raise ValueError("browsers give passkeys only to https, or to http://localhost")
        return value.rstrip("/")

    @field_validator("turn_urls")
    @classmethod
    def _turn_only(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for url in value:
            if not url.startswith(("turn:", "turns:")):
                raise ValueError("turn_urls look like turns:turn.example.org:443?transport=tcp")
        return value

    @model_validator(mode="after")
    def _media_heard(self) -> Settings:
        addresses.listening(addresses.read_announced(self.announce_ip), self.media_listen_ip)
        return self

    @model_validator(mode="after")
    def _turn_pair(self) -> Settings:
        if bool(self.turn_urls) != (self.turn_secret_file is not None):
            raise ValueError("turn_urls and turn_secret_file belong together")
        return self

    @model_validator(mode="after")
    def _certificate_pair(self) -> Settings:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key belong together")
        return self

    @property
    def announced(self) -> tuple[str, ...]:
        """The addresses at which browsers are told to reach media, best first."""
        return addresses.read_announced(self.announce_ip)

    @property
    def media_listen(self) -> str:
        """Where media listen: as set, else this machine alone when that is announced, else everywhere."""
        return addresses.listening(self.announced, self.media_listen_ip)

    @property
    def rp_id(self) -> str:
        """The WebAuthn relying-party id: the host name of the public URL."""
        return urlsplit(self.public_url).hostname or ""

    @property
    def origins(self) -> tuple[str, ...]:
        """Origins from which browsers may call us."""
        return (self.public_url,)

    @property
    def secure(self) -> bool:
        """Whether browsers reach us over TLS, which decides the cookie's name and HSTS."""
        return self.public_url.startswith("https:")
