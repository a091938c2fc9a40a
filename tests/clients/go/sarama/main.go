// The agent around sarama; agents/README.md beside this project has the commands.
package main

import (
	"context"
	"errors"
	"time"

	"github.com/IBM/sarama"
	"pylog.test/agents/loop"
)

type agent struct {
	commands  map[string]loop.Command
	producers map[string]*producer
	readers   map[string]*reader
	members   map[string]*member
	options   map[string]consumerArgs
	admins    map[string]sarama.ClusterAdmin
	clients   map[string]sarama.Client
}

func newAgent() *agent {
	a := &agent{
		commands:  map[string]loop.Command{},
		producers: map[string]*producer{},
		readers:   map[string]*reader{},
		members:   map[string]*member{},
		options:   map[string]consumerArgs{},
		admins:    map[string]sarama.ClusterAdmin{},
		clients:   map[string]sarama.Client{},
	}
	a.registerProducers()
	a.registerReaders()
	a.registerMembers()
	a.registerAdmins()
	a.commands["close"] = loop.Args(a.closeHandle)
	return a
}

func (a *agent) closeHandle(_ context.Context, in loop.Named) (any, error) {
	var err error
	if p := a.producers[in.Handle]; p != nil {
		err = p.Close()
		delete(a.producers, in.Handle)
	}
	if r := a.readers[in.Handle]; r != nil {
		err = r.close()
		delete(a.readers, in.Handle)
	}
	if m := a.members[in.Handle]; m != nil {
		err = m.close()
		delete(a.members, in.Handle)
	}
	return nil, err
}

// newConfig asks for the newest protocol that sarama speaks; it does not look by itself.
func newConfig() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.ClientID = "agent"
	config.Consumer.MaxWaitTime = 200 * time.Millisecond
	return config
}

func codeOf(err error) (int16, bool) {
	var code sarama.KError
	if errors.As(err, &code) {
		return int16(code), true
	}
	return 0, false
}

func main() {
	loop.Serve(newAgent().commands, codeOf)
}
