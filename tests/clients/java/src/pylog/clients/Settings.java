package pylog.clients;

import java.util.Map;
import java.util.TreeMap;
import kafka.server.KafkaConfig;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.coordinator.group.GroupConfig;
import org.apache.kafka.server.metrics.ClientMetricsConfigs;
import org.apache.kafka.storage.internals.log.LogConfig;

/** The settings that Kafka itself knows. */
final class Settings {
    private Settings() {}

    static void register(Map<String, Agent.Command> commands) {
        commands.put("settings", command -> Map.of(
            "broker", defaults(KafkaConfig.configDef()),
            "topic", defaults(LogConfig.configDefCopy()),
            "group", defaults(GroupConfig.CONFIG_DEF),
            "client-metrics", defaults(ClientMetricsConfigs.configDef())));
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
