'use strict'
// kafkajs brings gzip only; these are the other three formats of Kafka.

const lz4 = require('lz4-napi')
const snappy = require('snappyjs')
const { ZstdCodec } = require('zstd-codec')
const { CompressionCodecs, CompressionTypes } = require('kafkajs')

// Java clients wrap snappy in blocks: magic, two versions, then length-prefixed blocks.
const XERIAL = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0])
const XERIAL_HEADER = XERIAL.length + 8

function uncompressSnappy (data) {
  if (!data.subarray(0, XERIAL.length).equals(XERIAL)) return snappy.uncompress(data)
  const blocks = []
  for (let at = XERIAL_HEADER; at < data.length;) {
    const length = data.readUInt32BE(at)
    blocks.push(snappy.uncompress(data.subarray(at + 4, at + 4 + length)))
    at += 4 + length
  }
  return Buffer.concat(blocks)
}

function codec (compress, decompress) {
  return () => ({
    compress: async (encoder) => Buffer.from(compress(encoder.buffer)),
    decompress: async (data) => Buffer.from(decompress(data))
  })
}

async function install () {
  const zstd = await new Promise((resolve) => ZstdCodec.run(resolve))
  const stream = new zstd.Streaming()
  CompressionCodecs[CompressionTypes.Snappy] = codec((b) => snappy.compress(b), uncompressSnappy)
  CompressionCodecs[CompressionTypes.LZ4] = codec(
    (b) => lz4.compressFrameSync(b), (b) => lz4.decompressFrameSync(b))
  CompressionCodecs[CompressionTypes.ZSTD] = codec(
    (b) => stream.compress(b), (b) => stream.decompress(b))
}

module.exports = { install }
