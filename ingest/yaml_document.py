"""One YAML file of HOME/config read into a pydantic model, with every problem named: line, key, found, allowed."""

from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, Generic, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ingest.wording import list_names

_Key = tuple[int | str, ...]
_PLAIN_TYPES: Final = {"string_type": "a text", "tuple_type": "a list", "dict_type": "a mapping of keys to values"}
_ModelT = TypeVar("_ModelT", bound=BaseModel)


class ConfigError(Exception):
    """A config file cannot be used. `problems` has one sentence for each thing wrong with it."""

    def __init__(self, path: Path, problems: Sequence[str]) -> None:
        self.path = path
        self.problems = tuple(problems)
        super().__init__("\n".join([f"{path}: {len(problems)} problem(s)", *(f"  - {text}" for text in problems)]))


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


class YamlDocument(Generic[_ModelT]):
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
        except RecursionError:
            problem = "not YAML that can be read: its brackets are nested too deep"
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
