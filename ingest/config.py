"""What a company configured: HOME/config/sources.yml and policies.yml, checked with pydantic.

Every problem of a file is named at once: file, line, key, what was found, what is allowed.
"""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Final, Generic, Literal, TypeVar, get_args
from urllib.parse import urlsplit

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictStr, ValidationError
from pydantic_core import ErrorDetails

from ingest.allocation_policies import AllocationPolicy, list_default_rows
from ingest.home import Home
from ingest.server_options import check_server_options
from ingest.source import ChecksOptions, OptionProblem, SourceKind
from ingest.validity import Validity, find_overlaps
from ingest.wording import list_names

STORAGE_OPTIONS: Final = ("region", "endpoint_url", "profile")
"""Options of every kind of source; a kind may read more of its own."""

SERVER_SCHEMES: Final = ("http", "https", "postgresql", "bigquery", "cloudbilling", "billingbudgets")
"""What a location that is asked and not listed starts with."""

_PLACES: Final = "a path, a glob, a folder, s3://bucket/prefix, gs://bucket/prefix, az://container/prefix"
_SECRET_PATTERN: Final = re.compile(
    r"(?:secret|password|access_key|account_key|connection_string)(?!_env$|_file$)|token$", re.IGNORECASE
)
_CONTROL_PATTERN: Final = re.compile(r"[\x00-\x1f\x7f]")
_NAME_PATTERN: Final = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")


class ConfigError(Exception):
    """A config file cannot be used. `problems` has one sentence for each thing wrong with it."""

    def __init__(self, path: Path, problems: Sequence[str]) -> None:
        self.path = path
        self.problems = tuple(problems)
        super().__init__("\n".join([f"{path}: {len(problems)} problem(s)", *(f"  - {text}" for text in problems)]))


def _check_name(name: str) -> str:
    if not _NAME_PATTERN.fullmatch(name):
        raise ValueError("lower-case letters and digits, joined by - or _, such as aws-focus")
    return name


def _check_location(location: str) -> str:
    if not location.strip() or _CONTROL_PATTERN.search(location):
        raise ValueError(_PLACES)
    scheme, separator, _ = location.partition("://")
    if separator and scheme not in ("s3", "gs", "az") and scheme not in SERVER_SCHEMES:
        raise ValueError(f"{_PLACES} or a server; no other scheme is read")
    return location


def is_server(location: str) -> bool:
    """True for the address of a server, which is asked and not listed."""
    scheme, separator, _ = location.partition("://")
    return bool(separator) and scheme in SERVER_SCHEMES


def _check_options(options: dict[str, Any]) -> dict[str, Any]:
    problems: list[str] = []
    for name, value in options.items():
        near = difflib.get_close_matches(name, STORAGE_OPTIONS, n=1, cutoff=0.8)
        if name in STORAGE_OPTIONS and not (isinstance(value, str) and value):
            problems.append(f"{name} as a text that is not empty")
        elif _SECRET_PATTERN.search(name):
            problems.append(f"no {name}: keys come from the environment or from files, never from here")
        elif near and name not in STORAGE_OPTIONS:
            # A kind's own options are the kind's to judge, but a slip in a common one would pass unseen.
            problems.append(f"{near[0]}, not {name}")
    endpoint = options.get("endpoint_url")
    if isinstance(endpoint, str) and endpoint:
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.netloc or "@" in parts.netloc or parts.query:
            problems.append("endpoint_url as http(s)://host[:port], with no user or password or signature in it")
    if problems:
        raise ValueError("; ".join(problems))
    return options


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceConfig(_Strict):
    """One source of sources.yml. `options` has the storage options and whatever else its kind reads."""

    name: Annotated[StrictStr, AfterValidator(_check_name)]
    kind: StrictStr
    location: Annotated[StrictStr, AfterValidator(_check_location)]
    options: Annotated[dict[str, Any], AfterValidator(_check_options)] = Field(
        default_factory=dict, validate_default=True
    )


class SourcesFile(_Strict):
    """sources.yml."""

    reporting_currency: Literal["USD"] = "USD"
    sources: tuple[SourceConfig, ...] = ()


_RATE: Final = Field(max_digits=18, decimal_places=9)  # as rates are held in the warehouse


class UnpricedExposure(_Strict):
    """USD per million tokens assumed for tokens without a known price: shown as exposure, never as cost."""

    input: Annotated[Decimal, _RATE, Field(ge=0)] = Decimal(3)
    output: Annotated[Decimal, _RATE, Field(ge=0)] = Decimal(15)


class Policies(_Strict):
    """policies.yml, with what holds where it is silent."""

    unpriced_exposure_usd_per_mtok: UnpricedExposure = UnpricedExposure()
    gpu_idle_activity_share: Annotated[Decimal, _RATE, Field(ge=0, le=1)] = Decimal("0.05")
    """A held GPU with less activity than this is idle."""

    gpu_sample_gap_multiple: Annotated[Decimal, _RATE, Field(ge=1)] = Decimal(3)
    """A gap between samples of more than this many usual steps is unknown time."""

    restatement_materiality_usd: Annotated[Decimal, _RATE, Field(ge=0)] = Decimal(1)
    """A closed statement that changed by less is listed, and need not be sent again."""

    restatement_materiality_share: Annotated[Decimal, _RATE, Field(ge=0, le=1)] = Decimal("0.001")
    """The same, as a share of the statement; the greater of the two holds."""

    allocation: tuple[AllocationPolicy, ...] = ()
    """Who pays for what nobody owns alone."""


def load_sources(home: Home, known_kinds: Mapping[str, SourceKind]) -> SourcesFile:
    """sources.yml, each source of one of `known_kinds`, with options that its server reads. Raises `ConfigError`."""
    document = _Document(home.sources_path, SourcesFile)
    problems = list(document.problems)
    first_position: dict[str, int] = {}
    for position, source in enumerate(document.list_at("sources")):
        name, kind = (source.get("name"), source.get("kind")) if isinstance(source, dict) else (None, None)
        if isinstance(kind, str) and kind not in known_kinds:
            key = ("sources", position, "kind")
            problems.append(document.describe(key, repr(kind), list_names(kind, known_kinds)))
        if isinstance(name, str) and first_position.setdefault(name, position) != position:
            taken = f"a name of its own; sources[{first_position[name]}] has this one"
            problems.append(document.describe(("sources", position, "name"), repr(name), taken))
    for position, source in enumerate(document.value.sources if document.value and not problems else ()):
        for problem in (
            *_check_server(source, known_kinds[source.kind]),
            *_check_kind(source, known_kinds[source.kind]),
        ):
            key = ("sources", position, *problem.name.split("."))
            problems.append(document.describe(key, problem.found, problem.allowed))
        scope = source.options.get("scope", "all")
        is_name = isinstance(scope, str) and bool(scope.strip())
        if known_kinds[source.kind].refuses_whole_deliveries and not is_name:
            allowed = "a name for the part of the billing account that the export covers, such as research"
            problems.append(document.describe(("sources", position, "options", "scope"), repr(scope), allowed))
    if problems or document.value is None:
        raise ConfigError(home.sources_path, problems)
    return document.value


def _check_server(source: SourceConfig, kind: SourceKind) -> Iterator[OptionProblem]:
    """What is wrong with a location that is a server's address, and with its options, by dotted key."""
    if not is_server(source.location):
        return
    schemes = () if kind.server is None else kind.server.schemes
    parts = urlsplit(source.location)
    if kind.server is None or parts.scheme not in schemes:
        allowed = _PLACES + "".join(f", {scheme}://host" for scheme in schemes)
        yield OptionProblem("location", repr(parts.scheme), f"{allowed}; no other scheme is read by {kind.kind}")
        return
    if not parts.netloc or "@" in parts.netloc or parts.query or parts.fragment:
        allowed = f"{parts.scheme}://host[:port][/path] with no user, password or query in it"
        yield OptionProblem("location", "another address", allowed)
    is_http = parts.scheme in ("http", "https")
    for problem in (
        *check_server_options(source.options, is_http=is_http),
        *kind.server.check_options(source.options),
    ):
        yield OptionProblem(f"options.{problem.name}", problem.found, problem.allowed)


def _check_kind(source: SourceConfig, kind: SourceKind) -> Iterator[OptionProblem]:
    if isinstance(kind, ChecksOptions) and not is_server(source.location):
        own = {name: value for name, value in source.options.items() if name not in STORAGE_OPTIONS}
        for problem in kind.check_options(own):
            yield OptionProblem(f"options.{problem.name}", problem.found, problem.allowed)


def load_policies(home: Home) -> dict[str, str]:
    """Every number by dotted key, as plain decimal text (`0.05`, `3`), defaults included. Raises `ConfigError`."""
    return _flatten_policies(_load_policies_file(home)[0])


def list_built_in_policies() -> dict[str, str]:
    """Every number by dotted key as it is where policies.yml says nothing."""
    return _flatten_policies(Policies())


def load_allocation_policies(home: Home) -> list[dict[str, Any]]:
    """Rows of `config_allocation_policies`, with the line of each entry as `_position`; defaults included, which have
    none. Raises `ConfigError`.
    """
    policies, lines = _load_policies_file(home)
    rows = [
        row | {"_position": line}
        for policy, line in zip(policies.allocation, lines, strict=True)
        for row in policy.to_rows()
    ]
    return rows + list_default_rows(policies.allocation)


def _load_policies_file(home: Home) -> tuple[Policies, list[int]]:
    """policies.yml, and the line of each entry of `allocation`."""
    if not home.policies_path.exists():
        return Policies(), []
    document = _Document(home.policies_path, Policies)
    policies, problems = document.value, list(document.problems)
    lines: list[int] = []
    if policies is not None:
        lines = [document.find_line(("allocation", position)) for position in range(len(policies.allocation))]
        problems += _find_overlapping_policies(document, policies.allocation)
    if problems or policies is None:
        raise ConfigError(home.policies_path, problems)
    return policies, lines


def _find_overlapping_policies(document: "_Document[Policies]", policies: Sequence[AllocationPolicy]) -> Iterator[str]:
    by_pool: dict[tuple[str, str], list[Validity]] = {}
    for position, policy in enumerate(policies):
        validity = Validity(policy.valid_from, policy.valid_to, position)
        by_pool.setdefault((policy.subject, policy.pool), []).append(validity)
    for (subject, pool), validities in by_pool.items():
        for one, other in find_overlaps(validities):
            later, earlier = (one, other) if one.line > other.line else (other, one)
            line = document.find_line(("allocation", earlier.line))
            allowed = (
                f"one entry at a time for {subject} of {pool}, and allocation[{earlier.line}] (line {line}), "
                f"{policies[earlier.line].policy_id}, holds {earlier}; end one where the other begins"
            )
            found = f"{policies[later.line].policy_id} {later}"
            yield document.describe(("allocation", later.line, "valid_from"), found, allowed)


def _flatten_policies(model: BaseModel, prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        if name == "allocation":  # rows of their own
            continue
        if isinstance(value, BaseModel):
            flat |= _flatten_policies(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = format(value.normalize(), "f")
    return flat


# --- reading YAML and naming what is wrong ---------------------------------------------------------------------------

_Key = tuple[int | str, ...]
_PLAIN_TYPES: Final = {"string_type": "a text", "tuple_type": "a list", "dict_type": "a mapping of keys to values"}
_ModelT = TypeVar("_ModelT", bound=BaseModel)


class _Loader(yaml.SafeLoader):
    """Numbers with a point stay exact decimals; days stay text, so that 2026-02-30 is told with its line."""


def _construct_decimal(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Decimal | str:
    text = str(loader.construct_scalar(node))
    try:
        return Decimal(text.replace("_", ""))
    except InvalidOperation:
        return text


_Loader.add_constructor("tag:yaml.org,2002:float", _construct_decimal)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", yaml.SafeLoader.construct_yaml_str)


class _Document(Generic[_ModelT]):
    """One YAML file read into `model`: `value`, or `problems` that say why not."""

    def __init__(self, path: Path, model: type[_ModelT]) -> None:
        self.path = path
        self.value: _ModelT | None = None
        self.problems: list[str] = []
        self._model = model
        self._node, self._data = self._parse()
        self.problems += self._find_repeated_keys(self._node, ())
        try:
            self.value = model.model_validate({} if self._data is None else self._data)
        except ValidationError as error:
            self.problems += [self._describe_error(details) for details in error.errors()]

    def list_at(self, name: str) -> list[Any]:
        value = self._data.get(name) if isinstance(self._data, dict) else None
        return value if isinstance(value, list) else []

    def describe(self, key: _Key, found: str, allowed: str) -> str:
        return f"{_name_key(key)} (line {self.find_line(key)}): found {found}; allowed: {allowed}"

    def _parse(self) -> tuple[yaml.Node | None, Any]:
        try:
            text = self.path.read_text(encoding="utf-8-sig")
            return yaml.compose(text, Loader=_Loader), yaml.load(text, Loader=_Loader)
        except FileNotFoundError:
            problem = f"no such file; make it with `wattledger init {self.path.parent.parent}`"
        except (OSError, UnicodeDecodeError) as error:
            problem = f"cannot be read as UTF-8 text: {error}"
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
            problem = f"{line}not YAML: {error.problem or error.context}"
        except (yaml.YAMLError, ValueError) as error:
            problem = f"not YAML: {error}"
        raise ConfigError(self.path, [problem])

    def _describe_error(self, details: ErrorDetails) -> str:
        key = details["loc"]
        found = details["input"]
        if details["type"] == "extra_forbidden":
            return self.describe(key, "an unknown key", list_names(str(key[-1]), self._list_fields(key[:-1])))
        if details["type"] == "missing":
            return self.describe(key, "nothing", "this key is required")
        if details["type"] == "model_type":
            return self.describe(key, _show(found), f"a mapping with the keys {', '.join(self._list_fields(key))}")
        message = details["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
        allowed = _PLAIN_TYPES.get(details["type"], message)
        if details["type"] == "value_error" and isinstance(found, dict) and found:  # values may be secrets
            return self.describe(key, f"the keys {', '.join(map(str, found))}", allowed)
        return self.describe(key, _show(found), allowed)

    def _list_fields(self, key: _Key) -> list[str]:
        model: Any = self._model
        for part in key:
            if isinstance(part, str):
                model = model.model_fields[part].annotation
                model = next((inner for inner in get_args(model) if inner is not Ellipsis), model)
        return list(model.model_fields)

    def _find_repeated_keys(self, node: yaml.Node | None, key: _Key) -> Iterator[str]:
        if isinstance(node, yaml.SequenceNode):
            for position, item in enumerate(node.value):
                yield from self._find_repeated_keys(item, (*key, position))
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for name_node, value_node in node.value:
                name = str(name_node.value)
                if name in seen:
                    line = name_node.start_mark.line + 1
                    yield f"{_name_key((*key, name))} (line {line}): found a second time; allowed: once"
                seen.add(name)
                yield from self._find_repeated_keys(value_node, (*key, name))

    def find_line(self, key: _Key) -> int:
        node, line = self._node, 1
        for part in key:
            if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
            elif isinstance(node, yaml.MappingNode):
                pair = next((pair for pair in node.value if pair[0].value == part), None)
                if pair is None:
                    break
                line, node = pair[0].start_mark.line + 1, pair[1]
                continue
            else:
                break
            line = node.start_mark.line + 1
        return line


def _name_key(key: _Key) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return text.removeprefix(".") or "the file"


def _show(value: object) -> str:
    text = str(value) if isinstance(value, Decimal) else repr(value)
    return text if len(text) <= 100 else f"{text[:100]}…"
