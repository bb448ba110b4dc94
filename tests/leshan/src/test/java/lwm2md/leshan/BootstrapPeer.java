/* SPDX-License-Identifier: Apache-2.0 */
package lwm2md.leshan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * Leshan's bootstrap server. It is of another release than the server (2.0.0-M15, with Californium 3), so it
 * runs in a JVM of its own: the program in tests/leshan/bootstrap, which the script "run" has built into the
 * folder that the system property lwm2md.bootstrap names.
 */
final class BootstrapPeer implements AutoCloseable {
    private static final long SOON_SECONDS = 20;

    private final Process process;
    private final PrintWriter commands;
    private final LinkedBlockingQueue<String> lines = new LinkedBlockingQueue<>();
    private final int port;
    private final int securePort;

    /** arguments: those of the program, for certificates. */
    BootstrapPeer(String name, String... arguments) throws IOException, InterruptedException {
        Path built = Path.of(System.getProperty("lwm2md.bootstrap", "bootstrap/target"));
        assertTrue(Files.isDirectory(built.resolve("lib")), () -> built + " is not built: see README.md");
        Path logs = Path.of(System.getProperty("lwm2md.logs", System.getProperty("java.io.tmpdir")));
        Files.createDirectories(logs);
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xmx128m", "-cp",
                built.resolve("classes") + ":" + built.resolve("lib") + "/*",
                "lwm2md.leshan.bootstrap.BootstrapServer"));
        command.addAll(List.of(arguments));
        process = new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect.appendTo(logs.resolve(name + ".bootstrap.log").toFile()))
                .start();
        commands = new PrintWriter(process.outputWriter(StandardCharsets.UTF_8), true);
        Thread reader = new Thread(this::read, "bootstrap server");
        reader.setDaemon(true);
        reader.start();
        String[] ready = await("ready").split(" ");
        port = Integer.parseInt(ready[1]);
        securePort = Integer.parseInt(ready[2]);
    }

    private void read() {
        try (BufferedReader in = process.inputReader(StandardCharsets.UTF_8)) {
            for (String line = in.readLine(); line != null; line = in.readLine())
                lines.add(line);
        } catch (IOException e) {
            lines.add("broken " + e);
        }
    }

    URI uri() {
        return URI.create("coap://127.0.0.1:" + port);
    }

    URI secureUri() {
        return URI.create("coaps://127.0.0.1:" + securePort);
    }

    /** A line of what the program takes: see its documentation. */
    BootstrapPeer order(String line) throws InterruptedException {
        commands.println(line);
        await("did " + line.split(" ")[0]);
        return this;
    }

    /** Nothing to do, nothing said. */
    void forget() throws InterruptedException {
        order("clear");
        lines.clear();
    }

    /** Lets every later session write a NoSec account as /0/1 and /1/0. */
    BootstrapPeer account(String format, URI server, int shortId, long lifetime) throws InterruptedException {
        order("write " + format + " /0/1 0=s:" + server + " 1=b:false 2=i:3 3=o: 4=o: 5=o: 10=i:" + shortId);
        return serverObject(format, shortId, lifetime);
    }

    BootstrapPeer serverObject(String format, int shortId, long lifetime) throws InterruptedException {
        return order("write " + format + " /1/0 0=i:" + shortId + " 1=i:" + lifetime + " 6=b:true 7=s:U");
    }

    /** The next line that begins so; others are passed by, but a failure is one. */
    String await(String prefix) throws InterruptedException {
        for (;;) {
            String line = lines.poll(SOON_SECONDS, TimeUnit.SECONDS);
            assertNotNull(line, () -> "the bootstrap server does not say '" + prefix + "'");
            if (line.startsWith(prefix))
                return line;
            assertTrue(!line.startsWith("failed"), () -> "instead of '" + prefix + "': " + line);
        }
    }

    /** A session from its beginning to its good end. */
    void awaitSession(String endpoint) throws InterruptedException {
        await("initiated " + endpoint);
        await("end " + endpoint);
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

    static List<String> formats() {
        return List.of("TLV", "SENML_JSON", "SENML_CBOR");
    }
}
