'use strict'
// The agent around kafkajs; agents/README.md beside this folder has the commands.

const readline = require('node:readline')
const {
  Kafka, logLevel, CompressionTypes, ConfigResourceTypes, KafkaJSProtocolError
} = require('kafkajs')
const codecs = require('./codecs')

const COMPRESSION = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD
}
const HEARTBEAT_MS = 500
const BEYOND_EVERY_RECORD = '-1'

const handles = new Map()
const admins = new Map()

const encode = (data) => (data === null || data === undefined ? null : data.toString('base64'))
const decode = (text) => (text === null ? null : Buffer.from(text, 'base64'))

function client (bootstrap) {
  return new Kafka({
    clientId: 'agent',
    brokers: [bootstrap],
    logLevel: logLevel.ERROR,
    logCreator: () => ({ namespace, log }) => console.error(namespace, log.message, log.error || ''),
    retry: { initialRetryTime: 100, retries: 10, maxRetryTime: 2000 }
  })
}

async function admin (bootstrap) {
  if (!admins.has(bootstrap)) {
    const connected = client(bootstrap).admin({ retry: { initialRetryTime: 100, retries: 4 } })
    await connected.connect()
    admins.set(bootstrap, connected)
  }
  return admins.get(bootstrap)
}

// Headers are an object in kafkajs: a repeated name has an array of values.
function toHeaders (pairs) {
  const headers = {}
  for (const [name, data] of pairs) {
    const value = decode(data)
    if (name in headers) headers[name] = [headers[name], value].flat()
    else headers[name] = value
  }
  return headers
}

function toRecord (partition, message) {
  const headers = Object.entries(message.headers || {})
    .flatMap(([name, values]) => [values].flat().map((value) => [name, encode(value)]))
  return {
    partition,
    offset: Number(message.offset),
    timestamp: Number(message.timestamp),
    key: encode(message.key),
    value: encode(message.value),
    headers
  }
}

class ProducerHandle {
  constructor (producer, compression, acks) {
    Object.assign(this, { producer, compression, acks })
  }

  async send (topic, records, sender = this.producer) {
    const messages = records.map((item) => ({
      key: decode(item.key),
      value: decode(item.value),
      headers: toHeaders(item.headers),
      ...(item.partition === null ? {} : { partition: item.partition }),
      ...(item.timestamp === null ? {} : { timestamp: String(item.timestamp) })
    }))
    const { acks, compression } = this
    const answers = await sender.send({ topic, messages, acks, compression })
    return this.places(records, answers)
  }

  // kafkajs tells the base offset of each partition; its records follow in the order given.
  places (records, answers) {
    const next = new Map(answers.map((a) => [a.partition, Number(a.baseOffset)]))
    return records.map(({ partition }) => {
      const at = next.get(partition)
      if (at === undefined) return [partition === null ? -1 : partition, -1]
      next.set(partition, at + 1)
      return [partition, at]
    })
  }

  close () {
    return this.producer.disconnect()
  }
}

// A consumer of kafkajs is always a member of a group and pushes records to a function.
class ConsumerHandle {
  constructor (kafka, options) {
    this.group = options.group
    this.bootstrap = options.bootstrap
    this.fromBeginning = options.reset !== 'latest'
    this.consumer = kafka.consumer({
      groupId: options.group,
      sessionTimeout: options.session_timeout_ms || 10000,
      heartbeatInterval: HEARTBEAT_MS,
      rebalanceTimeout: 20000,
      maxWaitTimeInMs: 200,
      readUncommitted: options.isolation !== 'read_committed'
    })
    this.assignment = []
    this.records = []
    this.positions = new Map()
    this.arrived = () => {}
    this.consumer.on(this.consumer.events.GROUP_JOIN, ({ payload }) => {
      this.assignment = Object.entries(payload.memberAssignment)
        .flatMap(([topic, partitions]) => partitions.map((partition) => [topic, partition]))
    })
  }

  async subscribe (topics) {
    await this.consumer.connect()
    await this.consumer.subscribe({ topics, fromBeginning: this.fromBeginning })
    await this.consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch, resolveOffset, heartbeat, isStale }) => {
        if (this.wanted && !this.wanted.has(batch.partition)) return
        for (const message of batch.messages) {
          if (isStale()) break // a seek came after the fetch
          if (this.wanted && this.isRepeated(batch.partition, Number(message.offset))) continue
          this.records.push(toRecord(batch.partition, message))
          this.positions.set(`${batch.topic}:${batch.partition}`, Number(message.offset) + 1)
          resolveOffset(message.offset)
        }
        await heartbeat()
        this.arrived()
      }
    })
  }

  // After a seek kafkajs may give the batch that it was fetching, and then once more.
  isRepeated (partition, offset) {
    if (offset <= (this.last.get(partition) ?? -1)) return true
    this.last.set(partition, offset)
    return false
  }

  async assign (topic, positions) {
    const joined = new Promise((resolve) => this.consumer.on(this.consumer.events.GROUP_JOIN, resolve))
    this.wanted = new Map()
    this.last = new Map()
    const offsets = await (await admin(this.bootstrap)).fetchTopicOffsets(topic)
    for (const { partition, low, high } of offsets) {
      const at = positions[partition]
      const offset = at === 'latest' ? high : at === 'earliest' ? low : at
      if (at !== undefined) this.wanted.set(partition, Number(offset))
    }
    await this.subscribe([topic])
    await joined
    for (const [partition, offset] of this.wanted) {
      this.consumer.seek({ topic, partition, offset: String(offset) })
    }
    this.records = []
    this.last.clear()
  }

  seek (topic, partition, offset) {
    this.records = this.records.filter((record) => record.partition !== partition)
    this.last.delete(partition)
    this.consumer.seek({ topic, partition, offset: String(offset) })
  }

  async read (count, timeoutMs) {
    const deadline = Date.now() + timeoutMs
    while (this.records.length < count && Date.now() < deadline) {
      let timer
      await new Promise((resolve) => {
        this.arrived = resolve
        timer = setTimeout(resolve, deadline - Date.now())
      })
      clearTimeout(timer)
    }
    return this.records.splice(0, count)
  }

  async commit () {
    await this.consumer.commitOffsets(this.committable())
  }

  committable () {
    return [...this.positions].map(([place, offset]) => {
      const at = place.lastIndexOf(':')
      return {
        topic: place.slice(0, at), partition: Number(place.slice(at + 1)), offset: String(offset)
      }
    })
  }

  close () {
    return this.consumer.disconnect()
  }
}

const commands = {
  async producer_open ({ handle, bootstrap, compression = 'none', acks = -1, ...options }) {
    const producer = client(bootstrap).producer({
      idempotent: Boolean(options.idempotent || options.transactional_id),
      allowAutoTopicCreation: true,
      ...(options.transactional_id ? { transactionalId: options.transactional_id } : {})
    })
    await producer.connect()
    handles.set(handle, new ProducerHandle(producer, COMPRESSION[compression], acks))
  },

  async producer_send ({ handle, topic, records }) {
    const producer = handles.get(handle)
    return producer.send(topic, records, producer.transaction || producer.producer)
  },

  async producer_begin ({ handle }) {
    const producer = handles.get(handle)
    producer.transaction = await producer.producer.transaction()
  },

  async producer_commit ({ handle }) {
    const producer = handles.get(handle)
    await producer.transaction.commit()
    producer.transaction = null
  },

  async producer_abort ({ handle }) {
    const producer = handles.get(handle)
    await producer.transaction.abort()
    producer.transaction = null
  },

  async producer_send_offsets ({ handle, member }) {
    const consumer = handles.get(member)
    const topics = consumer.committable()
      .map(({ topic, partition, offset }) => ({ topic, partitions: [{ partition, offset }] }))
    await handles.get(handle).transaction.sendOffsets({ consumerGroupId: consumer.group, topics })
  },

  async consumer_open ({ handle, ...options }) {
    const group = options.group || `alone-${process.pid}-${handle}`
    handles.set(handle, new ConsumerHandle(client(options.bootstrap), { ...options, group }))
  },

  consumer_assign: ({ handle, topic, positions }) => handles.get(handle).assign(topic, positions),

  async consumer_seek ({ handle, topic, partition, offset }) {
    handles.get(handle).seek(topic, partition, offset)
  },

  consumer_read: ({ handle, count, timeout_ms: timeoutMs }) =>
    handles.get(handle).read(count, timeoutMs),

  // Joining may take as long as another member's rebalance, so it goes on in the background.
  async consumer_subscribe ({ handle, topics }) {
    const member = handles.get(handle)
    member.joining = member.subscribe(topics)
    member.joining.catch((failure) => { member.failure = failure })
  },

  async member_state ({ handle }) {
    const { failure, assignment, records } = handles.get(handle)
    if (failure) throw failure
    return { assignment, records: records.splice(0) }
  },

  member_commit: ({ handle }) => handles.get(handle).commit(),

  async close ({ handle }) {
    await handles.get(handle)?.close()
    handles.delete(handle)
  },

  async offset ({ bootstrap, topic, partition, at }) {
    const asked = await admin(bootstrap)
    if (typeof at === 'string') {
      const found = (await asked.fetchTopicOffsets(topic)).find((p) => p.partition === partition)
      return Number(at === 'latest' ? found.high : found.low)
    }
    const found = await asked.fetchTopicOffsetsByTimestamp(topic, at)
    const { offset } = found.find((p) => p.partition === partition)
    const { high } = (await asked.fetchTopicOffsets(topic)).find((p) => p.partition === partition)
    return offset === BEYOND_EVERY_RECORD || offset === high ? null : Number(offset)
  },

  async create_topic ({ bootstrap, topic, partitions = 1, configs = {} }) {
    const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }))
    const created = await (await admin(bootstrap)).createTopics({
      topics: [{ topic, numPartitions: partitions, replicationFactor: 1, configEntries }],
      waitForLeaders: false
    })
    if (!created) throw Object.assign(new Error('the topic exists'), { code: 36 })
  },

  async delete_topic ({ bootstrap, topic }) {
    await (await admin(bootstrap)).deleteTopics({ topics: [topic] })
  },

  async partition_count ({ bootstrap, topic }) {
    const { topics } = await (await admin(bootstrap)).fetchTopicMetadata({ topics: [topic] })
    return topics[0].partitions.length
  },

  async create_partitions ({ bootstrap, topic, count }) {
    await (await admin(bootstrap)).createPartitions({ topicPartitions: [{ topic, count }] })
  },

  async delete_records ({ bootstrap, topic, partition, before }) {
    const asked = await admin(bootstrap)
    await asked.fetchTopicOffsets(topic) // else it does not know the leader
    const partitions = [{ partition, offset: String(before) }]
    await asked.deleteTopicRecords({ topic, partitions })
  },

  async topic_configs ({ bootstrap, topic }) {
    const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic }]
    const found = await (await admin(bootstrap)).describeConfigs({ resources, includeSynonyms: false })
    const entries = found.resources[0].configEntries
    return Object.fromEntries(entries.map(({ configName, configValue }) => [configName, configValue]))
  },

  async set_topic_config ({ bootstrap, topic, name, value }) {
    const resource = { type: ConfigResourceTypes.TOPIC, name: topic, configEntries: [{ name, value }] }
    await (await admin(bootstrap)).alterConfigs({ validateOnly: false, resources: [resource] })
  },

  async groups ({ bootstrap }) {
    return (await (await admin(bootstrap)).listGroups()).groups.map(({ groupId }) => groupId)
  },

  async group ({ bootstrap, group }) {
    const { groups: [found] } = await (await admin(bootstrap)).describeGroups([group])
    return { state: found.state, members: found.members.length }
  },

  async delete_group ({ bootstrap, group }) {
    await (await admin(bootstrap)).deleteGroups([group])
  },

  async committed ({ bootstrap, group, topic }) {
    const [found] = await (await admin(bootstrap)).fetchOffsets({ groupId: group, topics: [topic] })
    return Object.fromEntries(found.partitions
      .filter(({ offset }) => Number(offset) >= 0)
      .map(({ partition, offset }) => [partition, Number(offset)]))
  },

  async set_committed ({ bootstrap, group, topic, offsets }) {
    const partitions = Object.entries(offsets)
      .map(([partition, offset]) => ({ partition: Number(partition), offset: String(offset) }))
    await (await admin(bootstrap)).setOffsets({ groupId: group, topic, partitions })
  }
}

// The Kafka error code inside whatever kafkajs wrapped around it.
function errorCode (failure) {
  for (let at = failure; at; at = at.cause || at.originalError || at.errors?.[0] || at.partitions?.[0].error) {
    if (at instanceof KafkaJSProtocolError || typeof at.code === 'number') return at.code
    if (at.groups?.[0]?.errorCode) return at.groups[0].errorCode
  }
  return null
}

async function answer (line) {
  const { op, ...args } = JSON.parse(line)
  try {
    return { result: (await commands[op](args)) ?? null }
  } catch (failure) {
    console.error(failure)
    return { error: { code: errorCode(failure), text: String(failure) } }
  }
}

async function main () {
  await codecs.install()
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(JSON.stringify(await answer(line)) + '\n')
  }
  process.exit(0)
}

main()
