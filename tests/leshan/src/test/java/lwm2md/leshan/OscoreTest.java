/* SPDX-License-Identifier: Apache-2.0 */
package lwm2md.leshan;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;

/** OSCORE (RFC 8613) with Leshan's server and bootstrap server. */
class OscoreTest {
    private static final String SECRET = "000102030405060708090a0b0c0d0e0f";

    private String name;
    private OscorePeer server;
    private DaemonProcess daemon;

    @BeforeEach
    void startServer(TestInfo info) throws IOException, InterruptedException {
        name = "OscoreTest-" + info.getTestMethod().orElseThrow().getName();
        server = new OscorePeer(name);
        server.knows(name, "73", "63", SECRET);
    }

    @AfterEach
    void stopBoth() throws InterruptedException {
        try {
            if (daemon != null)
                daemon.close();
        } finally {
            server.close();
        }
    }

    private static DaemonProcess oscore(DaemonProcess d, String sender, String recipient, String secret)
            throws IOException {
        Path file = d.file("oscore.secret");
        Files.writeString(file, "hex:" + secret + "\n");
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
        return d.security("OscoreSenderId", sender).security("OscoreRecipientId", recipient)
                .security("OscoreSecretFile", file);
    }

    private DaemonProcess start(URI uri) throws IOException, InterruptedException {
        daemon = oscore(new DaemonProcess(name, uri), "c", "s", SECRET).value("/3/0/0", "ACME").value("/3/0/9", "95");
        daemon.start();
        server.await("registered " + name);
        return daemon;
    }

    /** The state is told again after a restart: others may come before. */
    private void awaitLevel(int level) throws InterruptedException {
        String notified;
        do
            notified = server.await("notified");
        while (!notified.contains("/3/0/9=") || !notified.contains("value=" + level + ","));
    }

    @Test
    void operations() throws IOException, InterruptedException {
        start(server.uri());
        assertEquals("ACME", server.ask("205", "read /3/0/0"));
        server.ask("204", "write /1/0/1 60");
        server.await("updated " + name);
        assertEquals("60", server.ask("205", "read /1/0/1"));
        server.ask("404", "read /3/7");
        server.ask("401", "read /21/0");
        server.ask("204", "execute /1/0/8");
        server.await("updated " + name);
        daemon.stop();
        server.await("deregistered " + name);
    }

    @Test
    void observation() throws IOException, InterruptedException {
        start(server.uri());
        server.ask("205", "observe /3/0/9");
        for (int level = 94; level > 90; level--) {
            daemon.ctl("set", "/3/0/9=" + level);
            awaitLevel(level);
        }
    }

    /** The server's numbers and the observation go on; it has no Echo, so it could not prove anything. */
    @Test
    void killed() throws IOException, InterruptedException {
        start(server.uri());
        server.ask("205", "observe /3/0/9");
        for (int level = 80; level > 77; level--) {
            assertEquals("ACME", server.ask("205", "read /3/0/0"));
            daemon.ctl("sync");
            daemon.kill();
            daemon.start();
            server.await("updated " + name);
            assertEquals("ACME", server.ask("205", "read /3/0/0"));
            daemon.ctl("set", "/3/0/9=" + level);
            awaitLevel(level);
        }
    }

    /** By a bootstrap server with OSCORE, which writes an account with OSCORE. */
    @Test
    void bootstrap() throws IOException, InterruptedException {
        try (BootstrapPeer bootstrap = new BootstrapPeer(name)) {
            bootstrap.order("oscore " + name + " 42 43 " + SECRET.replace('0', '9'));
            bootstrap.order("write SENML_CBOR /21/5 0=o:" + SECRET + " 1=o:63 2=o:73 3=i:10 4=i:-10");
            bootstrap.order("write SENML_CBOR /0/1 0=s:" + server.uri() + " 1=b:false 2=i:3 3=o: 4=o: 5=o: 10=i:7 "
                    + "17=l:21/5");
            bootstrap.serverObject("SENML_CBOR", 7, 300);
            daemon = oscore(new DaemonProcess(name, null), "C", "B", SECRET.replace('0', '9'))
                    .bootstrapServer(bootstrap.oscoreUri());
            daemon.start();
            bootstrap.awaitSession(name);
            server.await("registered " + name);
            assertEquals("300", server.ask("205", "read /1/0/1"));
        }
    }
}
