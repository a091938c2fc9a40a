package main

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"pylog.test/agents/loop"
)

const (
	pollTimeout       = 100 * time.Millisecond
	heartbeatInterval = 500 * time.Millisecond
)

// consumer is opened with its options; its client begins with assign or subscribe.
type consumer struct {
	options []kgo.Opt
	client  *kgo.Client
	stop    chan struct{}
	stopped chan struct{}

	mu         sync.Mutex
	assignment map[place]bool
	records    []loop.Item
	latest     []*kgo.Record
	failure    error
}

type place struct {
	topic     string
	partition int32
}

type consumerArgs struct {
	Handle           string `json:"handle"`
	Bootstrap        string `json:"bootstrap"`
	Group            string `json:"group"`
	Instance         string `json:"instance"`
	SessionTimeoutMs int    `json:"session_timeout_ms"`
	Reset            string `json:"reset"`
	Isolation        string `json:"isolation"`
	Protocol         string `json:"protocol"`
}

func (a *agent) registerConsumers() {
	a.commands["consumer_open"] = loop.Args(a.consumerOpen)
	a.commands["consumer_assign"] = loop.Args(a.consumerAssign)
	a.commands["consumer_seek"] = loop.Args(a.consumerSeek)
	a.commands["consumer_read"] = loop.Args(a.consumerRead)
	a.commands["consumer_subscribe"] = loop.Args(a.consumerSubscribe)
	a.commands["member_state"] = loop.Args(a.memberState)
	a.commands["member_commit"] = loop.Args(func(ctx context.Context, in loop.Named) (any, error) {
		return nil, a.consumers[in.Handle].commit(ctx)
	})
}

func (a *agent) consumerOpen(_ context.Context, in consumerArgs) (any, error) {
	c := &consumer{assignment: map[place]bool{}}
	reset := kgo.NewOffset().AtStart()
	if in.Reset == "latest" {
		reset = kgo.NewOffset().AtEnd()
	}
	c.options = []kgo.Opt{
		kgo.SeedBrokers(in.Bootstrap),
		kgo.ConsumeResetOffset(reset),
		kgo.FetchMaxWait(200 * time.Millisecond),
		kgo.MetadataMinAge(100 * time.Millisecond),
	}
	if in.Isolation == "read_committed" {
		c.options = append(c.options, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	if in.Group != "" {
		c.options = append(c.options, c.groupOptions(in)...)
	}
	a.consumers[in.Handle] = c
	return nil, nil
}

func (c *consumer) groupOptions(in consumerArgs) []kgo.Opt {
	if in.SessionTimeoutMs == 0 {
		in.SessionTimeoutMs = 10_000
	}
	session := time.Duration(in.SessionTimeoutMs) * time.Millisecond
	options := []kgo.Opt{
		kgo.ConsumerGroup(in.Group),
		kgo.DisableAutoCommit(),
		kgo.SessionTimeout(session),
		kgo.HeartbeatInterval(heartbeatInterval),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, given map[string][]int32) {
			c.mark(given, true)
		}),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, taken map[string][]int32) {
			c.mark(taken, false)
		}),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, taken map[string][]int32) {
			c.mark(taken, false)
		}),
	}
	if in.Instance != "" {
		options = append(options, kgo.InstanceID(in.Instance))
	}
	if in.Protocol == "consumer" {
		nextGeneration := context.WithValue(context.Background(), "opt_in_kafka_next_gen_balancer_beta", true)
		options = append(options, kgo.WithContext(nextGeneration))
	}
	return options
}

func (c *consumer) mark(partitions map[string][]int32, assigned bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for topic, numbers := range partitions {
		for _, number := range numbers {
			if assigned {
				c.assignment[place{topic, number}] = true
			} else {
				delete(c.assignment, place{topic, number})
			}
		}
	}
}

func (a *agent) consumerAssign(_ context.Context, in struct {
	loop.Named
	Topic     string                     `json:"topic"`
	Positions map[string]json.RawMessage `json:"positions"`
}) (any, error) {
	partitions := map[int32]kgo.Offset{}
	for name, at := range in.Positions {
		number, err := strconv.Atoi(name)
		if err != nil {
			return nil, err
		}
		partitions[int32(number)] = position(string(at))
	}
	c := a.consumers[in.Handle]
	wanted := kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{in.Topic: partitions})
	var err error
	c.client, err = kgo.NewClient(append(c.options, wanted)...)
	return nil, err
}

func position(at string) kgo.Offset {
	switch at {
	case `"earliest"`:
		return kgo.NewOffset().AtStart()
	case `"latest"`:
		return kgo.NewOffset().AtEnd()
	}
	number, _ := strconv.ParseInt(at, 10, 64)
	return kgo.NewOffset().At(number)
}

func (a *agent) consumerSeek(_ context.Context, in struct {
	loop.Named
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}) (any, error) {
	to := kgo.EpochOffset{Epoch: -1, Offset: in.Offset}
	a.consumers[in.Handle].client.SetOffsets(
		map[string]map[int32]kgo.EpochOffset{in.Topic: {in.Partition: to}})
	return nil, nil
}

func (a *agent) consumerRead(ctx context.Context, in struct {
	loop.Named
	Count     int `json:"count"`
	TimeoutMs int `json:"timeout_ms"`
}) (any, error) {
	c := a.consumers[in.Handle]
	ctx, cancel := context.WithTimeout(ctx, time.Duration(in.TimeoutMs)*time.Millisecond)
	defer cancel()
	records := []loop.Item{}
	for len(records) < in.Count && ctx.Err() == nil {
		fetches := c.client.PollRecords(ctx, in.Count-len(records))
		if err := realError(fetches); err != nil {
			return nil, err
		}
		fetches.EachRecord(func(record *kgo.Record) { records = append(records, fromRecord(record)) })
	}
	return records, nil
}

// realError is the first error that is not just the end of the time to wait.
func realError(fetches kgo.Fetches) error {
	for _, failed := range fetches.Errors() {
		if !errors.Is(failed.Err, context.DeadlineExceeded) && !errors.Is(failed.Err, context.Canceled) {
			return failed.Err
		}
	}
	return nil
}

func (a *agent) consumerSubscribe(_ context.Context, in struct {
	loop.Named
	Topics []string `json:"topics"`
}) (any, error) {
	c := a.consumers[in.Handle]
	var err error
	c.client, err = kgo.NewClient(append(c.options, kgo.ConsumeTopics(in.Topics...))...)
	if err != nil {
		return nil, err
	}
	c.stop, c.stopped = make(chan struct{}), make(chan struct{})
	go c.poll()
	return nil, nil
}

func (c *consumer) poll() {
	defer close(c.stopped)
	for {
		select {
		case <-c.stop:
			return
		default:
		}
		ctx, cancel := context.WithTimeout(context.Background(), pollTimeout)
		fetches := c.client.PollFetches(ctx)
		cancel()
		c.mu.Lock()
		if err := realError(fetches); err != nil {
			c.failure = err
		}
		fetches.EachRecord(func(record *kgo.Record) {
			c.records = append(c.records, fromRecord(record))
			c.latest = append(c.latest, record)
		})
		c.mu.Unlock()
	}
}

func (a *agent) memberState(_ context.Context, in loop.Named) (any, error) {
	c := a.consumers[in.Handle]
	c.mu.Lock()
	defer c.mu.Unlock()
	assignment := [][]any{}
	for at := range c.assignment {
		assignment = append(assignment, []any{at.topic, at.partition})
	}
	records := c.records
	if records == nil {
		records = []loop.Item{}
	}
	c.records = nil
	failure := c.failure
	c.failure = nil
	return map[string]any{"assignment": assignment, "records": records}, failure
}

func (c *consumer) commit(ctx context.Context) error {
	c.mu.Lock()
	records := c.latest
	c.mu.Unlock()
	return c.client.CommitRecords(ctx, records...)
}

// close leaves the group; franz-go keeps a static member in it.
func (c *consumer) close(_ context.Context) {
	if c.client == nil {
		return
	}
	if c.stop != nil {
		close(c.stop)
		<-c.stopped
	}
	c.client.Close()
}
