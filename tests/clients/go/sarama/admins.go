package main

import (
	"context"
	"strconv"

	"github.com/IBM/sarama"
	"pylog.test/agents/loop"
)

type adminArgs struct {
	Bootstrap  string             `json:"bootstrap"`
	Topic      string             `json:"topic"`
	Partition  int32              `json:"partition"`
	Partitions int32              `json:"partitions"`
	Configs    map[string]*string `json:"configs"`
	Count      int32              `json:"count"`
	Before     int64              `json:"before"`
	At         any                `json:"at"`
	Name       string             `json:"name"`
	Value      string             `json:"value"`
	Group      string             `json:"group"`
}

type adminCommand func(admin sarama.ClusterAdmin, in adminArgs) (any, error)

func (a *agent) registerAdmins() {
	a.commands["offset"] = loop.Args(func(_ context.Context, in adminArgs) (any, error) {
		return a.offset(in)
	})
	for op, run := range map[string]adminCommand{
		"create_topic":      createTopic,
		"delete_topic":      deleteTopic,
		"partition_count":   partitionCount,
		"create_partitions": createPartitions,
		"delete_records":    deleteRecords,
		"topic_configs":     topicConfigs,
		"set_topic_config":  setTopicConfig,
		"groups":            groups,
		"group":             group,
		"delete_group":      deleteGroup,
		"committed":         committed,
	} {
		a.commands[op] = loop.Args(func(_ context.Context, in adminArgs) (any, error) {
			admin, err := a.admin(in.Bootstrap)
			if err != nil {
				return nil, err
			}
			return run(admin, in)
		})
	}
}

func (a *agent) admin(bootstrap string) (sarama.ClusterAdmin, error) {
	if a.admins[bootstrap] == nil {
		admin, err := sarama.NewClusterAdmin([]string{bootstrap}, newConfig())
		if err != nil {
			return nil, err
		}
		a.admins[bootstrap] = admin
	}
	return a.admins[bootstrap], nil
}

func (a *agent) offset(in adminArgs) (any, error) {
	if a.clients[in.Bootstrap] == nil {
		client, err := sarama.NewClient([]string{in.Bootstrap}, newConfig())
		if err != nil {
			return nil, err
		}
		a.clients[in.Bootstrap] = client
	}
	at := sarama.OffsetOldest
	switch named := in.At.(type) {
	case float64:
		at = int64(named)
	case string:
		at = position(`"` + named + `"`)
	}
	found, err := a.clients[in.Bootstrap].GetOffset(in.Topic, in.Partition, at)
	if err != nil || found < 0 {
		return nil, err
	}
	return found, nil
}

func createTopic(admin sarama.ClusterAdmin, in adminArgs) (any, error) {
	detail := &sarama.TopicDetail{
		NumPartitions: max(in.Partitions, 1), ReplicationFactor: 1, ConfigEntries: in.Configs,
	}
	return nil, admin.CreateTopic(in.Topic, detail, false)
}

func deleteTopic(admin sarama.ClusterAdmin, in adminArgs) (any, error) {
	return nil, admin.DeleteTopic(in.Topic)
}

func partitionCount(admin sarama.ClusterAdmin, in adminArgs) (any, error) {
	described, err := admin.DescribeTopics([]string{in.Topic})
	if err != nil {
		return nil, err
	}
	if described[0].Err != sarama.ErrNoError {
		return nil, described[0].Err
	}
	return len(described[0].Partitions), nil
}

func createPartitions(admin sarama.ClusterAdmin, in adminArgs) (any, error) {
	return nil, admin.CreatePartitions(in.Topic, in.Count, nil, false)
}

func deleteRecords(admin sarama.ClusterAdmin, in adminArgs) (any, error) {
	return nil, admin.DeleteRecords(in.Topic, map[int32]int64{in.Partition: in.Before})
}

func topicConfigs(admin sarama.ClusterAdmin, in adminArgs) (any, error) {
	resource := sarama.ConfigResource{Type: sarama.TopicResource, Name: in.Topic}
	entries, err := admin.DescribeConfig(resource)
	configs := map[string]string{}
	for _, entry := range entries {
		configs[entry.Name] = entry.Value
	}
	return configs, err
}

func setTopicConfig(admin sarama.ClusterAdmin, in adminArgs) (any, error) {
	change := sarama.IncrementalAlterConfigsEntry{
		Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &in.Value,
	}
	changes := map[string]sarama.IncrementalAlterConfigsEntry{in.Name: change}
	return nil, admin.IncrementalAlterConfig(sarama.TopicResource, in.Topic, changes, false)
}

func groups(admin sarama.ClusterAdmin, _ adminArgs) (any, error) {
	listed, err := admin.ListConsumerGroups()
	names := []string{}
	for name := range listed {
		names = append(names, name)
	}
	return names, err
}

func group(admin sarama.ClusterAdmin, in adminArgs) (any, error) {
	described, err := admin.DescribeConsumerGroups([]string{in.Group})
	if err != nil {
		return nil, err
	}
	found := described[0]
	if found.Err != sarama.ErrNoError {
		return nil, found.Err
	}
	return map[string]any{"state": found.State, "members": len(found.Members)}, nil
}

func deleteGroup(admin sarama.ClusterAdmin, in adminArgs) (any, error) {
	return nil, admin.DeleteConsumerGroup(in.Group)
}

func committed(admin sarama.ClusterAdmin, in adminArgs) (any, error) {
	answer, err := admin.ListConsumerGroupOffsets(in.Group, nil)
	if err != nil {
		return nil, err
	}
	offsets := map[string]int64{}
	for partition, block := range answer.Blocks[in.Topic] {
		if block.Offset >= 0 {
			offsets[strconv.Itoa(int(partition))] = block.Offset
		}
	}
	return offsets, nil
}
