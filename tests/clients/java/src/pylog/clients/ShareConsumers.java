package pylog.clients;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicIdPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Members of share groups, polled by the commands themselves. */
final class ShareConsumers {
    private final Map<String, Member> members = new HashMap<>();

    private static final class Member {
        final KafkaShareConsumer<byte[], byte[]> consumer;
        final Map<Long, ConsumerRecord<byte[], byte[]>> held = new HashMap<>();

        Member(Properties settings) {
            consumer = new KafkaShareConsumer<>(
                settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        }
    }

    void register(Map<String, Agent.Command> commands) {
        commands.put("share_open", this::open);
        commands.put("share_read", this::read);
        commands.put("share_acknowledge", this::acknowledge);
        commands.put("share_commit", this::commit);
        commands.put("share_close", this::close);
    }

    private Object open(JsonNode arguments) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", arguments.get("bootstrap").asText());
        settings.put("group.id", arguments.get("group").asText());
        settings.put("share.acknowledgement.mode", Agent.text(arguments, "mode", "implicit"));
        Member member = new Member(settings);
        member.consumer.subscribe(List.of(arguments.get("topic").asText()));
        members.put(arguments.get("handle").asText(), member);
        return null;
    }

    /** `count` records at least, fewer where the time ends first: [offset, value, deliveries]. */
    private Object read(JsonNode arguments) {
        Member member = member(arguments);
        List<Object> found = new ArrayList<>();
        long end = System.currentTimeMillis() + arguments.get("timeout_ms").asLong();
        while (found.size() < arguments.get("count").asInt() && System.currentTimeMillis() < end) {
            for (var record : member.consumer.poll(Duration.ofMillis(200))) {
                member.held.put(record.offset(), record);
                int deliveries = record.deliveryCount().map(Short::intValue).orElse(0);
                found.add(List.of(record.offset(), new String(record.value()), deliveries));
            }
        }
        return found;
    }

    /** `types` maps offsets to names of acknowledgement types. */
    private Object acknowledge(JsonNode arguments) {
        Member member = member(arguments);
        arguments.get("types").properties().forEach(entry -> member.consumer.acknowledge(
            member.held.get(Long.valueOf(entry.getKey())),
            AcknowledgeType.valueOf(entry.getValue().asText())));
        return null;
    }

    /** Partitions that were refused, as text. */
    private Object commit(JsonNode arguments) {
        List<String> refused = new ArrayList<>();
        Map<TopicIdPartition, Optional<KafkaException>> results =
            member(arguments).consumer.commitSync(Duration.ofSeconds(30));
        results.forEach((partition, error) ->
            error.ifPresent(failure -> refused.add(partition + ": " + failure)));
        return refused;
    }

    private Object close(JsonNode arguments) {
        members.remove(arguments.get("handle").asText()).consumer.close();
        return null;
    }

    private Member member(JsonNode arguments) {
        return members.get(arguments.get("handle").asText());
    }
}
