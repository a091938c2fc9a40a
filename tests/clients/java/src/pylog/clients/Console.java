package pylog.clients;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/** Redirects Scala's console, which keeps the streams that it saw first. */
final class Console {
    interface Body {
        int run() throws Exception;
    }

    private Console() {}

    static int capture(Body body, ByteArrayOutputStream output) throws Exception {
        PrintStream stream = new PrintStream(output, true, StandardCharsets.UTF_8);
        scala.Function0<Integer> call = () -> {
            try {
                return body.run();
            } catch (Exception failure) {
                throw new IllegalStateException(failure);
            }
        };
        return scala.Console.withOut(stream, call);
    }
}
