"""A C and a C++ program that use the installed codec, without Python."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pylog import codec
from pylog.codec import Record

PROGRAM = r"""
#include <pylog/codec.h>
#include <stdio.h>
#include <stdlib.h>

static void must(enum pl_err err) {
    if (err != PL_OK) {
        exit(1);
    }
}

int main(void) {
    struct pl_codec *codec;
    struct pl_batch_builder *builder;
    must(pl_codec_create(1 << 20, &codec));
    struct pl_batch_options options = pl_batch_options_default();
    options.compression = PL_COMPRESSION_ZSTD;
    must(pl_batch_builder_create(&options, &builder));
    struct pl_span value = {(const uint8_t *)"from C", 6}, key = {NULL, -1};
    must(pl_batch_builder_append(builder, 1234, key, value, NULL, 0));
    const uint8_t *bytes;
    size_t n;
    must(pl_batch_builder_build(builder, codec, &bytes, &n));
    struct pl_batch_header header;
    must(pl_batch_check(bytes, n, PL_BATCH_FROM_CLIENT, &header, NULL));
    fwrite(bytes, 1, n, stdout);
    pl_batch_builder_destroy(builder);
    pl_codec_destroy(codec);
    return 0;
}
"""


@pytest.mark.parametrize(("compiler", "name"), [("cc", "program.c"), ("c++", "program.cpp")])
def test_a_foreign_program_builds_a_batch(compiler: str, name: str, tmp_path: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler} here")
    source, program = tmp_path / name, tmp_path / "program"
    source.write_text(PROGRAM)
    subprocess.run(
        [compiler, "-Wall", "-Wextra", "-Werror", f"-I{codec.get_include()}", str(source),
         codec.get_library(), "-lzstd", "-llz4", "-lsnappy", "-lz", "-o", str(program)],
        check=True,
    )  # fmt: skip
    output = subprocess.run([program], check=True, capture_output=True).stdout
    (batch,) = codec.decode_batches(output)
    assert list(batch) == [Record(None, b"from C", 1234)]
