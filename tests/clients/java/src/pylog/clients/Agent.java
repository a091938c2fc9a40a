package pylog.clients;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.common.protocol.Errors;

/** The agent around Kafka's Java client; agents/README.md beside this project has the commands. */
public final class Agent {
    static final ObjectMapper JSON = new ObjectMapper();

    /** One command: arguments in, result out (any value that Jackson can write). */
    interface Command {
        Object run(JsonNode arguments) throws Exception;
    }

    private final Map<String, Command> commands = new HashMap<>();

    private Agent() {
        Consumers consumers = new Consumers();
        Producers producers = new Producers(consumers);
        consumers.register(commands);
        producers.register(commands);
        new Admins().register(commands);
        new ShareConsumers().register(commands);
        new Tools().register(commands);
        Settings.register(commands);
        commands.put("close", arguments -> {
            String handle = arguments.get("handle").asText();
            consumers.close(handle);
            producers.close(handle);
            return null;
        });
    }

    public static void main(String[] arguments) throws Exception {
        PrintStream answers = System.out;
        System.setOut(System.err); // what a library prints must not mix with the answers
        Agent agent = new Agent();
        BufferedReader lines =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            answers.println(agent.answer(JSON.readTree(line)));
            answers.flush();
        }
        Runtime.getRuntime().halt(0);
    }

    private String answer(JsonNode command) throws Exception {
        ObjectNode answer = JSON.createObjectNode();
        try {
            Object result = commands.get(command.get("op").asText()).run(command);
            answer.set("result", JSON.valueToTree(result));
        } catch (Throwable failure) {
            failure.printStackTrace();
            describe(answer.putObject("error"), failure);
        }
        return JSON.writeValueAsString(answer);
    }

    private static void describe(ObjectNode error, Throwable failure) {
        Throwable cause = failure;
        while (cause instanceof ExecutionException || cause instanceof CompletionException) {
            cause = cause.getCause();
        }
        Errors known = Errors.forException(cause);
        if (known == Errors.UNKNOWN_SERVER_ERROR) {
            error.putNull("code");
        } else {
            error.put("code", known.code());
        }
        error.put("text", cause.toString());
    }

    /** A text argument, or `otherwise` where it is absent or null. */
    static String text(JsonNode arguments, String name, String otherwise) {
        return arguments.hasNonNull(name) ? arguments.get(name).asText() : otherwise;
    }
}
