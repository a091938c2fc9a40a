import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import java.util.StringJoiner;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;

/**
 * Kafka's own record code.
 *   read    batches on stdin -> a line for each batch and each record, on stdout
 *   write   -> what Kafka builds of five records: int32 magic, int32 compression, int32 length,
 *              bytes; for each format and compression that goes with it
 */
public final class Batches {
    private static final int RECORDS = 5;

    public static void main(String[] args) throws IOException {
        if (args[0].equals("read")) {
            read(ByteBuffer.wrap(System.in.readAllBytes()));
        } else {
            write(new DataOutputStream(System.out));
        }
    }

    private static void read(ByteBuffer data) {
        for (MutableRecordBatch batch : MemoryRecords.readableRecords(data).batches()) {
            batch.ensureValid();
            System.out.printf("batch %d %d %d %s %d %d %d %b%n", batch.baseOffset(),
                batch.lastOffset(), batch.partitionLeaderEpoch(), batch.compressionType().name,
                batch.producerId(), batch.producerEpoch(), batch.baseSequence(),
                batch.isTransactional());
            for (Record record : batch) {
                record.ensureValid();
                System.out.printf("%d %d %s %s %s%n", record.offset(), record.timestamp(),
                    hex(record.key()), hex(record.value()), headers(record));
            }
        }
    }

    private static String headers(Record record) {
        StringJoiner joiner = new StringJoiner(",", "[", "]");
        for (Header header : record.headers()) {
            byte[] value = header.value();
            joiner.add(header.key() + "=" + hex(value == null ? null : ByteBuffer.wrap(value)));
        }
        return joiner.toString();
    }

    private static String hex(ByteBuffer buffer) {
        if (buffer == null) {
            return "null";
        }
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        return "x" + HexFormat.of().formatHex(bytes);
    }

    private static void write(DataOutputStream out) throws IOException {
        for (byte magic = 0; magic <= 2; magic++) {
            for (CompressionType type : CompressionType.values()) {
                boolean zstd = type == CompressionType.ZSTD;
                boolean oldLz4 = magic == 0 && type == CompressionType.LZ4;
                if (!(zstd && magic < 2) && !oldLz4) {
                    ByteBuffer built = build(magic, type);
                    out.writeInt(magic);
                    out.writeInt(type.id);
                    out.writeInt(built.remaining());
                    out.write(built.array(), built.arrayOffset(), built.remaining());
                }
            }
        }
        out.flush();
    }

    private static ByteBuffer build(byte magic, CompressionType type) {
        MemoryRecordsBuilder builder = MemoryRecords.builder(ByteBuffer.allocate(1 << 16), magic,
            Compression.of(type).build(), TimestampType.CREATE_TIME, 40L,
            RecordBatch.NO_TIMESTAMP, magic == 2 ? 7L : RecordBatch.NO_PRODUCER_ID, (short) 1, 9,
            false, 3);
        for (int i = 0; i < RECORDS; i++) {
            byte[] key = i == 1 ? null : ("key" + i).getBytes();
            byte[] value = i == 2 ? null : "some words ".repeat(i * 500).getBytes();
            long time = magic == 0 ? RecordBatch.NO_TIMESTAMP : 1000L + i;
            Header[] headers = {new RecordHeader("n", null), new RecordHeader("h", new byte[] {1})};
            builder.append(time, key, value, magic == 2 && i == 3 ? headers : new Header[0]);
        }
        return builder.build().buffer();
    }
}
