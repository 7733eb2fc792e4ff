"""Profiles: a client's device and its link to the server, each number with its source. Files are TOML.

description = "a home on cable"
down = 5e6             # bit/s from the server to the client
up = 1e6               # bit/s from the client to the server
round_trip = 0.028     # s
flops = 50e9           # FLOP/s that training achieves
server_flops = 1e12    # FLOP/s of the server
joules_per_flop = 1e-10    # optional, of the device
joules_per_byte = 1e-6     # optional, of its link

[sources]              # where each of these numbers is from
down = "..."
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from benchmark.errors import RequestError, unknown

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
AmountOrNone = Annotated[float, Field(ge=0, allow_inf_nan=False)] | None
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Profile(BaseModel):
    """A device and its link; down and up in bit/s, round_trip in s, flops and server_flops in FLOP/s.

    name: that of the file; sources: where each number is from, under its name
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(pattern=r"^[\w.+-]+$", max_length=40)]
    description: Words
    down: Rate
    up: Rate
    round_trip: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    flops: Rate
    server_flops: Rate
    joules_per_flop: AmountOrNone = None
    joules_per_byte: AmountOrNone = None
    sources: Mapping[str, Words]

    @model_validator(mode="after")
    def _each_number_has_a_source(self) -> Self:
        numbers = {name for name in type(self).model_fields if isinstance(getattr(self, name), float)}
        if self.sources.keys() != numbers:
            differing = ", ".join(sorted(self.sources.keys() ^ numbers))
            raise ValueError(f"[sources] has a line for each number and for nothing else; see to {differing}")
        if (self.joules_per_flop is None) != (self.joules_per_byte is None):
            raise ValueError("joules_per_flop and joules_per_byte go together; give both or neither")
        return self


def known_profiles() -> dict[str, Path]:
    """Return the profiles that have names: name -> file."""
    return {file.stem: file for file in sorted(Path(__file__).parent.glob("*.toml"))}


def profile(text: str) -> Profile:
    """Return the profile of a name or of a path to a .toml. Raises RequestError."""
    known = known_profiles()
    if not text.endswith(".toml"):
        if text not in known:
            raise unknown("device", text, known)
        return _read(known[text])
    if not Path(text).is_file():
        raise RequestError(f"there is no file {text}; name a profile (see `list devices`) or a .toml that is there")
    return _read(Path(text))


def _read(file: Path) -> Profile:
    try:
        return Profile(name=file.stem, **tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RequestError(f"{file} can't be read as TOML ({error})") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise RequestError(f"{file}: {where + ': ' if where else ''}{first['msg']}") from error
    except TypeError as error:
        raise RequestError(f"{file}: name is the file's and not part of it") from error
