package pylog.clients;

import java.util.Map;

final class ShareConsumers {
    void register(Map<String, Agent.Command> commands) {}
}
