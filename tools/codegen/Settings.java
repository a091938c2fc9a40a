import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigDef.ConfigKey;
import org.apache.kafka.coordinator.group.GroupConfig;
import org.apache.kafka.server.config.AbstractKafkaConfig;
import org.apache.kafka.server.config.DynamicBrokerConfig;
import org.apache.kafka.server.config.DynamicConfig;
import org.apache.kafka.storage.internals.log.LogConfig;

/** Prints every setting of Kafka: scope, name, type, how it is altered, default, check, shown. */
public final class Settings {
    public static void main(String[] args) {
        Map<String, String> modes = DynamicBrokerConfig.dynamicConfigUpdateModes();
        Map<String, ConfigKey> broker = new TreeMap<>(AbstractKafkaConfig.CONFIG_DEF.configKeys());
        DynamicConfig.Broker.configKeys().forEach(broker::putIfAbsent);
        broker.forEach((name, key) -> print("broker", key, modeOf(modes, name),
            key.internalConfig || !AbstractKafkaConfig.CONFIG_DEF.names().contains(name)));
        print("topic", LogConfig.configDefCopy());
        print("group", GroupConfig.CONFIG_DEF);
    }

    private static String modeOf(Map<String, String> modes, String name) {
        boolean dynamic = DynamicConfig.Broker.names().contains(name)
            && !DynamicConfig.Broker.nonDynamicProps().contains(name);
        return dynamic ? modes.getOrDefault(name, "cluster-wide") : "read-only";
    }

    private static void print(String scope, ConfigDef settings) {
        new TreeMap<>(settings.configKeys()).values()
            .forEach(key -> print(scope, key, "cluster-wide", key.internalConfig));
    }

    private static void print(String scope, ConfigKey key, String mode, boolean hidden) {
        String text = ConfigDef.convertToString(key.hasDefault() ? key.defaultValue : null, key.type);
        String line = String.join("\t", scope, key.name, key.type.name(), mode,
            text == null ? "-" : "=" + text, String.valueOf(key.validator), hidden ? "hidden" : "-");
        System.out.println(line.replaceAll("[\\r\\n]+", " "));
    }
}
