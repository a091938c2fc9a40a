package main

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/IBM/sarama"
	"pylog.test/agents/loop"
)

// reader reads partitions that it was told to read; no group.
type reader struct {
	consumer   sarama.Consumer
	partitions map[int32]sarama.PartitionConsumer
	messages   chan *sarama.ConsumerMessage
}

type consumerArgs struct {
	loop.Named
	Bootstrap        string `json:"bootstrap"`
	Group            string `json:"group"`
	Instance         string `json:"instance"`
	SessionTimeoutMs int    `json:"session_timeout_ms"`
	Reset            string `json:"reset"`
	Isolation        string `json:"isolation"`
}

func (in consumerArgs) config() *sarama.Config {
	config := newConfig()
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	if in.Reset == "latest" {
		config.Consumer.Offsets.Initial = sarama.OffsetNewest
	}
	if in.Isolation == "read_committed" {
		config.Consumer.IsolationLevel = sarama.ReadCommitted
	}
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Group.Heartbeat.Interval = 500 * time.Millisecond
	if in.SessionTimeoutMs > 0 {
		config.Consumer.Group.Session.Timeout = time.Duration(in.SessionTimeoutMs) * time.Millisecond
	}
	config.Consumer.Group.InstanceId = in.Instance
	return config
}

func (a *agent) registerReaders() {
	a.commands["consumer_open"] = loop.Args(func(_ context.Context, in consumerArgs) (any, error) {
		a.options[in.Handle] = in
		return nil, nil
	})
	a.commands["consumer_assign"] = loop.Args(a.consumerAssign)
	a.commands["consumer_read"] = loop.Args(a.consumerRead)
}

func (a *agent) consumerAssign(_ context.Context, in struct {
	loop.Named
	Topic     string                     `json:"topic"`
	Positions map[string]json.RawMessage `json:"positions"`
}) (any, error) {
	options := a.options[in.Handle]
	consumer, err := sarama.NewConsumer([]string{options.Bootstrap}, options.config())
	if err != nil {
		return nil, err
	}
	r := &reader{
		consumer:   consumer,
		partitions: map[int32]sarama.PartitionConsumer{},
		messages:   make(chan *sarama.ConsumerMessage),
	}
	a.readers[in.Handle] = r
	for name, at := range in.Positions {
		number, err := strconv.Atoi(name)
		if err != nil {
			return nil, err
		}
		if err := r.assign(in.Topic, int32(number), position(string(at))); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (r *reader) assign(topic string, number int32, offset int64) error {
	partition, err := r.consumer.ConsumePartition(topic, number, offset)
	if err != nil {
		return err
	}
	r.partitions[number] = partition
	go func() {
		for message := range partition.Messages() {
			r.messages <- message
		}
	}()
	return nil
}

func position(at string) int64 {
	switch at {
	case `"earliest"`:
		return sarama.OffsetOldest
	case `"latest"`:
		return sarama.OffsetNewest
	}
	number, _ := strconv.ParseInt(at, 10, 64)
	return number
}

func (a *agent) consumerRead(_ context.Context, in struct {
	loop.Named
	Count     int `json:"count"`
	TimeoutMs int `json:"timeout_ms"`
}) (any, error) {
	records := []loop.Item{}
	end := time.After(time.Duration(in.TimeoutMs) * time.Millisecond)
	for len(records) < in.Count {
		select {
		case message := <-a.readers[in.Handle].messages:
			records = append(records, fromMessage(message))
		case <-end:
			return records, nil
		}
	}
	return records, nil
}

func (r *reader) close() error {
	for _, partition := range r.partitions {
		partition.AsyncClose()
	}
	for _, partition := range r.partitions {
		for range partition.Errors() { // it ends when the partition is closed
		}
	}
	return r.consumer.Close()
}
