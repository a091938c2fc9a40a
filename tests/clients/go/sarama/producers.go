package main

import (
	"context"
	"time"

	"github.com/IBM/sarama"
	"pylog.test/agents/loop"
)

type producer struct {
	sarama.SyncProducer
}

type producerArgs struct {
	loop.Named
	Bootstrap       string `json:"bootstrap"`
	Compression     string `json:"compression"`
	Acks            *int16 `json:"acks"`
	Idempotent      bool   `json:"idempotent"`
	BatchBytes      int    `json:"batch_bytes"`
	TransactionalID string `json:"transactional_id"`
}

var codecs = map[string]sarama.CompressionCodec{
	"gzip":   sarama.CompressionGZIP,
	"snappy": sarama.CompressionSnappy,
	"lz4":    sarama.CompressionLZ4,
	"zstd":   sarama.CompressionZSTD,
}

func (a *agent) registerProducers() {
	a.commands["producer_open"] = loop.Args(a.producerOpen)
	a.commands["producer_send"] = loop.Args(a.producerSend)
	a.commands["producer_begin"] = loop.Args(func(_ context.Context, in loop.Named) (any, error) {
		return nil, a.producers[in.Handle].BeginTxn()
	})
	a.commands["producer_commit"] = loop.Args(func(_ context.Context, in loop.Named) (any, error) {
		return nil, a.producers[in.Handle].CommitTxn()
	})
	a.commands["producer_abort"] = loop.Args(func(_ context.Context, in loop.Named) (any, error) {
		return nil, a.producers[in.Handle].AbortTxn()
	})
	a.commands["producer_send_offsets"] = loop.Args(a.producerSendOffsets)
}

func (a *agent) producerOpen(_ context.Context, in producerArgs) (any, error) {
	config := newConfig()
	config.Producer.Return.Successes = true
	config.Producer.Compression = codecs[in.Compression]
	config.Producer.Partitioner = keyedOrNamed
	config.Producer.RequiredAcks = sarama.WaitForAll
	if in.Acks != nil {
		config.Producer.RequiredAcks = sarama.RequiredAcks(*in.Acks)
	}
	if in.BatchBytes > 0 {
		config.Producer.Flush.Bytes = in.BatchBytes
		config.Producer.Flush.Frequency = 10 * time.Millisecond
	}
	if in.Idempotent || in.TransactionalID != "" {
		config.Producer.Idempotent = true
		config.Producer.Transaction.ID = in.TransactionalID
		config.Net.MaxOpenRequests = 1
	}
	opened, err := sarama.NewSyncProducer([]string{in.Bootstrap}, config)
	if err == nil {
		a.producers[in.Handle] = &producer{opened}
	}
	return nil, err
}

func (a *agent) producerSend(_ context.Context, in struct {
	loop.Named
	Topic   string      `json:"topic"`
	Records []loop.Item `json:"records"`
}) (any, error) {
	messages := make([]*sarama.ProducerMessage, 0, len(in.Records))
	for _, item := range in.Records {
		message, err := toMessage(item, in.Topic)
		if err != nil {
			return nil, err
		}
		messages = append(messages, message)
	}
	err := a.producers[in.Handle].SendMessages(messages)
	if failed, many := err.(sarama.ProducerErrors); many && len(failed) > 0 {
		return nil, failed[0].Err
	}
	places := [][]int64{}
	for _, message := range messages {
		places = append(places, []int64{int64(message.Partition), message.Offset})
	}
	return places, err
}

func (a *agent) producerSendOffsets(_ context.Context, in struct {
	loop.Named
	Member string `json:"member"`
}) (any, error) {
	offsets, group := a.members[in.Member].positions()
	return nil, a.producers[in.Handle].AddOffsetsToTxn(offsets, group)
}

func toMessage(item loop.Item, topic string) (*sarama.ProducerMessage, error) {
	message := &sarama.ProducerMessage{Topic: topic, Partition: -1}
	if item.Key != nil {
		message.Key = sarama.ByteEncoder(item.Key)
	}
	if item.Value != nil {
		message.Value = sarama.ByteEncoder(item.Value)
	}
	if item.Partition != nil {
		message.Partition = *item.Partition
	}
	if item.Timestamp != nil {
		message.Timestamp = time.UnixMilli(*item.Timestamp)
	}
	for _, pair := range item.Headers {
		data, err := loop.Decode(pair[1])
		if err != nil {
			return nil, err
		}
		header := sarama.RecordHeader{Key: []byte(pair[0].(string)), Value: data}
		message.Headers = append(message.Headers, header)
	}
	return message, nil
}

func fromMessage(message *sarama.ConsumerMessage) loop.Item {
	timestamp := message.Timestamp.UnixMilli()
	found := loop.Item{
		Partition: &message.Partition,
		Offset:    message.Offset,
		Timestamp: &timestamp,
		Key:       message.Key,
		Value:     message.Value,
		Headers:   [][]any{},
	}
	for _, header := range message.Headers {
		found.Headers = append(found.Headers, []any{string(header.Key), header.Value})
	}
	return found
}

// partitioner takes the partition that a record names, else one by its key.
type partitioner struct {
	sarama.Partitioner
}

func keyedOrNamed(topic string) sarama.Partitioner {
	return partitioner{sarama.NewHashPartitioner(topic)}
}

func (p partitioner) Partition(message *sarama.ProducerMessage, count int32) (int32, error) {
	if message.Partition >= 0 {
		return message.Partition, nil
	}
	return p.Partitioner.Partition(message, count)
}
