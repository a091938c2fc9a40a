package pylog.clients;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.InputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import org.apache.kafka.common.utils.internals.Exit;
import org.apache.kafka.tools.TopicCommand;

/** Kafka's command line tools, run by their main classes in this process. */
final class Tools {
    /** Thrown in place of the end of the process. */
    private static final class Ended extends RuntimeException {
        private static final long serialVersionUID = 1L;

        Ended() {
            super(null, null, false, false);
        }
    }

    // The first code counts: a tool may catch Ended as a failure and ask to end once more.
    private Integer code;

    private void end(int asked) {
        code = code == null ? Integer.valueOf(asked) : code;
        throw new Ended();
    }

    void register(Map<String, Agent.Command> commands) {
        commands.put("tool", this::tool);
        commands.put("tools", command -> mainClasses());
    }

    /** Names of all classes in Kafka's jar of tools that can be started. */
    private static List<String> mainClasses() throws Exception {
        URI jar = TopicCommand.class.getProtectionDomain().getCodeSource().getLocation().toURI();
        List<String> found = new ArrayList<>();
        try (JarFile file = new JarFile(new File(jar))) {
            for (JarEntry entry : Collections.list(file.entries())) {
                String name = entry.getName().replace('/', '.');
                if (name.endsWith(".class") && isMain(name.substring(0, name.length() - 6))) {
                    found.add(name.substring(0, name.length() - 6));
                }
            }
        }
        return found;
    }

    private static boolean isMain(String name) {
        try {
            ClassLoader loader = Tools.class.getClassLoader();
            Class.forName(name, false, loader).getDeclaredMethod("main", String[].class);
            return true;
        } catch (ReflectiveOperationException | LinkageError none) {
            return false;
        }
    }

    /** `class`, `arguments` and `stdin` to `{"code", "stdout", "stderr"}`. */
    private Object tool(JsonNode command) throws Exception {
        List<String> arguments = new ArrayList<>();
        command.get("arguments").forEach(argument -> arguments.add(argument.asText()));
        byte[] input = Agent.text(command, "stdin", "").getBytes(StandardCharsets.UTF_8);
        ByteArrayOutputStream output = new ByteArrayOutputStream();
        ByteArrayOutputStream errors = new ByteArrayOutputStream();
        PrintStream realOutput = System.out;
        PrintStream realErrors = System.err;
        InputStream realInput = System.in;
        System.setOut(new PrintStream(output, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(errors, true, StandardCharsets.UTF_8));
        System.setIn(new ByteArrayInputStream(input));
        code = null;
        try {
            run(command.get("class").asText(), arguments);
        } finally {
            System.setOut(realOutput);
            System.setErr(realErrors);
            System.setIn(realInput);
        }
        return Map.of(
            "code", code == null ? 0 : code,
            "stdout", output.toString(StandardCharsets.UTF_8),
            "stderr", errors.toString(StandardCharsets.UTF_8));
    }

    private void run(String name, List<String> arguments) throws Exception {
        Exit.setExitProcedure((asked, message) -> end(asked));
        Exit.setHaltProcedure((asked, message) -> end(asked));
        try {
            Class.forName(name).getMethod("main", String[].class)
                .invoke(null, (Object) arguments.toArray(new String[0]));
        } catch (InvocationTargetException thrown) {
            if (code == null) {
                thrown.getCause().printStackTrace();
                code = 1;
            }
        } finally {
            Exit.resetExitProcedure();
            Exit.resetHaltProcedure();
        }
    }
}
