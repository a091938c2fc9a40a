package pylog.clients;

import java.util.Map;

final class StreamsApps {
    void register(Map<String, Agent.Command> commands) {}
}
