"""What our code asks of TensorRT's objects, read from its syntax tree and held to a description of the real API.

The library is untyped, so types are followed by hand: from the module, through constructors, methods and properties
(the bindings' docstrings have the signatures), to variables, attributes and returns. Where one of our functions takes
such an object, its parameter's name says which (``NAMES``).
"""

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MODULE = "<module>"
NAMES = {
    "trt": MODULE,
    "builder": "Builder",
    "network": "INetworkDefinition",
    "config": "IBuilderConfig",
    "parser": "OnnxParser",
    "timing_cache": "ITimingCache",
    "runtime": "Runtime",
    "engine": "ICudaEngine",
    "context": "IExecutionContext",
}
"""Of parameters that are ``Any``."""
OTHERS = {"document", "logger", "severity", "tensor"}
"""Parameters of no type that are not the library's objects; the logger is our own class."""
DYNAMIC = {
    "ComputeCapability": ("SM75", "SM80", "SM86", "SM89", "SM120", "SM121"),
    "DataType": ("UINT8", "FLOAT", "HALF"),
}
"""Members that are looked up by a name which only running code knows."""
RETURNS = {"load_library": MODULE}
"""Of our functions in other files."""
ALIASES = {"nvonnxparser::IParserError": "ParserError"}
SIGNATURE = re.compile(r"^(?:\d+\. )?(\w+)\((.*?)\) -> ([\w.:]+)", re.MULTILINE)
GETTER = re.compile(r"^\(.*\) -> ([\w.:]+)")


@dataclass(frozen=True)
class Signature:
    """One overload: its parameters without ``self``, how many of them are due, and what it returns."""

    parameters: tuple[str, ...]
    due: int
    returns: str

    def takes(self, positional: int, keywords: set[str]) -> bool:
        named = set(self.parameters[positional:])
        due = set(self.parameters[positional : self.due])
        return positional <= len(self.parameters) and keywords <= named and due <= keywords


@dataclass(frozen=True)
class Class:
    """A class of the library, itself."""

    name: str


@dataclass(frozen=True)
class Method:
    """Of a class of the library, not called yet; ``unbound`` where the class was asked for it."""

    owner: str
    name: str
    unbound: bool = False


@dataclass(frozen=True)
class Own:
    """An object of a class in the file that is read."""

    name: str


Kind = str | Class | Method | Own | tuple[Any, ...] | None
"""Of an expression: the name of its class in the library, ``MODULE``, one of the above, or not the library's."""


@dataclass
class Calls:
    """What a file asks for, as ``Builder.create_network``; what of it the API lacks; what does not fit or follow."""

    used: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)


def read_calls(path: Path, api: dict[str, Any]) -> Calls:
    """Everything that a file asks of the library."""
    return _Reader(path, api).read()


def signatures(doc: str | None) -> list[Signature]:
    """Of a pybind11 docstring."""
    return [_signature(match) for match in SIGNATURE.finditer(doc or "")]


def _signature(match: re.Match[str]) -> Signature:
    parameters = [part.strip() for part in _split(match[2]) if part.strip()]
    own = [part for part in parameters if not part.startswith("self")]
    due = sum("=" not in part for part in own)
    return Signature(tuple(part.partition(":")[0].strip() for part in own), due, class_name(match[3]))


def _split(parameters: str) -> list[str]:
    """At the commas that are not inside brackets."""
    return re.split(r",(?![^\[]*\])", parameters)


def class_name(text: str) -> str:
    """Of a type in a signature, its module left out."""
    return ALIASES.get(text, text.rpartition(".")[2])


class _Reader:
    def __init__(self, path: Path, api: dict[str, Any]) -> None:
        self.path, self.classes, self.names = path, api["classes"], api["names"]
        self.tree = ast.parse(path.read_text(), str(path))
        self.own = {node.name for node in self.tree.body if isinstance(node, ast.ClassDef)}
        self.calls = Calls()
        self.returns: dict[str, Kind] = dict(RETURNS)
        self.attributes: dict[tuple[str, str], Kind] = {}
        self.types: dict[str, Kind] = {}

    def read(self) -> Calls:
        """Three passes: what functions return and attributes hold depends on each other."""
        for _ in range(3):
            self.calls = Calls()
            for owner in self.tree.body:
                inside = owner.body if isinstance(owner, ast.ClassDef) else [owner]
                for function in inside:
                    if isinstance(function, ast.FunctionDef):
                        self.read_function(function, owner)
        return self.calls

    def read_function(self, function: ast.FunctionDef, owner: ast.AST) -> None:
        self.types = {"self": Own(owner.name)} if isinstance(owner, ast.ClassDef) else {}
        nodes = sorted(ast.walk(function), key=lambda node: getattr(node, "lineno", 0))
        for node in nodes:
            if isinstance(node, ast.FunctionDef):
                self.add_parameters(node)
        for node in nodes:
            if isinstance(node, ast.Assign):
                self.assign(node.targets[0], self.kind(node.value))
            elif isinstance(node, ast.Return) and node.value is not None:
                self.returns[function.name] = self.kind(node.value) or self.returns.get(function.name)
        for node in nodes:
            self.check(node)

    def check(self, node: ast.AST) -> None:
        if isinstance(node, ast.Attribute):
            self.check_attribute(node)
        elif isinstance(node, ast.Call):
            self.check_call(node)
        elif isinstance(node, ast.For | ast.comprehension):
            self.check_loop(node.iter)
        elif isinstance(node, ast.ClassDef):
            self.check_overrides(node)

    def add_parameters(self, function: ast.FunctionDef) -> None:
        for argument in [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]:
            annotation = "" if argument.annotation is None else ast.unparse(argument.annotation).strip("'")
            if annotation in self.own:
                self.types[argument.arg] = Own(annotation)
            elif annotation == "Any" and argument.arg in NAMES:
                self.types[argument.arg] = NAMES[argument.arg]
            elif annotation == "Any" and argument.arg not in OTHERS:
                self.fault(argument, f"parameter {argument.arg!r} is Any: say in {Path(__file__).name} what it is")

    def assign(self, target: ast.expr, kind: Kind) -> None:
        if isinstance(target, ast.Tuple) and isinstance(kind, tuple):
            for part, its_kind in zip(target.elts, kind, strict=True):
                self.assign(part, its_kind)
        elif isinstance(target, ast.Name) and kind is not None:
            self.types[target.id] = kind
        elif isinstance(target, ast.Attribute):
            holder = self.kind(target.value)
            if isinstance(holder, Own):
                self.attributes[holder.name, target.attr] = kind

    def kind(self, node: ast.expr) -> Kind:
        if isinstance(node, ast.Name):
            return self.types.get(node.id)
        if isinstance(node, ast.Tuple):
            return tuple(self.kind(part) for part in node.elts)
        if isinstance(node, ast.Attribute):
            return self.attribute_kind(node)
        if isinstance(node, ast.Call):
            return self.result(node)
        return None

    def attribute_kind(self, node: ast.Attribute) -> Kind:
        owner = self.kind(node.value)
        if owner == MODULE:
            return Class(node.attr) if node.attr in self.classes else None
        if isinstance(owner, Own):
            return self.attributes.get((owner.name, node.attr))
        if isinstance(owner, Class):
            return self.member_kind(owner.name, node.attr, unbound=True)
        return self.member_kind(owner, node.attr, unbound=False) if isinstance(owner, str) else None

    def member_kind(self, name: str, member: str, *, unbound: bool) -> Kind:
        found = self.classes[name].get(member, {"kind": "missing"})
        if found["kind"] == "method":
            return Method(name, member, unbound)
        if found["kind"] == "class":
            return Class(found["name"])
        if found["kind"] == "value":
            return name
        match = GETTER.match(found.get("doc") or "")
        return self.known(match[1]) if match else None

    def result(self, node: ast.Call) -> Kind:
        called = self.kind(node.func)
        if isinstance(called, Class):
            return called.name
        if isinstance(called, Method):
            found = signatures(self.classes[called.owner][called.name]["doc"])
            return self.known(found[0].returns) if found else None
        if isinstance(node.func, ast.Name):
            return Own(node.func.id) if node.func.id in self.own else self.returns.get(node.func.id)
        if isinstance(node.func, ast.Attribute) and isinstance(self.kind(node.func.value), Own):
            return self.returns.get(node.func.attr)
        return None

    def known(self, text: str) -> str | None:
        name = class_name(text)
        return name if name in self.classes else None

    def check_attribute(self, node: ast.Attribute) -> None:
        owner = self.kind(node.value)
        if owner is None:
            self.check_unknown(node)
        elif owner == MODULE:
            self.use(node, node.attr, node.attr in self.names)
        elif isinstance(owner, Class | str):
            name = owner.name if isinstance(owner, Class) else owner
            found = self.classes[name].get(node.attr)
            self.use(node, f"{name}.{node.attr}", found is not None)
            if node.attr == "__members__":
                self.use_dynamic(node, name)
            if found and isinstance(node.ctx, ast.Store) and not found.get("settable"):
                self.fault(node, "cannot be set")

    def use(self, node: ast.AST, name: str, there: bool) -> None:
        self.calls.used.add(name)
        if not there:
            self.calls.missing.add(name)

    def use_dynamic(self, node: ast.AST, name: str) -> None:
        if name not in DYNAMIC:
            self.fault(node, f"say in {Path(__file__).name}, DYNAMIC, which members of {name} it may be")
        for member in DYNAMIC.get(name, ()):
            self.use(node, f"{name}.{member}", member in self.classes[name])

    def check_unknown(self, node: ast.Attribute) -> None:
        """A name of the library's, on an object that was not recognised, would be a call that nobody checks."""
        if "_" in node.attr.strip("_") and not node.attr.startswith("_"):
            owners = [name for name, members in self.classes.items() if node.attr in members]
            if owners:
                self.fault(node, f"is it {owners[0]}'s? The object's type could not be followed")

    def check_call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and node.func.id == "getattr" and node.args:
            looked_in = self.kind(node.args[0])
            if looked_in is not None and not isinstance(looked_in, Own):
                self.use_dynamic(node, looked_in.name if isinstance(looked_in, Class) else str(looked_in))
        called = self.kind(node.func)
        if isinstance(called, Class):
            called = Method(called.name, "__init__")
        spread = any(isinstance(one, ast.Starred) for one in node.args) or any(one.arg is None for one in node.keywords)
        if not isinstance(called, Method) or spread:
            return
        found = signatures(self.classes[called.owner][called.name]["doc"])
        positional, keywords = len(node.args) - called.unbound, {one.arg for one in node.keywords if one.arg}
        if found and not any(one.takes(positional, keywords) for one in found):
            choices = " or ".join(f"({', '.join(one.parameters)})" for one in found)
            self.fault(node, f"{called.owner}.{called.name} takes {choices}")

    def check_overrides(self, node: ast.ClassDef) -> None:
        """Methods of a class of ours that the library calls: it knows them by their names."""
        for base in [kind for kind in map(self.kind, node.bases) if isinstance(kind, Class)]:
            for method in [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name != "__init__"]:
                found = self.classes[base.name].get(method.name)
                self.use(method, f"{base.name}.{method.name}", found is not None)
                real = signatures(found["doc"]) if found else []
                if real and not any(one.takes(len(method.args.args) - 1, set()) for one in real):
                    self.fault(method, f"{base.name}.{method.name} is called with {real[0].parameters}")

    def check_loop(self, over: ast.expr) -> None:
        if isinstance(self.kind(over), str):
            self.fault(over, "goes through an object of the library: what comes out cannot be followed")

    def fault(self, node: ast.AST, text: str) -> None:
        source = ast.unparse(node) if isinstance(node, ast.expr) else getattr(node, "arg", "")
        self.calls.faults.append(f"{self.path.name}:{getattr(node, 'lineno', 0)}: {source}: {text}")
