// The agent around franz-go; agents/README.md beside this project has the commands.
package main

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"pylog.test/agents/loop"
)

type agent struct {
	commands  map[string]loop.Command
	producers map[string]*producer
	consumers map[string]*consumer
	sharers   map[string]*sharer
	sessions  map[string]*session
	admins    *admins
}

func newAgent() *agent {
	a := &agent{
		commands:  map[string]loop.Command{},
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
	a.commands["close"] = loop.Args(a.closeHandle)
	return a
}

func (a *agent) closeHandle(ctx context.Context, in loop.Named) (any, error) {
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

func codeOf(err error) (int16, bool) {
	var fromBroker *kerr.Error
	if errors.As(err, &fromBroker) {
		return fromBroker.Code, true
	}
	return 0, false
}

func main() {
	loop.Serve(newAgent().commands, codeOf)
}
