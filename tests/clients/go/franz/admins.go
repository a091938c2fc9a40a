package main

import (
	"context"
	"strconv"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"pylog.test/agents/loop"
)

// admins has one admin client a broker address, kept until the agent ends.
type admins struct {
	clients map[string]*kadm.Client
}

func newAdmins() *admins {
	return &admins{map[string]*kadm.Client{}}
}

type adminArgs struct {
	Bootstrap  string            `json:"bootstrap"`
	Topic      string            `json:"topic"`
	Partition  int32             `json:"partition"`
	Partitions int32             `json:"partitions"`
	Configs    map[string]string `json:"configs"`
	Count      int               `json:"count"`
	Before     int64             `json:"before"`
	At         any               `json:"at"`
	Name       string            `json:"name"`
	Value      string            `json:"value"`
	Group      string            `json:"group"`
	Offsets    map[string]int64  `json:"offsets"`
}

func (a *admins) register(commands map[string]loop.Command) {
	add := func(op string, run func(context.Context, *kadm.Client, adminArgs) (any, error)) {
		commands[op] = loop.Args(func(ctx context.Context, in adminArgs) (any, error) {
			client, err := a.of(in.Bootstrap)
			if err != nil {
				return nil, err
			}
			return run(ctx, client, in)
		})
	}
	add("offset", offset)
	add("create_topic", createTopic)
	add("delete_topic", deleteTopic)
	add("partition_count", partitionCount)
	add("create_partitions", createPartitions)
	add("delete_records", deleteRecords)
	add("topic_configs", topicConfigs)
	add("set_topic_config", setTopicConfig)
	add("groups", groups)
	add("group", group)
	add("delete_group", deleteGroup)
	add("committed", committed)
	add("set_committed", setCommitted)
}

func (a *admins) of(bootstrap string) (*kadm.Client, error) {
	if a.clients[bootstrap] == nil {
		client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
		if err != nil {
			return nil, err
		}
		a.clients[bootstrap] = kadm.NewClient(client)
	}
	return a.clients[bootstrap], nil
}

func offset(ctx context.Context, client *kadm.Client, in adminArgs) (any, error) {
	var listed kadm.ListedOffsets
	var err error
	switch at := in.At.(type) {
	case float64:
		return offsetAtTime(ctx, client, in, int64(at))
	case string:
		if at == "latest" {
			listed, err = client.ListEndOffsets(ctx, in.Topic)
		} else {
			listed, err = client.ListStartOffsets(ctx, in.Topic)
		}
	}
	if err != nil {
		return nil, err
	}
	found, _ := listed.Lookup(in.Topic, in.Partition)
	return found.Offset, found.Err
}

// offsetAtTime tells apart what kadm joins: no record at or after the time means the end offset.
func offsetAtTime(ctx context.Context, client *kadm.Client, in adminArgs, ms int64) (any, error) {
	listed, err := client.ListOffsetsAfterMilli(ctx, ms, in.Topic)
	if err != nil {
		return nil, err
	}
	found, _ := listed.Lookup(in.Topic, in.Partition)
	if found.Err != nil || found.Timestamp == -1 {
		return nil, found.Err
	}
	return found.Offset, nil
}

func createTopic(ctx context.Context, client *kadm.Client, in adminArgs) (any, error) {
	configs := map[string]*string{}
	for name, value := range in.Configs {
		configs[name] = kadm.StringPtr(value)
	}
	if in.Partitions == 0 {
		in.Partitions = 1
	}
	_, err := client.CreateTopic(ctx, in.Partitions, 1, configs, in.Topic)
	return nil, err
}

func deleteTopic(ctx context.Context, client *kadm.Client, in adminArgs) (any, error) {
	_, err := client.DeleteTopic(ctx, in.Topic)
	return nil, err
}

func partitionCount(ctx context.Context, client *kadm.Client, in adminArgs) (any, error) {
	topics, err := client.ListTopics(ctx, in.Topic)
	if err != nil {
		return nil, err
	}
	return len(topics[in.Topic].Partitions), topics[in.Topic].Err
}

func createPartitions(ctx context.Context, client *kadm.Client, in adminArgs) (any, error) {
	answers, err := client.UpdatePartitions(ctx, in.Count, in.Topic)
	if err != nil {
		return nil, err
	}
	return nil, answers[in.Topic].Err
}

func deleteRecords(ctx context.Context, client *kadm.Client, in adminArgs) (any, error) {
	before := kadm.Offsets{}
	before.AddOffset(in.Topic, in.Partition, in.Before, -1)
	answers, err := client.DeleteRecords(ctx, before)
	if err != nil {
		return nil, err
	}
	return nil, answers[in.Topic][in.Partition].Err
}

func topicConfigs(ctx context.Context, client *kadm.Client, in adminArgs) (any, error) {
	described, err := client.DescribeTopicConfigs(ctx, in.Topic)
	if err != nil {
		return nil, err
	}
	configs := map[string]*string{}
	for _, config := range described[0].Configs {
		configs[config.Key] = config.Value
	}
	return configs, described[0].Err
}

func setTopicConfig(ctx context.Context, client *kadm.Client, in adminArgs) (any, error) {
	change := []kadm.AlterConfig{{Op: kadm.SetConfig, Name: in.Name, Value: &in.Value}}
	answers, err := client.AlterTopicConfigs(ctx, change, in.Topic)
	if err != nil {
		return nil, err
	}
	return nil, answers[0].Err
}

func groups(ctx context.Context, client *kadm.Client, _ adminArgs) (any, error) {
	listed, err := client.ListGroups(ctx)
	return listed.Groups(), err
}

func group(ctx context.Context, client *kadm.Client, in adminArgs) (any, error) {
	described, err := client.DescribeGroups(ctx, in.Group)
	if err != nil {
		return nil, err
	}
	found := described[in.Group]
	return map[string]any{"state": found.State, "members": len(found.Members)}, found.Err
}

func deleteGroup(ctx context.Context, client *kadm.Client, in adminArgs) (any, error) {
	answers, err := client.DeleteGroups(ctx, in.Group)
	if err != nil {
		return nil, err
	}
	return nil, answers[in.Group].Err
}

func committed(ctx context.Context, client *kadm.Client, in adminArgs) (any, error) {
	answers, err := client.FetchOffsets(ctx, in.Group)
	if err != nil {
		return nil, err
	}
	offsets := map[string]int64{}
	for partition, at := range answers[in.Topic] {
		if at.At >= 0 {
			offsets[strconv.Itoa(int(partition))] = at.At
		}
	}
	return offsets, nil
}

func setCommitted(ctx context.Context, client *kadm.Client, in adminArgs) (any, error) {
	wanted := kadm.Offsets{}
	for name, at := range in.Offsets {
		partition, err := strconv.Atoi(name)
		if err != nil {
			return nil, err
		}
		wanted.AddOffset(in.Topic, int32(partition), at, -1)
	}
	answers, err := client.CommitOffsets(ctx, in.Group, wanted)
	if err != nil {
		return nil, err
	}
	return nil, answers.Error()
}
