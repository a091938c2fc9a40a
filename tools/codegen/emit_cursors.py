"""C readers of the two fast-lane requests, in place and without allocation.

Each struct of the spec becomes a C struct and a function that reads it whole. A list of structs
becomes ``struct pl_list``: a cursor over its elements, whose caller reads them one by one.
"""

from __future__ import annotations

from tools.codegen.emit_c import FOLDER, HEADER
from tools.codegen.lanes import ADVERTISED_FROM, CURSORS
from tools.codegen.sources import Sources
from tools.codegen.spec import Field, Message, SpecError, Struct, Versions, snake_case

INTEGERS = {"int8": 1, "int16": 2, "int32": 4, "int64": 8}

H_TEMPLATE = """{header}#ifndef PYLOG_GEN_REQUESTS_H
#define PYLOG_GEN_REQUESTS_H

/* The requests of the fast lane, read in place.
 *
 *     struct pl_produce_request request;
 *     err = pl_produce_request_read(body, length, version, &request);
 *     struct pl_cursor topics = request.topic_data.elements;
 *     for (int32_t i = 0; i < request.topic_data.count; i++) {{
 *         struct pl_produce_request_topic topic;
 *         pl_produce_request_topic_read(&topics, version, &topic);
 *         ...
 *
 * A request that has been read is well formed to its last byte, so that reading the elements of
 * its lists again cannot fail. Spans and uuids point into the body. What a version does not have
 * holds the spec's default; a uuid that is not there is NULL.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/cursor.h"
#include "base/err.h"

struct pl_list {{
    struct pl_cursor elements;
    int32_t count;
}};
{body}
#endif
"""

C_TEMPLATE = """{header}#include "gen/requests.h"

#include <stdbool.h>

#include "base/limits.h"

static const struct pl_span NULL_SPAN = {{NULL, -1}};
static const struct pl_span EMPTY_SPAN = {{(const uint8_t *)"", 0}};

static struct pl_span checked(struct pl_cursor *c, struct pl_span span, bool nullable) {{
    if (span.length < 0 && !nullable) {{
        pl_cursor_fail(c, PL_ERR_INVALID);
    }}
    return span;
}}

static struct pl_span read_string(struct pl_cursor *c, bool flexible, bool nullable) {{
    return checked(c, flexible ? pl_cursor_compact_string(c) : pl_cursor_string(c), nullable);
}}

static struct pl_span read_bytes(struct pl_cursor *c, bool flexible, bool nullable) {{
    return checked(c, flexible ? pl_cursor_compact_bytes(c) : pl_cursor_bytes(c), nullable);
}}

static struct pl_list open_list(struct pl_cursor *c, bool flexible) {{
    int32_t count = flexible ? pl_cursor_compact_array(c) : pl_cursor_array(c);
    if (count < 0) {{
        pl_cursor_fail(c, PL_ERR_INVALID);
    }} else if (count > PL_MAX_PARTITIONS_PER_REQUEST) {{
        pl_cursor_fail(c, PL_ERR_LIMIT);
    }}
    struct pl_list list = {{*c, c->err == PL_OK ? count : 0}};
    return list;
}}

static uint32_t open_tags(struct pl_cursor *c) {{
    uint32_t count = pl_cursor_uvarint(c);
    if (count > PL_MAX_TAGGED_FIELDS) {{
        pl_cursor_fail(c, PL_ERR_LIMIT);
    }}
    return count;
}}

static void close_tag(struct pl_cursor *c, const struct pl_cursor *field) {{
    if (field->err != PL_OK || field->pos != field->end) {{
        pl_cursor_fail(c, PL_ERR_INVALID);
    }}
}}
{body}"""


def files(sources: Sources) -> dict[str, str]:
    """The header and the source: path from the root → text."""
    readers = [_Reader(sources.messages[name], names) for name, names in CURSORS.items()]
    declarations = "".join(reader.declarations() for reader in readers)
    definitions = "".join(reader.definitions() for reader in readers)
    return {
        f"{FOLDER}/requests.h": H_TEMPLATE.format(header=HEADER, body=declarations),
        f"{FOLDER}/requests.c": C_TEMPLATE.format(header=HEADER, body=definitions),
    }


class _Reader:
    """Writes the C of one message; ``names`` says what its structs are called."""

    def __init__(self, message: Message, names: dict[str, str]) -> None:
        self._message = message
        self._stem = f"pl_{snake_case(message.name)}"
        self._names = {name: f"{self._stem}_{short}" for name, short in names.items()}
        self._names[message.name] = self._stem

    def declarations(self) -> str:
        return "".join(self._declare(struct) for struct in self._message.structs)

    def definitions(self) -> str:
        return "".join(self._define(struct) for struct in self._message.structs)

    def _declare(self, struct: Struct) -> str:
        name = self._names[struct.name]
        members = "".join(f"    {self._member(field)}\n" for field in struct.fields)
        return f"\nstruct {name} {{\n{members}}};\n{self._prototype(struct)};\n"

    def _prototype(self, struct: Struct) -> str:
        name = self._names[struct.name]
        if struct.name == self._message.name:
            return (
                f"PL_MUST_CHECK enum pl_err {name}_read(const uint8_t *bytes, size_t length,\n"
                f"    int16_t version, struct {name} *out)"
            )
        return f"void {name}_read(struct pl_cursor *c, int16_t version,\n    struct {name} *out)"

    def _member(self, field: Field) -> str:
        note = f"/* {'tag ' + str(field.tag) + ', ' if field.tag is not None else ''}"
        note += f"versions {field.versions} */"
        if field.is_array:
            kind = f"struct {self._names[field.type]}" if field.is_struct else field.type
            return f"struct pl_list {field.name}; /* of {kind} */"
        if field.is_struct:
            return f"struct {self._names[field.type]} {field.name}; {note}"
        if field.type in INTEGERS:
            return f"{field.type}_t {field.name}; {note}"
        if field.type == "uuid":
            return f"const uint8_t *{field.name}; {note}"
        return f"struct pl_span {field.name}; {note}"

    def _define(self, struct: Struct) -> str:
        plain = [field for field in struct.fields if field.tag is None]
        tagged = [field for field in struct.fields if field.tag is not None]
        body = [self._absent(field) for field in tagged]
        body += [line for field in plain for line in self._read(field)]
        text = self._define_tags(struct, tagged) if tagged else ""
        body.append("if (flexible) {")
        reader = f"{self._names[struct.name]}_tags(c, version, out)"
        body.append(f"    {reader if tagged else 'pl_cursor_skip_tags(c)'};\n    }}")
        return f"{text}\n{self._function(struct, body)}"

    def _function(self, struct: Struct, body: list[str]) -> str:
        lines = [f"const bool flexible = version >= {self._message.flexible.first};", *body]
        if struct.name == self._message.name:
            lines.insert(0, "struct pl_cursor whole = pl_cursor_open(bytes, length), *c = &whole;")
            lines.append("return c->err;")
        text = "\n".join(f"    {line}" for line in lines)
        return f"{self._prototype(struct)} {{\n{text}\n}}\n"

    def _read(self, field: Field) -> list[str]:
        if field.is_array:
            return self._read_list(field)
        if field.is_struct:
            raise SpecError(f"{field.name}: a struct without a tag")
        value = self._value(field, "c", "flexible")
        condition = self._condition(field.versions)
        if condition:
            value = f"{condition} ? {value} : {self._default(field)}"
        return [f"out->{field.name} = {value};"]

    def _read_list(self, field: Field) -> list[str]:
        target = f"out->{field.name}"
        condition = self._condition(field.versions)
        opened = "open_list(c, flexible)"
        if condition:
            opened = f"{condition} ? {opened} : (struct pl_list){{*c, 0}}"
        lines = [f"{target} = {opened};"]
        if field.is_struct:
            name = self._names[field.type]
            lines.append(f"for (int32_t i = 0; i < {target}.count && c->err == PL_OK; i++) {{")
            lines.append(f"    struct {name} element;")
            lines.append(f"    {name}_read(c, version, &element);\n    }}")
        else:
            lines.append(f"pl_cursor_skip(c, (size_t){target}.count * {INTEGERS[field.type]});")
        return [*lines, f"{target}.elements.end = c->pos;"]

    def _define_tags(self, struct: Struct, tagged: list[Field]) -> str:
        name = self._names[struct.name]
        branches = ""
        for field in sorted(tagged, key=lambda field: field.tag or 0):
            test = " && ".join(
                part for part in (f"tag == {field.tag}", self._condition(field.versions)) if part
            )
            branches += f"{'} else ' if branches else ''}if ({test}) {{\n"
            branches += f"            {self._read_tagged(field)}\n        "
        return (
            f"\nstatic void {name}_tags(struct pl_cursor *c, int16_t version,\n"
            f"    struct {name} *out) {{\n"
            "    for (uint32_t n = open_tags(c); n > 0 && c->err == PL_OK; n--) {\n"
            "        uint32_t tag = pl_cursor_uvarint(c);\n"
            "        struct pl_cursor field = pl_cursor_sub(c, pl_cursor_uvarint(c));\n"
            f"        {branches}}} else {{\n            field.pos = field.end;\n        }}\n"
            "        close_tag(c, &field);\n    }\n}\n"
        )

    def _read_tagged(self, field: Field) -> str:
        if field.is_struct:
            return f"{self._names[field.type]}_read(&field, version, &out->{field.name});"
        return f"out->{field.name} = {self._value(field, '&field', 'true')};"

    def _value(self, field: Field, cursor: str, flexible: str) -> str:
        if field.type in INTEGERS:
            return f"pl_cursor_i{INTEGERS[field.type] * 8}({cursor})"
        if field.type == "uuid":
            return f"pl_cursor_uuid({cursor})"
        read = "read_string" if field.type == "string" else "read_bytes"
        nullable = "false"
        if field.nullable == field.versions:
            nullable = "true"
        elif field.nullable:
            nullable = self._condition(field.nullable) or "true"
        return f"{read}({cursor}, {flexible}, {nullable})"

    def _absent(self, field: Field) -> str:
        if not field.is_struct:
            return f"out->{field.name} = {self._default(field)};"
        struct = next(s for s in self._message.structs if s.name == field.type)
        values = ", ".join(f".{inner.name} = {self._default(inner)}" for inner in struct.fields)
        return f"out->{field.name} =\n        (struct {self._names[field.type]}){{{values}}};"

    @staticmethod
    def _default(field: Field) -> str:
        if field.type == "uuid":
            return "NULL"
        if field.type in INTEGERS:
            if field.default == (1 << 8 * INTEGERS[field.type] - 1) - 1:
                return f"{field.type.upper()}_MAX"
            return str(field.default)
        return "NULL_SPAN" if field.default is None else "EMPTY_SPAN"

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
