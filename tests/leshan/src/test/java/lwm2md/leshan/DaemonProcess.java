/* SPDX-License-Identifier: Apache-2.0 */
package lwm2md.leshan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * The real daemon with a configuration, state directory and bus of its own, all in a temporary folder
 * that goes with it. It never asks the daemon whether it is ready: the server sees the registration.
 *
 * <p>Environment (or system property lwm2md.NAME in lower case): LWM2MD and LWM2MCTL are the two
 * programs, LWM2MD_OBJECTS is the folder of object definitions.
 */
final class DaemonProcess implements AutoCloseable {
    static final int SHORT_ID = 1;
    static final long LIFETIME = 86400;
    /** Lowest lifetime the daemon takes from a server in these tests. */
    static final long LOWEST_LIFETIME = 15;
    private static final long EXIT_SECONDS = 10;

    private final String name;
    private final Path folder;
    private final Map<String, String> client = new LinkedHashMap<>();
    private final Map<String, String> values = new LinkedHashMap<>();
    private final Map<String, String> security = new LinkedHashMap<>();
    private final Map<String, String> est = new LinkedHashMap<>();
    private final List<Process> helpers = new ArrayList<>();
    private URI server;
    private URI bootstrapServer;
    private String bootstrapFile;
    private boolean withBus = true;
    private Process bus;
    private Process daemon;

    DaemonProcess(String name, URI server) throws IOException {
        this.name = name;
        this.server = server;
        folder = Files.createTempDirectory("lwm2md-leshan-");
        client.put("Endpoint", name);
        client.put("Version", "1.1");
        client.put("Lifetime", Long.toString(LOWEST_LIFETIME));
        client.put("UpdateInterval", "1"); /* tests wait for Updates */
        security.put("SecurityMode", "nosec");
    }

    /** A setting that must be there; without it the suite would test nothing. */
    static String setting(String variable) {
        String value = System.getProperty("lwm2md." + variable.toLowerCase(), System.getenv(variable));
        assertTrue(value != null && !value.isEmpty(), variable + " is not set");
        return value;
    }

    static Path objects() {
        return Path.of(setting("LWM2MD_OBJECTS"));
    }

    /** Definitions that only the tests know (the object with a resource of each type). */
    static Path testObjects() {
        URL resource = DaemonProcess.class.getResource("/objects");
        return new File(URI.create(resource.toString())).toPath();
    }

    String endpoint() {
        return name;
    }

    /** A key of [Client]. */
    DaemonProcess client(String key, String value) {
        client.put(key, value);
        return this;
    }

    /** A key of [Server] that is about security; of the bootstrap server's if there is no other. */
    DaemonProcess security(String key, Object value) {
        security.put(key, value.toString());
        return this;
    }

    /** A key of [Est]. */
    DaemonProcess est(String key, Object value) {
        est.put(key, value.toString());
        return this;
    }

    /** A key of [Values]. */
    DaemonProcess value(String path, String value) {
        values.put(path, value);
        return this;
    }

    /** The account of a bootstrap server, beside the server's or, if that is null, alone. */
    DaemonProcess bootstrapServer(URI uri) {
        bootstrapServer = uri;
        return this;
    }

    /** Accounts from a file instead of the configuration. */
    DaemonProcess bootstrapFile(String senml) {
        bootstrapFile = senml;
        return this;
    }

    DaemonProcess withoutBus() {
        withBus = false;
        return this;
    }

    /** The device of the interoperability tests: known strings, two power sources, a portfolio. */
    DaemonProcess fixedValues() {
        values.putAll(FIXED_VALUES);
        return this;
    }

    static final Map<String, String> FIXED_VALUES = fixed(
            "/1/0/2", "1", "/1/0/3", "10", "/1/0/5", "86400", "/1/0/6", "false", "/1/0/7", "U",
            "/3/0/0", "ACME", "/3/0/1", "client-1", "/3/0/2", "serial-1", "/3/0/3", "1.2.3",
            "/3/0/6/0", "1", "/3/0/6/1", "5", "/3/0/7/0", "3800", "/3/0/7/1", "5000",
            "/3/0/8/0", "125", "/3/0/8/1", "900", "/3/0/9", "95", "/3/0/10", "15", "/3/0/11/0", "0",
            "/3/0/14", "+01:00", "/3/0/15", "Europe/Berlin", "/3/0/16", "UT", "/3/0/17", "gateway",
            "/3/0/18", "rev-b", "/3/0/19", "4.5.6", "/3/0/20", "1", "/3/0/21", "64",
            "/16/0/0/0", "host-id", "/16/0/0/1", "host-maker", "/16/0/0/2", "host-model",
            "/16/0/0/3", "host-software", "/19/0/3", "telegram", "/3303/0/5700", "21.5",
            "/3303/0/5701", "Cel", "/3442/0/110", "text");

    private static Map<String, String> fixed(String... pairs) {
        Map<String, String> map = new LinkedHashMap<>();
        for (int i = 0; i < pairs.length; i += 2)
            map.put(pairs[i], pairs[i + 1]);
        return map;
    }

    DaemonProcess start() throws IOException, InterruptedException {
        if (withBus && bus == null)
            startBus();
        writeConfiguration();
        List<String> command = new ArrayList<>(List.of(setting("LWM2MD"), "--config=" + config(),
                "--state-dir=" + folder.resolve("state"), "--runtime-dir=" + folder.resolve("run"),
                "--log-level=debug", "--bus=" + (withBus ? busAddress() : "none")));
        daemon = run("daemon", command);
        return this;
    }

    private Path config() {
        return folder.resolve("lwm2md.conf");
    }

    private String busAddress() {
        return "unix:path=" + folder.resolve("bus");
    }

    private void writeConfiguration() throws IOException {
        StringBuilder text = new StringBuilder("[Client]\n");
        client.forEach((key, value) -> text.append(key).append('=').append(value).append('\n'));
        if (bootstrapFile != null) {
            Files.writeString(folder.resolve("accounts.json"), bootstrapFile);
            text.append("BootstrapFile=").append(folder.resolve("accounts.json")).append('\n');
        }
        if (server != null) {
            text.append("\n[Server main]\nUri=").append(server).append("\nShortId=").append(SHORT_ID);
            text.append("\nLifetime=").append(LIFETIME).append('\n');
            security.forEach((key, value) -> text.append(key).append('=').append(value).append('\n'));
        }
        if (bootstrapServer != null) {
            text.append("\n[Server boot]\nUri=").append(bootstrapServer).append("\nBootstrap=true\n");
            if (server == null)
                security.forEach((key, value) -> text.append(key).append('=').append(value).append('\n'));
        }
        if (!est.isEmpty())
            text.append("\n[Est]\n");
        est.forEach((key, value) -> text.append(key).append('=').append(value).append('\n'));
        text.append("\n[Objects]\nPath=").append(objects()).append(';').append(testObjects()).append('\n');
        text.append("\n[Values]\n");
        values.forEach((path, value) -> text.append(path).append('=').append(value).append('\n'));
        Files.createDirectories(folder.resolve("state"));
        Files.createDirectories(folder.resolve("run"));
        Files.writeString(config(), text);
    }

    private void startBus() throws IOException, InterruptedException {
        Path file = folder.resolve("bus.conf");
        Files.writeString(file, """
                <busconfig>
                  <type>session</type>
                  <listen>%s</listen>
                  <auth>EXTERNAL</auth>
                  <policy context="default">
                    <allow own="*"/>
                    <allow send_destination="*"/>
                    <allow receive_sender="*"/>
                  </policy>
                </busconfig>
                """.formatted(busAddress()));
        bus = run("bus", List.of("dbus-daemon", "--nofork", "--config-file=" + file));
        for (int i = 0; i < 500 && !Files.exists(folder.resolve("bus")); i++)
            Thread.sleep(10);
        assertTrue(Files.exists(folder.resolve("bus")), "the bus does not come up");
    }

    private Process run(String what, List<String> command) throws IOException {
        Path logs = Path.of(System.getProperty("lwm2md.logs", folder.toString()));
        Files.createDirectories(logs);
        File log = logs.resolve(name + "." + what + ".log").toFile();
        return new ProcessBuilder(command).redirectErrorStream(true)
                .redirectInput(ProcessBuilder.Redirect.from(new File("/dev/null")))
                .redirectOutput(ProcessBuilder.Redirect.appendTo(log)).start();
    }

    boolean isRunning() {
        return daemon != null && daemon.isAlive();
    }

    /** What a command printed, and its exit status. */
    record Result(int status, String output) {
    }

    /** Runs lwm2mctl to its end. */
    Result run(String... arguments) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(setting("LWM2MCTL"), "--bus=" + busAddress()));
        command.addAll(Arrays.asList(arguments));
        Path output = Files.createTempFile(folder, "ctl", ".out");
        Process process = new ProcessBuilder(command).redirectErrorStream(true)
                .redirectOutput(output.toFile()).start();
        if (!process.waitFor(EXIT_SECONDS, TimeUnit.SECONDS)) {
            process.destroyForcibly();
            throw new AssertionError("no end of " + command);
        }
        return new Result(process.exitValue(), Files.readString(output));
    }

    /** The same, but it must succeed; returns what it printed. */
    String ctl(String... arguments) throws IOException, InterruptedException {
        Result result = run(arguments);
        assertEquals(0, result.status(), () -> String.join(" ", arguments) + ": " + result.output());
        return result.output();
    }

    void set(String path, Object value) throws IOException, InterruptedException {
        ctl("set", path + "=" + value);
    }

    /** Lets a shell command answer the executes of a path until the daemon is closed. */
    void handle(String path, String command) throws IOException {
        helpers.add(run("handler", List.of(setting("LWM2MCTL"), "--bus=" + busAddress(), "handle", path, "--",
                "/bin/sh", "-c", command, "handler")));
    }

    Path file(String inFolder) {
        return folder.resolve(inFolder);
    }

    /** SIGTERM: the daemon must de-register, save and end well. */
    void stop() throws InterruptedException {
        if (daemon == null)
            return;
        daemon.destroy();
        assertTrue(daemon.waitFor(EXIT_SECONDS, TimeUnit.SECONDS), "the daemon does not end on SIGTERM");
        assertEquals(0, daemon.exitValue(), "exit status of the daemon");
        daemon = null;
    }

    /** SIGKILL: nothing is said, nothing saved. */
    void kill() throws InterruptedException {
        daemon.destroyForcibly();
        assertTrue(daemon.waitFor(EXIT_SECONDS, TimeUnit.SECONDS), "the daemon is still there");
        daemon = null;
    }

    @Override
    public void close() throws InterruptedException {
        try {
            for (Process helper : helpers)
                end(helper);
            stop();
        } finally {
            end(daemon);
            end(bus);
            remove(folder);
        }
    }

    private static void end(Process process) throws InterruptedException {
        if (process == null)
            return;
        process.destroy();
        if (!process.waitFor(2, TimeUnit.SECONDS))
            process.destroyForcibly();
    }

    private static void remove(Path folder) {
        try (Stream<Path> files = Files.walk(folder)) {
            files.sorted(Comparator.reverseOrder()).map(Path::toFile).forEach(File::delete);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
