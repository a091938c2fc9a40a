package main

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"pylog.test/agents/loop"
)

// session is franz-go's own consume-transform-produce: a member and a producer in one.
type session struct {
	*kgo.GroupTransactSession
	sink string
}

func (a *agent) registerSessions() {
	a.commands["session_open"] = loop.Args(a.sessionOpen)
	a.commands["session_copy"] = loop.Args(a.sessionCopy)
	a.commands["session_end"] = loop.Args(func(ctx context.Context, in loop.Named) (any, error) {
		return a.sessions[in.Handle].End(ctx, kgo.TryCommit)
	})
	a.commands["session_close"] = loop.Args(func(_ context.Context, in loop.Named) (any, error) {
		a.sessions[in.Handle].Close()
		delete(a.sessions, in.Handle)
		return nil, nil
	})
}

func (a *agent) sessionOpen(_ context.Context, in struct {
	loop.Named
	Bootstrap       string `json:"bootstrap"`
	TransactionalID string `json:"transactional_id"`
	Group           string `json:"group"`
	Source          string `json:"source"`
	Sink            string `json:"sink"`
}) (any, error) {
	opened, err := kgo.NewGroupTransactSession(
		kgo.SeedBrokers(in.Bootstrap),
		kgo.TransactionalID(in.TransactionalID),
		kgo.ConsumerGroup(in.Group),
		kgo.ConsumeTopics(in.Source),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxWait(200*time.Millisecond),
		kgo.SessionTimeout(6*time.Second),
		kgo.HeartbeatInterval(heartbeatInterval),
		kgo.RequireStableFetchOffsets(),
	)
	a.sessions[in.Handle] = &session{opened, in.Sink}
	return nil, err
}

// sessionCopy begins a transaction and writes what one poll gave, at most so many records, to the
// sink; session_end commits it with its offsets.
func (a *agent) sessionCopy(ctx context.Context, in struct {
	loop.Named
	AtMost int `json:"at_most"`
}) (any, error) {
	s := a.sessions[in.Handle]
	fetches := s.PollRecords(ctx, in.AtMost)
	if err := realError(fetches); err != nil {
		return nil, err
	}
	if err := s.Begin(); err != nil {
		return nil, err
	}
	copies := []*kgo.Record{}
	fetches.EachRecord(func(record *kgo.Record) {
		copies = append(copies, &kgo.Record{Topic: s.sink, Key: record.Key, Value: record.Value})
	})
	return len(copies), s.ProduceSync(ctx, copies...).FirstErr()
}
