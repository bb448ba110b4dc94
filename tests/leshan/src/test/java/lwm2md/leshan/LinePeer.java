/* SPDX-License-Identifier: Apache-2.0 */
package lwm2md.leshan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * A program around Leshan 2.0.0-M15, which has what M18 has not on Maven Central, but with Californium 3: in a JVM of
 * its own, from the folder that the system property lwm2md.bootstrap names and the script "run" has built. It takes
 * lines and says lines.
 */
abstract class LinePeer implements AutoCloseable {
    private static final long SOON_SECONDS = 20;

    private final Process process;
    private final PrintWriter commands;
    private final LinkedBlockingQueue<String> lines = new LinkedBlockingQueue<>();

    LinePeer(String name, String program, String... arguments) throws IOException {
        Path built = Path.of(System.getProperty("lwm2md.bootstrap", "bootstrap/target"));
        assertTrue(Files.isDirectory(built.resolve("lib")), () -> built + " is not built: see README.md");
        Path logs = Path.of(System.getProperty("lwm2md.logs", System.getProperty("java.io.tmpdir")));
        Files.createDirectories(logs);
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xmx128m", "-cp",
                built.resolve("classes") + ":" + built.resolve("lib") + "/*", "lwm2md.leshan.bootstrap." + program));
        command.addAll(List.of(arguments));
        process = new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect
                        .appendTo(logs.resolve(name + "." + program + ".log").toFile()))
                .start();
        commands = new PrintWriter(process.outputWriter(StandardCharsets.UTF_8), true);
        Thread reader = new Thread(this::read, program);
        reader.setDaemon(true);
        reader.start();
    }

    private void read() {
        try (BufferedReader in = process.inputReader(StandardCharsets.UTF_8)) {
            for (String line = in.readLine(); line != null; line = in.readLine())
                lines.add(line);
        } catch (IOException e) {
            lines.add("broken " + e);
        }
    }

    void say(String line) {
        commands.println(line);
    }

    void clear() {
        lines.clear();
    }

    /** The next line that begins so; others are passed by, but a failure is one. */
    String await(String prefix) throws InterruptedException {
        for (;;) {
            String line = lines.poll(SOON_SECONDS, TimeUnit.SECONDS);
            assertNotNull(line, () -> "nobody says '" + prefix + "'");
            if (line.startsWith(prefix))
                return line;
            assertTrue(!line.startsWith("failed"), () -> "instead of '" + prefix + "': " + line);
        }
    }

    void assertQuiet(long milliseconds) throws InterruptedException {
        assertEquals(null, lines.poll(milliseconds, TimeUnit.MILLISECONDS));
    }

    @Override
    public void close() throws InterruptedException {
        commands.close();
        if (!process.waitFor(SOON_SECONDS, TimeUnit.SECONDS))
            process.destroyForcibly();
    }
}
