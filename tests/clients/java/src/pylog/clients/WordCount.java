package pylog.clients;

import java.time.Duration;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.Stores;

/**
 * A Kafka Streams program that counts words, exactly once: NAME=VALUE... (settings)
 * BOOTSTRAP STATE_FOLDER. Every word of `lines` makes one record of `counts`: the word, and how
 * often it was read so far. Words go through a repartition topic, so the second half reads what the
 * first wrote in transactions.
 */
public final class WordCount {
    private WordCount() {}

    public static void main(String[] arguments) {
        Properties settings = settings(arguments);
        KafkaStreams streams = new KafkaStreams(topology(), settings);
        streams.setUncaughtExceptionHandler(failure -> {
            failure.printStackTrace();
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        streams.setStateListener((to, from) -> {
            System.out.println(to);
            if (to == KafkaStreams.State.ERROR) {
                Runtime.getRuntime().halt(1);
            }
        });
        Runtime.getRuntime().addShutdownHook(
            new Thread(() -> streams.close(Duration.ofSeconds(20))));
        streams.start();
    }

    private static Properties settings(String[] arguments) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", arguments[arguments.length - 2]);
        settings.put("application.id", "words");
        settings.put("state.dir", arguments[arguments.length - 1]);
        settings.put("processing.guarantee", "exactly_once_v2");
        settings.put("replication.factor", 1);
        settings.put("num.stream.threads", 2);
        settings.put("commit.interval.ms", 500);
        settings.put("auto.offset.reset", "earliest");
        settings.put("producer.transaction.timeout.ms", 5_000);
        for (String setting : List.of(arguments).subList(0, arguments.length - 2)) {
            String[] pair = setting.split("=", 2);
            settings.put(pair[0], pair[1]);
        }
        return settings;
    }

    /** Nothing is cached, so that no count of the sink is left out. */
    private static Topology topology() {
        var text = Serdes.String();
        var store = Materialized.<String, Long>as(Stores.inMemoryKeyValueStore("counts"))
            .withKeySerde(text).withValueSerde(Serdes.Long()).withCachingDisabled();
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream("lines", Consumed.with(text, text))
            .flatMapValues(line -> List.of(line.split(" ")))
            .groupBy((key, word) -> word, Grouped.with("words", text, text))
            .count(store)
            .toStream()
            .mapValues(String::valueOf)
            .to("counts", Produced.with(text, text));
        return builder.build();
    }
}
