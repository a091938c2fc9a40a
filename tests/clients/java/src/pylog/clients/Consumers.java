package pylog.clients;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.FutureTask;
import java.util.concurrent.LinkedBlockingQueue;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Consumers by handle: told what to read, or subscribed as members of a group. */
final class Consumers {
    private static final Duration POLL = Duration.ofMillis(100);
    private static final int HEARTBEAT_MS = 500;
    private final Map<String, KafkaConsumer<byte[], byte[]>> consumers = new HashMap<>();
    private final Map<String, Polled> members = new HashMap<>();

    /** A subscribed consumer and the one thread that may touch it. */
    static final class Polled {
        private final KafkaConsumer<byte[], byte[]> consumer;
        private final LinkedBlockingQueue<FutureTask<?>> jobs = new LinkedBlockingQueue<>();
        private final List<Object> records = new ArrayList<>();
        private final Thread thread = new Thread(this::loop);
        private volatile boolean stopping;
        private volatile RuntimeException failure;

        Polled(KafkaConsumer<byte[], byte[]> consumer) {
            this.consumer = consumer;
            thread.setDaemon(true);
            thread.start();
        }

        /** Runs a job between two polls. */
        <T> T run(Callable<T> job) throws Exception {
            if (failure != null) {
                throw failure;
            }
            FutureTask<T> task = new FutureTask<>(job);
            jobs.add(task);
            return task.get();
        }

        Map<TopicPartition, OffsetAndMetadata> positions() throws Exception {
            return run(() -> {
                Map<TopicPartition, OffsetAndMetadata> positions = new HashMap<>();
                for (TopicPartition partition : consumer.assignment()) {
                    positions.put(partition, new OffsetAndMetadata(consumer.position(partition)));
                }
                return positions;
            });
        }

        ConsumerGroupMetadata metadata() throws Exception {
            return run(consumer::groupMetadata);
        }

        List<Object> take() throws Exception {
            return run(() -> {
                List<Object> taken = new ArrayList<>(records);
                records.clear();
                return taken;
            });
        }

        void stop() throws InterruptedException {
            stopping = true;
            thread.join();
        }

        private void loop() {
            try {
                while (!stopping) {
                    runJobs();
                    for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) {
                        records.add(Records.read(record));
                    }
                }
            } catch (RuntimeException thrown) {
                failure = thrown;
            }
            runJobs();
        }

        private void runJobs() {
            for (FutureTask<?> job = jobs.poll(); job != null; job = jobs.poll()) {
                job.run();
            }
        }
    }

    void register(Map<String, Agent.Command> commands) {
        commands.put("consumer_open", this::open);
        commands.put("consumer_assign", this::assign);
        commands.put("consumer_seek", this::seek);
        commands.put("consumer_read", this::read);
        commands.put("consumer_subscribe", this::subscribe);
        commands.put("member_state", this::state);
        commands.put("member_commit", a -> {
            String handle = a.get("handle").asText();
            KafkaConsumer<byte[], byte[]> consumer = consumers.get(handle);
            return members.get(handle).run(() -> {
                consumer.commitSync();
                return null;
            });
        });
    }

    Polled member(String handle) {
        return members.get(handle);
    }

    void close(String handle) throws InterruptedException {
        Polled member = members.remove(handle);
        if (member != null) {
            member.stop();
        }
        KafkaConsumer<byte[], byte[]> consumer = consumers.remove(handle);
        if (consumer != null) {
            consumer.close();
        }
    }

    private Object open(JsonNode arguments) {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", arguments.get("bootstrap").asText());
        config.put("auto.offset.reset", Agent.text(arguments, "reset", "earliest"));
        config.put("isolation.level", Agent.text(arguments, "isolation", "read_uncommitted"));
        config.put("enable.auto.commit", "false");
        String group = Agent.text(arguments, "group", null);
        if (group != null) {
            config.put(ConsumerConfig.GROUP_ID_CONFIG, group);
            config.put(ConsumerConfig.GROUP_PROTOCOL_CONFIG, Agent.text(arguments, "protocol", "classic"));
            putClassicTimes(config, Integer.parseInt(Agent.text(arguments, "session_timeout_ms", "10000")));
        }
        if (arguments.hasNonNull("instance")) {
            config.put(ConsumerConfig.GROUP_INSTANCE_ID_CONFIG, arguments.get("instance").asText());
        }
        ByteArrayDeserializer plain = new ByteArrayDeserializer();
        consumers.put(arguments.get("handle").asText(), new KafkaConsumer<>(config, plain, plain));
        return null;
    }

    private static void putClassicTimes(Map<String, Object> config, int sessionTimeoutMs) {
        if (config.get(ConsumerConfig.GROUP_PROTOCOL_CONFIG).equals("classic")) {
            config.put(ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG, sessionTimeoutMs);
            config.put(ConsumerConfig.HEARTBEAT_INTERVAL_MS_CONFIG, HEARTBEAT_MS);
        }
    }

    private Object assign(JsonNode arguments) {
        KafkaConsumer<byte[], byte[]> consumer = consumers.get(arguments.get("handle").asText());
        Map<TopicPartition, JsonNode> positions = new HashMap<>();
        arguments.get("positions").properties().forEach(entry -> positions.put(
            partition(arguments, Integer.parseInt(entry.getKey())), entry.getValue()));
        consumer.assign(positions.keySet());
        positions.forEach((partition, at) -> {
            Collection<TopicPartition> one = List.of(partition);
            if (at.isNumber()) {
                consumer.seek(partition, at.asLong());
            } else if (at.asText().equals("latest")) {
                consumer.seekToEnd(one);
                consumer.position(partition);
            } else {
                consumer.seekToBeginning(one);
            }
        });
        return null;
    }

    private Object seek(JsonNode arguments) {
        consumers.get(arguments.get("handle").asText())
            .seek(partition(arguments, arguments.get("partition").asInt()), arguments.get("offset").asLong());
        return null;
    }

    private static TopicPartition partition(JsonNode arguments, int partition) {
        return new TopicPartition(arguments.get("topic").asText(), partition);
    }

    private Object read(JsonNode arguments) {
        KafkaConsumer<byte[], byte[]> consumer = consumers.get(arguments.get("handle").asText());
        int count = arguments.get("count").asInt();
        long deadline = System.nanoTime() + arguments.get("timeout_ms").asLong() * 1_000_000;
        List<Object> records = new ArrayList<>();
        while (records.size() < count && System.nanoTime() < deadline) {
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) {
                if (records.size() < count) {
                    records.add(Records.read(record));
                } else {
                    // Not wanted yet: the next read begins here.
                    consumer.seek(
                        new TopicPartition(record.topic(), record.partition()), record.offset());
                    break;
                }
            }
        }
        return records;
    }

    private Object subscribe(JsonNode arguments) {
        String handle = arguments.get("handle").asText();
        List<String> topics = new ArrayList<>();
        arguments.get("topics").forEach(topic -> topics.add(topic.asText()));
        consumers.get(handle).subscribe(topics);
        members.put(handle, new Polled(consumers.get(handle)));
        return null;
    }

    private Object state(JsonNode arguments) throws Exception {
        String handle = arguments.get("handle").asText();
        Polled member = members.get(handle);
        List<Object> assignment = new ArrayList<>();
        for (TopicPartition partition : member.run(consumers.get(handle)::assignment)) {
            assignment.add(List.of(partition.topic(), partition.partition()));
        }
        return Map.of("assignment", assignment, "records", member.take());
    }
}
