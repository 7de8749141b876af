"""What a provider's test class says of itself, and what is made of that for each test."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar, cast

import pytest

from pointsman import ConfigError, Plugins, ProviderSpec, Target

from ..lab import Answer, Dialect, Lab, OpenAIChat, Pace, Site, Vendor
from .overriding import Overridable
from .settled import Settled
from .stage import Stage


class ProviderSetting(Settled, Overridable):
    """The variables to set in a subclass, and the fixtures that come of them."""

    pytestmark: ClassVar[list[pytest.MarkDecorator]] = [pytest.mark.anyio, pytest.mark.filterwarnings("error")]

    provider: ClassVar[str]
    """The provider's name, which is that of its entry point."""
    model: ClassVar[str]
    """A model that its lab vendor knows."""
    key: ClassVar[str | None] = None
    """The key that the vendor takes; None: it takes any, and none."""
    dialect: ClassVar[Dialect] = OpenAIChat()
    """What its vendor speaks."""
    route: ClassVar[str] = "chat"
    """What that dialect calls a request that is answered by the model."""

    own_capabilities: ClassVar[frozenset[str]] = frozenset()
    """Names of capabilities that its spec declares and that are none of `pointsman.CAPABILITIES`."""

    def start(self, lab: Lab) -> Vendor:
        """Start its vendor. Override it for one that lists more than `model`, or is peculiar in another way."""
        return lab.vendor(self.provider, dialect=self.dialect, models=(self.model,), api_key=self.key)

    def config(self, vendor: Vendor) -> Mapping[str, Any]:
        """All of its settings. Override it if there is more to set than an address and ``api_key``."""
        return {"base_url": vendor.base_url} | ({} if self.key is None else {"api_key": self.key})

    # ---------------------------------------------------------------------------------------------------------------

    @pytest.fixture(params=("asyncio", "trio"))
    def anyio_backend(self, request: pytest.FixtureRequest, spec: ProviderSpec[Any]) -> str:
        if request.param not in spec.backends:
            pytest.skip(f"its spec says that it runs on {' and '.join(spec.backends)} only")
        return request.param

    @pytest.fixture(scope="class")
    @classmethod
    def found(cls) -> tuple[ProviderSpec[Any], object]:
        """The spec and the plugin, as everybody finds them: by the entry point. Looked for once: it takes longer than a
        test.
        """
        if not isinstance(getattr(cls, "provider", None), str):
            pytest.fail(f'{cls.__name__} names no provider: write provider = "..." in it', pytrace=False)
        try:
            return Plugins.installed().provider(cls.provider)
        except ConfigError as error:
            if error.__cause__ is not None:  # It does not import, and where it does not is worth to be shown.
                raise
            pytest.fail(f"{cls.__name__}: {error}", pytrace=False)

    @pytest.fixture
    def spec(self, found: tuple[ProviderSpec[Any], object]) -> ProviderSpec[Any]:
        return found[0]

    @pytest.fixture
    async def stage(self, anyio_backend: str, found: tuple[ProviderSpec[Any], object]) -> AsyncGenerator[Stage]:
        """The provider before a vendor of the lab."""
        async with self.staged(found, anyio_backend) as stage:
            yield stage

    def _look_over(self) -> None:
        """Fail with one sentence for a class that is not filled in: in the midst of a test it would be a page."""
        told, dialect = "", cast("object", self.dialect)
        if not isinstance(getattr(self, "model", None), str):
            told = 'it names no model: write model = "..." in it'
        elif isinstance(dialect, type):
            told = f"its dialect is the class {dialect.__name__}: make one, {dialect.__name__}()"
        else:
            try:
                self.dialect.chat(Answer("Hi"), {"model": self.model, "messages": []}, Pace(), Site())
            except NotImplementedError as error:
                told = str(error)
            except Exception:  # noqa: S110  (that was no request of this provider's)
                pass
        if told:
            pytest.fail(f"{type(self).__name__}: {told}", pytrace=False)

    @asynccontextmanager
    async def staged(self, found: tuple[ProviderSpec[Any], object], backend: str) -> AsyncGenerator[Stage]:
        """What the fixture `stage` is, for a test that runs event loops of its own."""
        spec, plugin = found
        self._look_over()
        broken: list[Exception] = []
        async with Lab(on_error=broken.append) as lab:
            vendor = self.start(lab)
            yield Stage(
                spec=spec,
                plugin=plugin,
                target=Target(self.provider, self.model),
                lab=lab,
                vendor=vendor,
                config=self.config(vendor),
                route=self.route,
                backend=backend,
            )
        if broken:
            raise AssertionError(
                f"the lab's vendor had no answer, since {type(self.dialect).__name__} raised {broken[0]!r}: what the "
                "test says above may come of that"
            ) from broken[0]
