package main

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

type producer struct {
	client *kgo.Client
}

// item is a record as commands carry it; []byte is base64 in JSON.
type item struct {
	Partition *int32  `json:"partition"`
	Offset    int64   `json:"offset"`
	Timestamp *int64  `json:"timestamp"`
	Key       []byte  `json:"key"`
	Value     []byte  `json:"value"`
	Headers   [][]any `json:"headers"`
}

func (i item) toRecord(topic string) (*kgo.Record, error) {
	record := &kgo.Record{Topic: topic, Key: i.Key, Value: i.Value, Partition: -1}
	if i.Partition != nil {
		record.Partition = *i.Partition
	}
	if i.Timestamp != nil {
		record.Timestamp = time.UnixMilli(*i.Timestamp)
	}
	for _, pair := range i.Headers {
		data, err := decodeAny(pair[1])
		if err != nil {
			return nil, err
		}
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: pair[0].(string), Value: data})
	}
	return record, nil
}

func fromRecord(record *kgo.Record) item {
	timestamp := record.Timestamp.UnixMilli()
	found := item{
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
	a.commands["producer_open"] = args(a.producerOpen)
	a.commands["producer_send"] = args(a.producerSend)
	a.commands["producer_begin"] = args(func(_ context.Context, in handleArgs) (any, error) {
		return nil, a.producers[in.Handle].client.BeginTransaction()
	})
	a.commands["producer_commit"] = args(func(ctx context.Context, in handleArgs) (any, error) {
		return nil, a.producers[in.Handle].client.EndTransaction(ctx, kgo.TryCommit)
	})
	a.commands["producer_abort"] = args(func(ctx context.Context, in handleArgs) (any, error) {
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
	handleArgs
	Topic   string `json:"topic"`
	Records []item `json:"records"`
}) (any, error) {
	records := make([]*kgo.Record, 0, len(in.Records))
	for _, sent := range in.Records {
		record, err := sent.toRecord(in.Topic)
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
