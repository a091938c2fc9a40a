package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"pylog.test/agents/loop"
)

// sharer is a member of a share group that the commands themselves poll.
type sharer struct {
	client *kgo.Client
	held   map[int64]*kgo.Record

	mu      sync.Mutex
	refused []string
}

var acknowledgements = map[string]kgo.AckStatus{
	"ACCEPT": kgo.AckAccept, "RELEASE": kgo.AckRelease, "REJECT": kgo.AckReject, "RENEW": kgo.AckRenew,
}

func (a *agent) registerSharers() {
	a.commands["share_open"] = loop.Args(a.shareOpen)
	a.commands["share_read"] = loop.Args(a.shareRead)
	a.commands["share_acknowledge"] = loop.Args(a.shareAcknowledge)
	a.commands["share_commit"] = loop.Args(func(ctx context.Context, in loop.Named) (any, error) {
		return a.sharers[in.Handle].commit(ctx)
	})
	a.commands["share_close"] = loop.Args(func(_ context.Context, in loop.Named) (any, error) {
		a.sharers[in.Handle].client.Close()
		delete(a.sharers, in.Handle)
		return nil, nil
	})
}

// shareOpen has no use for a mode: franz-go accepts at the next poll what was not acknowledged.
func (a *agent) shareOpen(_ context.Context, in struct {
	loop.Named
	Bootstrap string `json:"bootstrap"`
	Group     string `json:"group"`
	Topic     string `json:"topic"`
}) (any, error) {
	s := &sharer{held: map[int64]*kgo.Record{}}
	var err error
	s.client, err = kgo.NewClient(
		kgo.SeedBrokers(in.Bootstrap),
		kgo.ShareGroup(in.Group),
		kgo.ConsumeTopics(in.Topic),
		kgo.MaxConcurrentFetches(0), // else it holds records that nobody asked for
		kgo.FetchMaxWait(200*time.Millisecond),
		kgo.ShareAckCallback(s.acknowledged),
	)
	a.sharers[in.Handle] = s
	return nil, err
}

func (s *sharer) acknowledged(_ *kgo.Client, results kgo.ShareAckResults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, result := range results {
		if result.Err != nil {
			text := fmt.Sprintf("%s-%d: %v", result.Topic, result.Partition, result.Err)
			s.refused = append(s.refused, text)
		}
	}
}

func (a *agent) shareRead(ctx context.Context, in struct {
	loop.Named
	Count     int `json:"count"`
	TimeoutMs int `json:"timeout_ms"`
}) (any, error) {
	s := a.sharers[in.Handle]
	ctx, cancel := context.WithTimeout(ctx, time.Duration(in.TimeoutMs)*time.Millisecond)
	defer cancel()
	found := [][]any{}
	for len(found) < in.Count && ctx.Err() == nil {
		fetches := s.client.PollFetches(ctx)
		if err := realError(fetches); err != nil {
			return nil, err
		}
		fetches.EachRecord(func(record *kgo.Record) {
			s.held[record.Offset] = record
			found = append(found, []any{record.Offset, string(record.Value), record.DeliveryCount()})
		})
	}
	return found, nil
}

func (a *agent) shareAcknowledge(_ context.Context, in struct {
	loop.Named
	Types map[string]string `json:"types"`
}) (any, error) {
	s := a.sharers[in.Handle]
	for name, kind := range in.Types {
		offset, err := strconv.ParseInt(name, 10, 64)
		if err != nil {
			return nil, err
		}
		if s.held[offset] == nil {
			return nil, errors.New("not held: " + name)
		}
		s.held[offset].Ack(acknowledgements[kind])
	}
	return nil, nil
}

// commit accepts what the last read gave and nothing acknowledged; the texts are of refusals.
func (s *sharer) commit(ctx context.Context) (any, error) {
	s.client.MarkAcks(kgo.AckAccept)
	err := s.client.FlushAcks(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	refused := append([]string{}, s.refused...)
	s.refused = nil
	return refused, err
}
