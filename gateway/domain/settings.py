"""The typed configuration tree. Every default is written here, once.

Here: names, types, defaults and what each key means (`docs/configuration.md` and
`config/store.toml` show them all). Not here: reading TOML, checking across files (`config`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from gateway.domain.rcn import RcnLayout
from gateway.domain.reading import Word
from gateway.domain.store import Location

OptionValue = str | int | bool | list[str] | dict[str, str]
"""What TOML can say in `[device.options]`; the driver's `Options` gives it its type."""


class StoreSettings(Word, frozen=True):
    """[store]"""

    id: str
    name: str = ""
    group: str = "stores"
    timezone: str = "Asia/Shanghai"
    locale: Literal["zh-CN", "en"] = "zh-CN"


class JournalSettings(Word, frozen=True):
    """[journal]"""

    path: str = "var/stockd.db"
    retention_days: int = 30
    max_mb: int = 2048


class LinkSettings(Word, frozen=True):
    """[ledger_link]"""

    url: tuple[str, ...] = ("mqtt://127.0.0.1:1883",)
    """Brokers in order of preference; empty = journal only."""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    allow_plaintext: bool = False


class TelemetrySettings(Word, frozen=True):
    """[telemetry]"""

    enabled: bool = True
    url: str = ""


class ConsoleSettings(Word, frozen=True):
    """[console]"""

    listen: str = "127.0.0.1:8470"


class MetricsSettings(Word, frozen=True):
    """[metrics]"""

    listen: str = "127.0.0.1:9470"


class CatalogueSettings(Word, frozen=True):
    """[catalogue]"""

    products: str = "products.csv"
    planogram: str = "planogram.csv"
    packs: str = ""
    """Case codes and what is in them; empty = none."""

    @property
    def sheets(self) -> tuple[str, ...]:
        """The files that are there."""
        return tuple(sheet for sheet in (self.products, self.planogram, self.packs) if sheet)


class FusionSettings(Word, frozen=True):
    """[fusion]: the parameters of ALGORITHMS.md that people change."""

    basket_timeout_s: int = 3600
    """A pick that nobody paid becomes a loss."""
    pending_sale_s: int = 90
    """A sale without its pick waits this long before it proves a missed pick."""
    pending_step_s: int = 600
    """A weight step that is only probable waits this long for other evidence."""
    basket_age_s: int = 5
    """A pick is at least this old before a sale takes it."""
    mode_idle_s: int = 120
    """A scanner returns to its own mode after this long without a scan."""
    quantity_s: int = 10
    """How long "n x" waits for its scan."""


class ScanSettings(Word, frozen=True):
    """[scan]"""

    mode_prefix: str = ""
    """Private prefix of this shop's mode and quantity barcodes; empty = none are accepted."""
    rcn: tuple[RcnLayout, ...] = ()
    """How this shop's labels carry a weight, a price or a count."""


class DeviceSettings(Word, frozen=True):
    """[[device]]"""

    id: str
    driver: str
    link: str
    location: str
    options: Mapping[str, OptionValue] = msgspec.field(default_factory=dict)

    @property
    def role(self) -> str:
        """What it senses, by its driver's first word: scanner, scale, rfid, pos, camera."""
        return self.driver.partition("_")[0]


class Settings(Word, frozen=True):
    """The whole of store.toml, typed, with paths made absolute."""

    store: StoreSettings
    journal: JournalSettings = JournalSettings()
    ledger_link: LinkSettings = LinkSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    console: ConsoleSettings = ConsoleSettings()
    metrics: MetricsSettings = MetricsSettings()
    catalogue: CatalogueSettings = CatalogueSettings()
    fusion: FusionSettings = FusionSettings()
    scan: ScanSettings = ScanSettings()
    location: tuple[Location, ...] = ()
    device: tuple[DeviceSettings, ...] = ()
