package main

import (
	"context"
	"errors"
	"sync"

	"github.com/IBM/sarama"
	"pylog.test/agents/loop"
)

type place struct {
	topic     string
	partition int32
}

// member is a member of a group. It is the handler of its own sessions.
type member struct {
	group   sarama.ConsumerGroup
	name    string
	cancel  context.CancelFunc
	stopped chan struct{}

	mu      sync.Mutex
	session sarama.ConsumerGroupSession
	records []loop.Item
	next    map[place]int64
	failure error
}

func (a *agent) registerMembers() {
	a.commands["consumer_subscribe"] = loop.Args(a.consumerSubscribe)
	a.commands["member_state"] = loop.Args(func(_ context.Context, in loop.Named) (any, error) {
		return a.members[in.Handle].state()
	})
	a.commands["member_commit"] = loop.Args(func(_ context.Context, in loop.Named) (any, error) {
		return nil, a.members[in.Handle].commit()
	})
}

func (a *agent) consumerSubscribe(_ context.Context, in struct {
	loop.Named
	Topics []string `json:"topics"`
}) (any, error) {
	options := a.options[in.Handle]
	config := options.config()
	group, err := sarama.NewConsumerGroup([]string{options.Bootstrap}, options.Group, config)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{
		group:   group,
		name:    options.Group,
		cancel:  cancel,
		stopped: make(chan struct{}),
		next:    map[place]int64{},
	}
	a.members[in.Handle] = m
	go m.run(ctx, in.Topics)
	return nil, nil
}

// run joins again after each rebalance, which ends a session.
func (m *member) run(ctx context.Context, topics []string) {
	defer close(m.stopped)
	for ctx.Err() == nil {
		if err := m.group.Consume(ctx, topics, m); err != nil {
			m.mu.Lock()
			m.failure = err
			m.mu.Unlock()
			return
		}
	}
}

func (m *member) Setup(session sarama.ConsumerGroupSession) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.session = session
	return nil
}

func (m *member) Cleanup(sarama.ConsumerGroupSession) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.session = nil
	return nil
}

func (m *member) ConsumeClaim(
	session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim,
) error {
	for message := range claim.Messages() {
		m.mu.Lock()
		m.records = append(m.records, fromMessage(message))
		m.next[place{message.Topic, message.Partition}] = message.Offset + 1
		session.MarkMessage(message, "")
		m.mu.Unlock()
	}
	return nil
}

func (m *member) state() (any, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	assignment := [][]any{}
	if m.session != nil {
		for topic, partitions := range m.session.Claims() {
			for _, partition := range partitions {
				assignment = append(assignment, []any{topic, partition})
			}
		}
	}
	records := append([]loop.Item{}, m.records...)
	m.records = nil
	return map[string]any{"assignment": assignment, "records": records}, m.failure
}

func (m *member) commit() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.session == nil {
		return errors.New("a rebalance goes on")
	}
	m.session.Commit()
	return nil
}

// positions are for a transaction: what it was given so far.
func (m *member) positions() (map[string][]*sarama.PartitionOffsetMetadata, string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	offsets := map[string][]*sarama.PartitionOffsetMetadata{}
	for at, offset := range m.next {
		position := &sarama.PartitionOffsetMetadata{Partition: at.partition, Offset: offset}
		offsets[at.topic] = append(offsets[at.topic], position)
	}
	return offsets, m.name
}

func (m *member) close() error {
	m.cancel()
	<-m.stopped
	return m.group.Close()
}
