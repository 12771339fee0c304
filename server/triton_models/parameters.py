"""What a bundled model's config.pbtxt says: `parameters`, and where Triton put the instance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from budgetmem import assets
from budgetmem.errors import AssetError, ConfigError

TRITON_OWN = frozenset({"EXECUTION_ENV_PATH", "FORCE_CPU_ONLY_INPUT_TENSORS"})
"""Parameters that the Python backend reads itself."""


@dataclass(frozen=True)
class ModelParameters:
    """The strings of `parameters`, and the device of this instance (`cpu` or `cuda:N`)."""

    model_name: str
    device: str = "cpu"
    values: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_triton(cls, args: Mapping[str, str]) -> ModelParameters:
        """Reads the `args` that Triton hands to `initialize`."""
        config = json.loads(args["model_config"])
        values = {
            name: parameter["string_value"]
            for name, parameter in config.get("parameters", {}).items()
            if name not in TRITON_OWN
        }
        on_gpu = args.get("model_instance_kind", "").upper().endswith("GPU")
        device = f"cuda:{args['model_instance_device_id']}" if on_gpu else "cpu"
        return cls(args["model_name"], device, values)

    def text(self, name: str, default: str = "") -> str:
        return self.values.get(name) or default

    def integer(self, name: str, default: int) -> int:
        """Raises ConfigError where the parameter is not a whole number >= 0."""
        value = self.text(name, str(default))
        if not value.isdecimal():
            raise ConfigError(
                f"{self.model_name}: parameter {name!r} must be a whole number, is {value!r}"
            )
        return int(value)

    def others(self, *known: str) -> dict[str, str]:
        """The parameters that are not among `known`."""
        return {name: value for name, value in self.values.items() if name not in known}

    def weights(self) -> Path:
        """The path in `model`, or else the folder of the installed asset in `asset`.

        Raises ConfigError where neither is given, AssetError where nothing is there.
        """
        if model := self.text("model"):
            path = Path(model).expanduser()
            if not path.exists():
                raise AssetError(f"{self.model_name}: parameter 'model': {path} does not exist")
            return path
        if asset := self.text("asset"):
            return assets.asset_dir(asset)
        raise ConfigError(f"{self.model_name}: needs the parameter 'model' (a path) or 'asset'")
