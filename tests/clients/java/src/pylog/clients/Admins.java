package pylog.clients;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;

/** The commands that ask Kafka's admin client. */
final class Admins {
    private final Map<String, Admin> admins = new HashMap<>();

    void register(Map<String, Agent.Command> commands) {
        commands.put("offset", this::offset);
        commands.put("create_topic", this::createTopic);
        commands.put("delete_topic", a -> of(a).deleteTopics(List.of(topic(a))).all().get());
        commands.put("partition_count", a -> of(a).describeTopics(List.of(topic(a)))
            .allTopicNames().get().get(topic(a)).partitions().size());
        commands.put("create_partitions", a -> of(a).createPartitions(
            Map.of(topic(a), NewPartitions.increaseTo(a.get("count").asInt()))).all().get());
        commands.put("delete_records", a -> of(a).deleteRecords(Map.of(
            partition(a), RecordsToDelete.beforeOffset(a.get("before").asLong()))).all().get());
        commands.put("topic_configs", this::topicConfigs);
        commands.put("set_topic_config", this::setTopicConfig);
        commands.put("groups", this::groups);
        commands.put("group", this::group);
        commands.put("delete_group", a -> of(a).deleteConsumerGroups(List.of(group(a, "group")))
            .all().get());
        commands.put("committed", this::committed);
        commands.put("set_committed", this::setCommitted);
    }

    private Admin of(JsonNode arguments) {
        return admins.computeIfAbsent(
            arguments.get("bootstrap").asText(),
            bootstrap -> Admin.create(Map.of("bootstrap.servers", bootstrap)));
    }

    private static String topic(JsonNode arguments) {
        return arguments.get("topic").asText();
    }

    private static String group(JsonNode arguments, String name) {
        return arguments.get(name).asText();
    }

    private static TopicPartition partition(JsonNode arguments) {
        return new TopicPartition(topic(arguments), arguments.get("partition").asInt());
    }

    private static ConfigResource resource(JsonNode arguments) {
        return new ConfigResource(ConfigResource.Type.TOPIC, topic(arguments));
    }

    private Object offset(JsonNode arguments) throws Exception {
        JsonNode at = arguments.get("at");
        OffsetSpec spec = at.isNumber() ? OffsetSpec.forTimestamp(at.asLong())
            : at.asText().equals("latest") ? OffsetSpec.latest() : OffsetSpec.earliest();
        ListOffsetsResultInfo found = of(arguments).listOffsets(Map.of(partition(arguments), spec))
            .partitionResult(partition(arguments)).get();
        return found.offset() < 0 ? null : found.offset();
    }

    private Object createTopic(JsonNode arguments) throws Exception {
        int partitions = Integer.parseInt(Agent.text(arguments, "partitions", "1"));
        Map<String, String> configs = new HashMap<>();
        if (arguments.hasNonNull("configs")) {
            arguments.get("configs").properties()
                .forEach(entry -> configs.put(entry.getKey(), entry.getValue().asText()));
        }
        NewTopic topic = new NewTopic(topic(arguments), partitions, (short) 1).configs(configs);
        return of(arguments).createTopics(List.of(topic)).all().get();
    }

    private Object topicConfigs(JsonNode arguments) throws Exception {
        Map<String, String> configs = new HashMap<>();
        of(arguments).describeConfigs(List.of(resource(arguments))).all().get()
            .get(resource(arguments)).entries()
            .forEach(entry -> configs.put(entry.name(), entry.value()));
        return configs;
    }

    private Object setTopicConfig(JsonNode arguments) throws Exception {
        ConfigEntry entry =
            new ConfigEntry(arguments.get("name").asText(), arguments.get("value").asText());
        List<AlterConfigOp> change = List.of(new AlterConfigOp(entry, AlterConfigOp.OpType.SET));
        return of(arguments).incrementalAlterConfigs(Map.of(resource(arguments), change)).all().get();
    }

    private Object groups(JsonNode arguments) throws Exception {
        List<String> names = new ArrayList<>();
        of(arguments).listGroups().all().get().forEach(group -> names.add(group.groupId()));
        return names;
    }

    private Object group(JsonNode arguments) throws Exception {
        String group = arguments.get("group").asText();
        ConsumerGroupDescription described =
            of(arguments).describeConsumerGroups(List.of(group)).all().get().get(group);
        return Map.of(
            "state", described.groupState().toString(), "members", described.members().size());
    }

    private Object committed(JsonNode arguments) throws Exception {
        Map<String, Long> offsets = new LinkedHashMap<>();
        of(arguments).listConsumerGroupOffsets(arguments.get("group").asText())
            .partitionsToOffsetAndMetadata().get().forEach((partition, at) -> {
                if (partition.topic().equals(topic(arguments))) {
                    offsets.put(String.valueOf(partition.partition()), at.offset());
                }
            });
        return offsets;
    }

    private Object setCommitted(JsonNode arguments) throws Exception {
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        arguments.get("offsets").properties().forEach(entry -> offsets.put(
            new TopicPartition(topic(arguments), Integer.parseInt(entry.getKey())),
            new OffsetAndMetadata(entry.getValue().asLong())));
        String group = arguments.get("group").asText();
        return of(arguments).alterConsumerGroupOffsets(group, offsets).all().get();
    }
}
