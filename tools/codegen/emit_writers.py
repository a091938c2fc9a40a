"""C writers of the two fast-lane responses.

A struct that holds a list of ``lanes.STREAMED``, or records, is written in two calls, ``_open`` and
``_close``: between them the caller writes the elements, or sends the records from a file. All
others are written whole.
"""

from __future__ import annotations

import itertools

from tools.codegen.emit_c import FOLDER, HEADER
from tools.codegen.lanes import ADVERTISED_FROM, STREAMED, WRITERS
from tools.codegen.sources import Sources
from tools.codegen.spec import Field, Message, SpecError, Struct, Versions, snake_case

INTEGERS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}

H_TEMPLATE = """{header}#ifndef PYLOG_GEN_RESPONSES_H
#define PYLOG_GEN_RESPONSES_H

/* The responses of the fast lane, without their header.
 *
 * Between X_open and X_close the caller writes what X_open has written the count or the length
 * of. Each struct has its defaults in X_default; what a version does not have is not written.
 * A count or length of -1 is null. Pointers belong to the caller.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/cursor.h"
#include "base/writer.h"
{body}
#endif
"""

C_TEMPLATE = """{header}#include "gen/responses.h"

#include <stdbool.h>
{body}"""


def files(sources: Sources) -> dict[str, str]:
    """The header and the source: path from the root → text."""
    writers = [_Writer(sources.messages[name], names) for name, names in WRITERS.items()]
    declarations = "".join(writer.declarations() for writer in writers)
    definitions = "".join(writer.definitions() for writer in writers)
    return {
        f"{FOLDER}/responses.h": H_TEMPLATE.format(header=HEADER, body=declarations),
        f"{FOLDER}/responses.c": C_TEMPLATE.format(header=HEADER, body=definitions),
    }


class _Writer:
    """Writes the C of one message; ``names`` says what its structs are called."""

    def __init__(self, message: Message, names: dict[str, str]) -> None:
        self._message = message
        self._structs = {struct.name: struct for struct in message.structs}
        stem = f"pl_{snake_case(message.name)}"
        self._names = {name: f"{stem}_{short}" for name, short in names.items()}
        self._names[message.name] = stem

    def declarations(self) -> str:
        return "".join(self._declare(struct) for struct in self._message.structs)

    def definitions(self) -> str:
        return "".join(self._define(struct) for struct in self._message.structs)

    def _is_left_to_caller(self, field: Field) -> bool:
        """Whether the caller writes what this field counts."""
        return field.type == "records" or (field.is_array and field.name in STREAMED)

    def _is_split(self, struct: Struct) -> bool:
        return any(self._is_left_to_caller(field) for field in struct.fields)

    # ---- header ----

    def _declare(self, struct: Struct) -> str:
        name = self._names[struct.name]
        members = "".join(f"    {self._member(field)}\n" for field in struct.fields)
        parts = ("open", "close") if self._is_split(struct) else ("write",)
        functions = "".join(f"{self._prototype(name, part)};\n" for part in parts)
        default = f"extern const struct {name}\n    {name}_default;\n"
        return f"\nstruct {name} {{\n{members}}};\n{default}{functions}"

    @staticmethod
    def _prototype(name: str, part: str) -> str:
        start = f"void {name}_{part}(struct pl_writer *w, int16_t version,\n"
        return start + f"    const struct {name} *in)"

    def _member(self, field: Field) -> str:
        note = f"/* {'tag ' + str(field.tag) + ', ' if field.tag is not None else ''}"
        note += f"versions {field.versions} */"
        if field.type == "records":
            return f"int32_t {field.name}_length; {note}"
        if self._is_left_to_caller(field):
            return f"int32_t {field.name}_count; {note}"
        if field.is_array:
            element = f"struct {self._names[field.type]}"
            return f"const {element} *{field.name}; {note}\n    int32_t {field.name}_count;"
        if field.is_struct:
            return f"struct {self._names[field.type]} {field.name}; {note}"
        if field.type in INTEGERS:
            return f"{field.type}_t {field.name}; {note}"
        if field.type == "uuid":
            return f"const uint8_t *{field.name}; {note}"
        return f"struct pl_span {field.name}; {note}"

    # ---- source ----

    def _define(self, struct: Struct) -> str:
        name = self._names[struct.name]
        text = f"\nconst struct {name}\n    {name}_default = {{\n{self._defaults(struct)}}};\n"
        tagged = [field for field in struct.fields if field.tag is not None]
        text += self._define_tags(struct, tagged) if tagged else ""
        end = f"{name}_tags(w, version, in);" if tagged else "pl_write_uvarint(w, 0);"
        before, after = self._halves(struct)
        if self._is_split(struct):
            return (
                text
                + self._function(name, "open", before)
                + self._function(name, "close", [*after, end], tags=True)
            )
        return text + self._function(name, "write", [*before, end], tags=True)

    def _defaults(self, struct: Struct) -> str:
        lines = []
        for field in struct.fields:
            if field.is_array or field.type == "records":
                suffix = "length" if field.type == "records" else "count"
                lines.append(f".{field.name}_{suffix} = {0 if field.default is not None else -1}")
            elif field.is_struct:
                inner = self._defaults(self._structs[field.type]).replace("\n", " ")
                lines.append(f".{field.name} = {{{' '.join(inner.split())}}}")
            elif field.type == "string":
                lines.append(f".{field.name} = {{{self._text_default(field)}}}")
            elif field.type != "uuid" and field.default:
                lines.append(f".{field.name} = {int(field.default)}")
        lines = lines or [f".{struct.fields[0].name} = 0"]
        return "".join(f"    {line},\n" for line in lines)

    @staticmethod
    def _text_default(field: Field) -> str:
        return "NULL, -1" if field.default is None else '(const uint8_t *)"", 0'

    def _halves(self, struct: Struct) -> tuple[list[str], list[str]]:
        """Lines up to what the caller writes, and lines behind it."""
        halves: list[list[Field]] = [[], []]
        current = halves[0]
        for field in struct.fields:
            if field.tag is None:
                current.append(field)
            if self._is_left_to_caller(field):
                if current is halves[1]:
                    raise SpecError(f"{struct.name} has two fields that the caller writes")
                current = halves[1]
        return self._guarded(halves[0]), self._guarded(halves[1])

    def _guarded(self, fields: list[Field]) -> list[str]:
        """The writes of these fields, each run of the same versions behind one test."""
        lines = []
        for condition, run in itertools.groupby(
            fields, lambda field: self._condition(field.versions)
        ):
            body = [line for field in run for line in self._write(field)]
            if condition:
                body = [f"if ({condition}) {{", *(f"    {line}" for line in body), "}"]
            lines += body
        return lines

    def _function(self, name: str, part: str, lines: list[str], tags: bool = False) -> str:
        body = lines[:-1] if tags else lines
        first = self._message.flexible.first
        flexible = [f"const bool flexible = version >= {first};"]
        if tags:
            guard = "flexible" if any("flexible" in line for line in body) else None
            flexible = flexible if guard else []
            body = [*body, f"if ({guard or f'version >= {first}'}) {{", f"    {lines[-1]}", "}"]
        text = "".join(f"    {line}\n" for line in [*flexible, *body])
        if "in->" not in text and "in)" not in text:
            text = "    (void)in;\n" + text
        return f"\n{self._prototype(name, part)} {{\n{text}}}\n"

    def _write(self, field: Field, flexible: str = "flexible") -> list[str]:
        value = f"in->{field.name}"
        if field.type == "records":
            return [f"pl_write_count(w, {flexible}, {value}_length);"]
        if field.is_array:
            return self._write_list(field, flexible)
        if field.is_struct:
            return [f"{self._names[field.type]}_write(w, version, &{value});"]
        if field.type in INTEGERS:
            return [f"pl_write_i{INTEGERS[field.type]}(w, {value});"]
        if field.type == "uuid":
            return [f"pl_write_bytes(w, {value}, 16);"]
        return [f"pl_write_string(w, {flexible}, {value});"]

    def _write_list(self, field: Field, flexible: str) -> list[str]:
        lines = [f"pl_write_count(w, {flexible}, in->{field.name}_count);"]
        if self._is_left_to_caller(field):
            return lines
        element = f"&in->{field.name}[i]"
        return [
            *lines,
            f"for (int32_t i = 0; i < in->{field.name}_count; i++) {{",
            f"    {self._names[field.type]}_write(w, version, {element});",
            "}",
        ]

    def _define_tags(self, struct: Struct, tagged: list[Field]) -> str:
        name = self._names[struct.name]
        text = "".join(self._define_tag(name, field) for field in tagged)
        lines = [f"const bool has_{field.name} = {self._is_set(field)};" for field in tagged]
        count = " + ".join(f"has_{field.name}" for field in tagged)
        lines.append(f"pl_write_uvarint(w, (uint32_t)({count}));")
        for field in tagged:
            writer = f"{name}_{field.name}"
            lines += [
                f"if (has_{field.name}) {{",
                "    struct pl_writer size = {0};",
                f"    {writer}(&size, version, in);",
                f"    pl_write_uvarint(w, {field.tag});",
                "    pl_write_uvarint(w, (uint32_t)size.length);",
                f"    {writer}(w, version, in);",
                "}",
            ]
        return f"{text}\nstatic {self._prototype(name, 'tags')} {{\n" + self._indent(lines) + "}\n"

    def _define_tag(self, name: str, field: Field) -> str:
        body = self._indent(self._write(field, "true"))
        return f"\nstatic {self._prototype(name, field.name)} {{\n{body}}}\n"

    @staticmethod
    def _indent(lines: list[str]) -> str:
        return "".join(f"    {line}\n" for line in lines)

    def _is_set(self, field: Field) -> str:
        condition = self._condition(field.versions)
        prefix = f"{condition} &&" if condition else ""
        if field.is_array:
            return f"{prefix} in->{field.name}_count != 0"
        members = [
            f"in->{field.name}.{inner.name} != {int(inner.default or 0)}"
            for inner in self._structs[field.type].fields
        ]
        return f"{prefix}\n        ({' || '.join(members)})"

    def _condition(self, versions: Versions) -> str:
        """A test of ``version``; empty where all versions pass."""
        valid = self._message.valid
        floor = ADVERTISED_FROM.get(self._message.api_key or 0, valid.first)
        tests = []
        if versions.first > floor:
            tests.append(f"version >= {versions.first}")
        if versions.last < valid.last:
            tests.append(f"version <= {versions.last}")
        return " && ".join(tests)
