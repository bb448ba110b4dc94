/* SPDX-License-Identifier: Apache-2.0 */
package lwm2md.leshan;

import static org.junit.jupiter.api.Assertions.assertNotNull;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** An EST server (RFC 9148): the test server of this project with its DTLS side. Leshan has none. */
final class EstPeer implements AutoCloseable {
    private static final long SOON_SECONDS = 20;
    private static final Pattern PORT = Pattern.compile("\"port\":(\\d+)");

    private final List<Process> processes = new ArrayList<>();
    private final PrintWriter commands;
    private final LinkedBlockingQueue<String> lines;
    private final int port;

    /** authority: who signs; server: of the pki, what proves the EST server; clients: who vouches for clients. */
    EstPeer(Pki pki, String authority, String server, String clients) throws IOException, InterruptedException {
        LinkedBlockingQueue<String> plain = new LinkedBlockingQueue<>(), secure = new LinkedBlockingQueue<>();
        Process inner = run(plain, DaemonProcess.setting("LWM2M_TESTSERVER"));
        int target = portOf(plain);
        run(secure, DaemonProcess.setting("LWM2M_DTLSPROXY"), "--target=127.0.0.1:" + target,
                "--certificate=" + pki.file(server + ".pem"), "--key=" + pki.file(server + ".key"),
                "--authority=" + pki.file(clients + ".pem"));
        port = portOf(secure);
        lines = plain;
        commands = new PrintWriter(inner.outputWriter(StandardCharsets.UTF_8), true);
        commands.println("{\"op\":\"est\",\"authority\":\"" + pki.file(authority + ".pem") + "\",\"key\":\""
                + pki.file(authority + ".key") + "\"}");
        await("\"ok\":true");
    }

    private Process run(LinkedBlockingQueue<String> output, String... command) throws IOException {
        Process process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
        processes.add(process);
        Thread reader = new Thread(() -> read(process, output), Path.of(command[0]).getFileName().toString());
        reader.setDaemon(true);
        reader.start();
        return process;
    }

    private static void read(Process process, LinkedBlockingQueue<String> output) {
        try (BufferedReader in = process.inputReader(StandardCharsets.UTF_8)) {
            for (String line = in.readLine(); line != null; line = in.readLine())
                output.add(line);
        } catch (IOException e) {
            output.add("broken " + e);
        }
    }

    private static int portOf(LinkedBlockingQueue<String> output) throws InterruptedException {
        String line = output.poll(SOON_SECONDS, TimeUnit.SECONDS);
        assertNotNull(line, "the EST server does not come up");
        Matcher port = PORT.matcher(line);
        if (!port.find())
            throw new AssertionError(line);
        return Integer.parseInt(port.group(1));
    }

    URI uri() {
        return URI.create("coaps://127.0.0.1:" + port + "/.well-known/est");
    }

    /** The next line that has this; others are passed by. */
    String await(String text) throws InterruptedException {
        for (;;) {
            String line = lines.poll(SOON_SECONDS, TimeUnit.SECONDS);
            assertNotNull(line, () -> "the EST server does not say '" + text + "'");
            if (line.contains(text))
                return line;
        }
    }

    /** A certificate was asked for and given. */
    void awaitIssued(String name) throws InterruptedException {
        String line;
        do {
            line = await("/.well-known/est/" + name + "\"");
        } while (!line.contains("\"code_sent\":\"2.04\""));
    }

    @Override
    public void close() throws InterruptedException {
        for (Process process : processes) {
            process.destroy();
            if (!process.waitFor(SOON_SECONDS, TimeUnit.SECONDS))
                process.destroyForcibly();
        }
    }
}
