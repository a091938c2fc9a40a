package pylog.clients;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;

/** Records as commands carry them. */
final class Records {
    private Records() {}

    static ProducerRecord<byte[], byte[]> toSend(String topic, JsonNode item) throws IOException {
        List<Header> headers = new ArrayList<>();
        for (JsonNode header : item.get("headers")) {
            headers.add(new RecordHeader(header.get(0).asText(), bytes(header.get(1))));
        }
        Integer partition = item.hasNonNull("partition") ? item.get("partition").asInt() : null;
        Long timestamp = item.hasNonNull("timestamp") ? item.get("timestamp").asLong() : null;
        return new ProducerRecord<>(
            topic, partition, timestamp, bytes(item.get("key")), bytes(item.get("value")), headers);
    }

    static Map<String, Object> read(ConsumerRecord<byte[], byte[]> record) {
        List<Object> headers = new ArrayList<>();
        for (Header header : record.headers()) {
            List<Object> pair = new ArrayList<>();
            pair.add(header.key());
            pair.add(header.value());
            headers.add(pair);
        }
        Map<String, Object> item = new LinkedHashMap<>();
        item.put("partition", record.partition());
        item.put("offset", record.offset());
        item.put("timestamp", record.timestamp());
        item.put("key", record.key());
        item.put("value", record.value());
        item.put("headers", headers);
        return item;
    }

    private static byte[] bytes(JsonNode node) throws IOException {
        return node.isNull() ? null : node.binaryValue();
    }
}
