package main

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"pylog.test/agents/loop"
)

type producer struct {
	client *kgo.Client
}

func toRecord(i loop.Item, topic string) (*kgo.Record, error) {
	record := &kgo.Record{Topic: topic, Key: i.Key, Value: i.Value, Partition: -1}
	if i.Partition != nil {
		record.Partition = *i.Partition
	}
	if i.Timestamp != nil {
		record.Timestamp = time.UnixMilli(*i.Timestamp)
	}
	for _, pair := range i.Headers {
		data, err := loop.Decode(pair[1])
		if err != nil {
			return nil, err
		}
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: pair[0].(string), Value: data})
	}
	return record, nil
}

func fromRecord(record *kgo.Record) loop.Item {
	timestamp := record.Timestamp.UnixMilli()
	found := loop.Item{
		Partition: &record.Partition,
		Offset:    record.Offset,
		Timestamp: &timestamp,
		Key:       record.Key,
		Value:     record.Value,
		Headers:   [][]any{},
	}
	for _, header := range record.Headers {
		found.Headers = append(found.Headers, []any{header.Key, header.Value})
	}
	return found
}

func compression(name string) kgo.CompressionCodec {
	switch name {
	case "gzip":
		return kgo.GzipCompression()
	case "snappy":
		return kgo.SnappyCompression()
	case "lz4":
		return kgo.Lz4Compression()
	case "zstd":
		return kgo.ZstdCompression()
	default:
		return kgo.NoCompression()
	}
}

func requiredAcks(acks *int) kgo.Acks {
	switch {
	case acks == nil || *acks == -1:
		return kgo.AllISRAcks()
	case *acks == 0:
		return kgo.NoAck()
	default:
		return kgo.LeaderAck()
	}
}

// keyedOrNamed takes the partition that a record names, else Kafka's choice by its key.
func keyedOrNamed() kgo.Partitioner {
	keyed := kgo.StickyKeyPartitioner(nil)
	return kgo.BasicConsistentPartitioner(func(topic string) func(*kgo.Record, int) int {
		byKey := keyed.ForTopic(topic)
		return func(record *kgo.Record, partitions int) int {
			if record.Partition >= 0 {
				return int(record.Partition)
			}
			return byKey.Partition(record, partitions)
		}
	})
}

type producerArgs struct {
	Handle          string `json:"handle"`
	Bootstrap       string `json:"bootstrap"`
	Compression     string `json:"compression"`
	Acks            *int   `json:"acks"`
	Idempotent      bool   `json:"idempotent"`
	BatchBytes      int32  `json:"batch_bytes"`
	TransactionalID string `json:"transactional_id"`
}

func (a *agent) registerProducers() {
	a.commands["producer_open"] = loop.Args(a.producerOpen)
	a.commands["producer_send"] = loop.Args(a.producerSend)
	a.commands["producer_begin"] = loop.Args(func(_ context.Context, in loop.Named) (any, error) {
		return nil, a.producers[in.Handle].client.BeginTransaction()
	})
	a.commands["producer_commit"] = loop.Args(func(ctx context.Context, in loop.Named) (any, error) {
		return nil, a.producers[in.Handle].client.EndTransaction(ctx, kgo.TryCommit)
	})
	a.commands["producer_abort"] = loop.Args(func(ctx context.Context, in loop.Named) (any, error) {
		return nil, a.producers[in.Handle].client.EndTransaction(ctx, kgo.TryAbort)
	})
}

func (a *agent) producerOpen(_ context.Context, in producerArgs) (any, error) {
	options := []kgo.Opt{
		kgo.SeedBrokers(in.Bootstrap),
		kgo.ProducerBatchCompression(compression(in.Compression)),
		kgo.RecordPartitioner(keyedOrNamed()),
		kgo.AllowAutoTopicCreation(),
		kgo.UnknownTopicRetries(10),
	}
	if in.BatchBytes > 0 {
		options = append(options, kgo.ProducerBatchMaxBytes(in.BatchBytes))
	}
	if in.TransactionalID != "" {
		options = append(options, kgo.TransactionalID(in.TransactionalID))
	} else if !in.Idempotent {
		options = append(options, kgo.DisableIdempotentWrite(), kgo.RequiredAcks(requiredAcks(in.Acks)))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return nil, err
	}
	a.producers[in.Handle] = &producer{client}
	return nil, nil
}

func (a *agent) producerSend(ctx context.Context, in struct {
	loop.Named
	Topic   string      `json:"topic"`
	Records []loop.Item `json:"records"`
}) (any, error) {
	records := make([]*kgo.Record, 0, len(in.Records))
	for _, sent := range in.Records {
		record, err := toRecord(sent, in.Topic)
		if err != nil {
			return nil, err
		}
		records = append(records, record)
	}
	places := [][]int64{}
	for _, result := range a.producers[in.Handle].client.ProduceSync(ctx, records...) {
		if result.Err != nil {
			return nil, result.Err
		}
	}
	for _, record := range records {
		places = append(places, []int64{int64(record.Partition), record.Offset})
	}
	return places, nil
}
