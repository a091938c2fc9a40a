import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.message.ApiVersionsResponseData.ApiVersion;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.Readable;
import org.apache.kafka.common.requests.ApiVersionsResponse;

/**
 * Kafka's own message classes behind a pipe.
 *
 * A call is: int32 length, then UTF class name, int16 version, byte operation, the rest its data.
 * An answer is: int32 length, then byte 0 and the result, or byte 1 and the error's text.
 *   decode  'd'  bytes       -> UTF-8 JSON behind its int32 length, then the bytes encoded again
 *   encode  'e'  UTF-8 JSON  -> bytes
 *   default 'n'              -> bytes of a new message
 *   convert 'c'  int16 version of the bytes, bytes -> bytes in the call's version
 *   headers 'h'              -> int16 versions of the headers of request and response
 *   served  'v'              -> int16 key, lowest and highest version that a broker advertises
 */
public final class Oracle {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Map<String, Type> TYPES = new HashMap<>();

    /** One message class with its JSON converter. */
    private record Type(Class<? extends Message> message, Method toJson, Method fromJson) {
        static Type find(String name) throws ReflectiveOperationException {
            Class<? extends Message> message = Class.forName(name).asSubclass(Message.class);
            Class<?> converter = Class.forName(name + "JsonConverter");
            return new Type(message,
                converter.getMethod("write", message, short.class),
                converter.getMethod("read", JsonNode.class, short.class));
        }

        Message decode(ByteBuffer data, short version) throws ReflectiveOperationException {
            Message read = message.getConstructor(Readable.class, short.class)
                .newInstance(new ByteBufferAccessor(data), version);
            if (data.hasRemaining()) {
                throw new IllegalArgumentException(data.remaining() + " bytes behind the message");
            }
            return read;
        }
    }

    public static void main(String[] args) throws IOException {
        DataInputStream in = new DataInputStream(new BufferedInputStream(System.in, 1 << 16));
        DataOutputStream out = new DataOutputStream(new BufferedOutputStream(System.out, 1 << 16));
        while (true) {
            byte[] call;
            try {
                call = in.readNBytes(in.readInt());
            } catch (EOFException end) {
                return;
            }
            byte[] result = answer(call);
            out.writeInt(result.length);
            out.write(result);
            out.flush();
        }
    }

    private static byte[] answer(byte[] call) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try {
            DataInputStream in = new DataInputStream(new ByteArrayInputStream(call));
            byte[] result = run(in.readUTF(), in.readShort(), in.readByte(), in);
            out.write(0);
            out.write(result);
        } catch (InvocationTargetException error) {
            return failure(error.getCause());
        } catch (ReflectiveOperationException | RuntimeException error) {
            return failure(error);
        }
        return out.toByteArray();
    }

    private static byte[] failure(Throwable error) {
        byte[] text = error.toString().getBytes(StandardCharsets.UTF_8);
        return ByteBuffer.allocate(1 + text.length).put((byte) 1).put(text).array();
    }

    private static byte[] run(String name, short version, byte operation, DataInputStream in)
            throws IOException, ReflectiveOperationException {
        Type type = TYPES.get(name);
        if (type == null) {
            type = Type.find(name);
            TYPES.put(name, type);
        }
        switch (operation) {
            case 'd':
                return both(type, type.decode(ByteBuffer.wrap(in.readAllBytes()), version), version);
            case 'e':
                JsonNode json = JSON.readTree(in.readAllBytes());
                return encode((Message) type.fromJson().invoke(null, json, version), version);
            case 'n':
                return encode(type.message().getConstructor().newInstance(), version);
            case 'c':
                short from = in.readShort();
                return encode(type.decode(ByteBuffer.wrap(in.readAllBytes()), from), version);
            case 'h':
                ApiKeys api = ApiKeys.forId(key(type));
                return ByteBuffer.allocate(4).putShort(api.requestHeaderVersion(version))
                    .putShort(api.responseHeaderVersion(version)).array();
            case 'v':
                return advertised(key(type));
            default:
                throw new IllegalArgumentException("operation " + operation);
        }
    }

    private static short key(Type type) throws ReflectiveOperationException {
        return ((ApiMessage) type.message().getConstructor().newInstance()).apiKey();
    }

    private static byte[] advertised(short key) {
        ApiVersion served = ApiVersionsResponse
            .collectApis(ApiMessageType.ListenerType.BROKER, Set.of(ApiKeys.forId(key)), false)
            .find(key);
        return ByteBuffer.allocate(6).putShort(key).putShort(served.minVersion())
            .putShort(served.maxVersion()).array();
    }

    private static byte[] both(Type type, Message message, short version)
            throws IOException, ReflectiveOperationException {
        byte[] json = JSON.writeValueAsBytes(type.toJson().invoke(null, message, version));
        byte[] bytes = encode(message, version);
        return ByteBuffer.allocate(4 + json.length + bytes.length)
            .putInt(json.length).put(json).put(bytes).array();
    }

    private static byte[] encode(Message message, short version) {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer buffer = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(buffer), cache, version);
        if (buffer.hasRemaining()) {
            throw new IllegalStateException("size and bytes differ");
        }
        return buffer.array();
    }
}
