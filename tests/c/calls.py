"""A table of all functions in the header, for C programs that call each of them in the same ways.

Written anew for each test, so that no function can be forgotten: one whose
parameters are not understood here is an error.
"""

import re
from dataclasses import dataclass, field

# What is handed in unless a test wants something else, by the parameter's name.
# Nothing listens at port 1.
DEFAULTS = {
    "reference": '"127.0.0.1:1/a:1"',
    "references": '"127.0.0.1:1/a:1"',
    "repository": '"127.0.0.1:1/a"',
    "digest": "a_digest",
    "digests": "a_digest",
    "public_key": "a_public_key",
    "public_keys": "a_public_key",
}
# Strings that may be NULL, by function.
OPTIONAL = {
    "tagtrust_client_change_passphrase": {"passphrase"},
    "tagtrust_client_export_keys": {"gun"},
    "tagtrust_client_import_keys": {"role", "gun"},
    "tagtrust_client_init": {"root_key", "targets_key"},
    "tagtrust_client_load_key": {"name"},
    "tagtrust_client_sign": {"digest"},
    "tagtrust_client_sign_many": {"digests"},
    "tagtrust_edit_add_delegation": {"public_keys"},
    "tagtrust_edit_init": {"root_key", "targets_key"},
    "tagtrust_edit_sign": {"custom"},
    "tagtrust_server_config_set_tls": {"client_ca"},
    "tagtrust_trusted_set_new": {"config"},
}


@dataclass
class Function:
    name: str
    result: str
    handle: str = ""
    before: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    has_output: bool = False


def write_table(header: str) -> str:
    """C source: a function `call_*` for each function of the header, and the array `functions` of them all."""
    functions = [read(*declaration) for declaration in declarations(header)]
    unknown = OPTIONAL.keys() - {function.name for function in functions}
    assert not unknown, f"not in the header: {unknown}"
    table = ",\n".join(row(function) for function in functions)
    return "\n".join(map(caller, functions)) + f"\nstatic const struct function functions[] = {{\n{table},\n}};\n"


def declarations(header: str):
    """Result, name and parameters of each function."""
    code = re.sub(r"/\*.*?\*/|//[^\n]*|^#[^\n]*", "", header, flags=re.DOTALL | re.MULTILINE)
    pattern = r"^(?!typedef)([a-z][\w ]*?[ *])(tagtrust_\w+)\(([^()]*)\);"
    for result, name, parameters in re.findall(pattern, code, re.MULTILINE):
        yield result.strip(), name, [" ".join(parameter.split()) for parameter in parameters.split(",")]


def read(result: str, name: str, parameters: list[str]) -> Function:
    function = Function(name, result)
    length_of = ""
    for parameter in parameters:
        kind, _, own_name = re.fullmatch(r"(.*?)( ?)(\w+)", parameter).groups()
        if parameter == "void":
            continue
        if found := re.fullmatch(r"tagtrust_(\w+) \*\*", kind):
            read_output(function, found[1], own_name)
        elif found := re.fullmatch(r"(?:const )?tagtrust_(\w+) \*", kind):
            assert not function.handle, f"{name} takes two objects"
            function.handle = found[1]
            function.arguments.append(f"({kind})given->handle")
        elif kind in ("const char *", "const char *const *", "const uint8_t *", "const uint8_t *const *"):
            length_of = read_text(function, kind, own_name)
        elif kind == "const size_t *":
            # That of the array of bytes before it.
            function.before.append(f"const size_t {own_name} = length_of(given->text[{len(function.texts) - 1}]);")
            function.arguments.append(f"&{own_name}")
        elif kind == "const uint64_t *":
            function.arguments.append("&given->number")
            length_of = "1"
        elif kind == "size_t" and length_of and re.search("count|length", own_name):
            function.arguments.append(length_of)
        elif kind.endswith("_callback"):
            function.arguments.append("a_" + kind.removeprefix("tagtrust_"))
        elif kind == "void *":
            function.arguments.append("NULL")
        else:
            assert kind in ("bool", "int", "uint32_t", "uint64_t", "size_t"), f"{name}: what is {parameter}?"
            function.arguments.append(f"({kind})given->number")
    return function


def read_output(function: Function, kind: str, name: str):
    function.before.append(f"tagtrust_{kind} *{name} = GARBAGE(tagtrust_{kind});")
    if kind == "error":
        function.arguments.append(f"&{name}")
        function.after.append(f"CHECK(({name} != NULL) == (answer.status != TAGTRUST_OK));")
        function.after.append(f"if ({name})\n        check_error({name}, answer.status);")
    else:
        function.has_output = True
        function.arguments.append(f"given->no_output ? NULL : &{name}")
        function.after.append("if (!given->no_output) {")
        function.after.append(f"    CHECK(({name} != NULL) == (answer.status == TAGTRUST_OK));")
        function.after.append(f"    tagtrust_{kind}_free({name});\n    }}")


def read_text(function: Function, kind: str, name: str) -> str:
    """Gives the argument for the number of elements."""
    index = len(function.texts)
    is_optional = name in OPTIONAL.get(function.name, ())
    function.arguments.append(f"({kind})given->text[{index}]")
    usual = DEFAULTS.get(name, '"x"')
    function.texts.append(f'{{"{name}", {usual}, {c(is_optional)}, {c("uint8_t" in kind)}}}')
    if kind.endswith("*const *"):
        function.arguments[-1] = f"({kind})&given->text[{index}]"
        return "1"
    return f"length_of(given->text[{index}])" if kind == "const uint8_t *" else ""


def caller(function: Function) -> str:
    call = f"{function.name}({', '.join(function.arguments)})"
    if function.result == "void":
        call = f"{call};"
    elif function.result == "tagtrust_status":
        call = f"answer.status = {call};"
    elif found := re.fullmatch(r"tagtrust_(\w+) \*", function.result):
        call = f"tagtrust_{found[1]}_free({call});"
    else:
        call = f"answer.is_something = {call} != 0;"
    body = [
        "struct answer answer = {TAGTRUST_OK, false};", *function.before, "(void)given;", call, *function.after,
        "return answer;",
    ]  # fmt: skip
    lines = "".join(f"    {line}\n" for line in body)
    return f"static struct answer call_{function.name}(const struct arguments *given) {{\n{lines}}}\n"


def row(function: Function) -> str:
    handle = f"A_{function.handle.upper()}" if function.handle else "NOTHING"
    may_be_null = "config" in OPTIONAL.get(function.name, ()) and function.handle == "config"
    kind = {"tagtrust_status": "STATUS", "void": "VOID"}.get(function.result, "VALUE")
    texts = f"{len(function.texts)}, {{{', '.join(function.texts) or '{NULL, NULL, false, false}'}}}"
    flags = f"{c(may_be_null)}, {c(function.has_output)}"
    return f'    {{"{function.name}", call_{function.name}, {handle}, {kind}, {flags}, {texts}}}'


def c(value: bool) -> str:
    return "true" if value else "false"
