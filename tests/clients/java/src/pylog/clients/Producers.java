package pylog.clients;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Producers by handle, transactional ones too. */
final class Producers {
    private final Map<String, KafkaProducer<byte[], byte[]>> producers = new HashMap<>();
    private final Consumers consumers;

    Producers(Consumers consumers) {
        this.consumers = consumers;
    }

    void register(Map<String, Agent.Command> commands) {
        commands.put("producer_open", this::open);
        commands.put("producer_send", this::send);
        commands.put("producer_begin", a -> {
            of(a).beginTransaction();
            return null;
        });
        commands.put("producer_commit", a -> {
            of(a).commitTransaction();
            return null;
        });
        commands.put("producer_abort", a -> {
            of(a).abortTransaction();
            return null;
        });
        commands.put("producer_send_offsets", a -> {
            Consumers.Polled member = consumers.member(a.get("member").asText());
            of(a).sendOffsetsToTransaction(member.positions(), member.metadata());
            return null;
        });
    }

    void close(String handle) {
        KafkaProducer<byte[], byte[]> producer = producers.remove(handle);
        if (producer != null) {
            producer.close(Duration.ofSeconds(30));
        }
    }

    private KafkaProducer<byte[], byte[]> of(JsonNode arguments) {
        return producers.get(arguments.get("handle").asText());
    }

    private Object open(JsonNode arguments) {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", arguments.get("bootstrap").asText());
        config.put("compression.type", Agent.text(arguments, "compression", "none"));
        config.put("acks", Agent.text(arguments, "acks", "-1"));
        config.put("enable.idempotence", Agent.text(arguments, "idempotent", "false"));
        config.put("batch.size", Agent.text(arguments, "batch_bytes", "16384"));
        config.put("max.request.size", 2_000_000);
        config.put("linger.ms", 5);
        String transactionalId = Agent.text(arguments, "transactional_id", null);
        if (transactionalId != null) {
            config.put("transactional.id", transactionalId);
            config.put("enable.idempotence", "true");
        }
        ByteArraySerializer plain = new ByteArraySerializer();
        KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(config, plain, plain);
        producers.put(arguments.get("handle").asText(), producer);
        if (transactionalId != null) {
            producer.initTransactions();
        }
        return null;
    }

    private Object send(JsonNode arguments) throws Exception {
        KafkaProducer<byte[], byte[]> producer = of(arguments);
        String topic = arguments.get("topic").asText();
        List<Future<RecordMetadata>> futures = new ArrayList<>();
        for (JsonNode item : arguments.get("records")) {
            futures.add(producer.send(Records.toSend(topic, item)));
        }
        producer.flush();
        List<long[]> sent = new ArrayList<>();
        for (Future<RecordMetadata> future : futures) {
            RecordMetadata metadata = future.get();
            sent.add(new long[] {metadata.partition(), metadata.offset()});
        }
        return sent;
    }
}
