// The agent around franz-go; agents/README.md beside this project has the commands.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

const callTimeout = 60 * time.Second

type command func(ctx context.Context, raw json.RawMessage) (any, error)

type agent struct {
	commands  map[string]command
	producers map[string]*producer
	consumers map[string]*consumer
	sharers   map[string]*sharer
	sessions  map[string]*session
	admins    *admins
}

// args decodes the arguments of a command into their struct before the command runs.
func args[T any](run func(context.Context, T) (any, error)) command {
	return func(ctx context.Context, raw json.RawMessage) (any, error) {
		var parsed T
		if err := json.Unmarshal(raw, &parsed); err != nil {
			return nil, err
		}
		return run(ctx, parsed)
	}
}

func newAgent() *agent {
	a := &agent{
		commands:  map[string]command{},
		producers: map[string]*producer{},
		consumers: map[string]*consumer{},
		sharers:   map[string]*sharer{},
		sessions:  map[string]*session{},
		admins:    newAdmins(),
	}
	a.registerProducers()
	a.registerConsumers()
	a.registerSharers()
	a.registerSessions()
	a.admins.register(a.commands)
	a.commands["close"] = args(a.closeHandle)
	return a
}

type handleArgs struct {
	Handle string `json:"handle"`
}

func (a *agent) closeHandle(ctx context.Context, in handleArgs) (any, error) {
	if p := a.producers[in.Handle]; p != nil {
		p.client.Close()
		delete(a.producers, in.Handle)
	}
	if c := a.consumers[in.Handle]; c != nil {
		c.close(ctx)
		delete(a.consumers, in.Handle)
	}
	return nil, nil
}

func (a *agent) answer(line []byte) map[string]any {
	var head struct {
		Op string `json:"op"`
	}
	if err := json.Unmarshal(line, &head); err != nil {
		return map[string]any{"error": describe(err)}
	}
	run := a.commands[head.Op]
	if run == nil {
		return map[string]any{"error": describe(fmt.Errorf("no command %s", head.Op))}
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	result, err := run(ctx, line)
	if err != nil {
		fmt.Fprintln(os.Stderr, head.Op, err)
		return map[string]any{"error": describe(err)}
	}
	return map[string]any{"result": result}
}

func describe(err error) map[string]any {
	var fromBroker *kerr.Error
	if errors.As(err, &fromBroker) {
		return map[string]any{"code": fromBroker.Code, "text": err.Error()}
	}
	return map[string]any{"code": nil, "text": err.Error()}
}

func main() {
	a := newAgent()
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	answers := json.NewEncoder(os.Stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		if err := answers.Encode(a.answer(line)); err != nil {
			return
		}
	}
}
