package pylog.clients;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import kafka.server.KafkaConfig;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.coordinator.group.GroupConfig;
import org.apache.kafka.server.metrics.ClientMetricsConfigs;
import org.apache.kafka.storage.internals.log.LogConfig;

/** The settings that Kafka itself knows, their defaults, and which values they may have. */
final class Settings {
    private Settings() {}

    static void register(Map<String, Agent.Command> commands) {
        commands.put("settings", command -> Map.of(
            "broker", defaults(KafkaConfig.configDef()),
            "topic", defaults(LogConfig.configDefCopy()),
            "group", defaults(GroupConfig.CONFIG_DEF),
            "client-metrics", defaults(ClientMetricsConfigs.configDef())));
        commands.put("accepted", command -> {
            String[] values = Agent.JSON.treeToValue(command.get("values"), String[].class);
            return Map.of(
                "broker", accepted(KafkaConfig.configDef(), values),
                "topic", accepted(LogConfig.configDefCopy(), values),
                "group", accepted(GroupConfig.CONFIG_DEF, values),
                "client-metrics", accepted(ClientMetricsConfigs.configDef(), values));
        });
    }

    /** Those of `values` that a setting may have, by its name. */
    private static Map<String, List<String>> accepted(ConfigDef settings, String[] values) {
        Map<String, List<String>> found = new TreeMap<>();
        settings.configKeys().forEach((name, key) -> found.put(
            name, Stream.of(values).filter(value -> isAccepted(key, value)).toList()));
        return found;
    }

    private static boolean isAccepted(ConfigDef.ConfigKey key, String text) {
        try {
            Object value = ConfigDef.parseType(key.name, text, key.type);
            if (key.validator != null) {
                key.validator.ensureValid(key.name, value);
            }
            return true;
        } catch (ConfigException refused) {
            return false;
        }
    }

    /** Default by name; null where there is none. */
    private static Map<String, String> defaults(ConfigDef settings) {
        Map<String, String> found = new TreeMap<>();
        settings.configKeys().forEach((name, key) -> found.put(
            name,
            key.hasDefault() ? ConfigDef.convertToString(key.defaultValue, key.type) : null));
        return found;
    }
}
