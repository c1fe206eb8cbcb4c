"""What all tables of a recipe have in common: strict types, fixed values, and no unknown keys."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["Fraction", "Section", "Tables"]

Fraction = Annotated[float, Field(ge=0, le=1)]

_Table = TypeVar("_Table")
# TOML has lists only: hence not strict.
Tables: TypeAlias = Annotated[tuple[Annotated[_Table, Field(discriminator="type")], ...], Field(strict=False)]
"""A list of tables of several kinds, such as blocks; ``type`` names the kind of each."""


class Section(BaseModel):
    """One table of a recipe; immutable. Booleans and texts are not taken for numbers."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_by_name=True, validate_by_alias=True
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, values: Any) -> Any:
        # pydantic's own message does not list the valid keys.
        if isinstance(values, dict):
            valid = {name: field.validation_alias or name for name, field in cls.model_fields.items()}
            for key in values:
                if key not in valid and key not in valid.values():
                    raise ValueError(f"unknown key {key!r}; valid keys are {', '.join(map(str, valid.values()))}")
        return values
