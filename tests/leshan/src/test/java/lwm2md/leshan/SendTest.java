/* SPDX-License-Identifier: Apache-2.0 */
package lwm2md.leshan;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;

import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.node.LwM2mNode;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.node.LwM2mResourceInstance;
import org.eclipse.leshan.core.node.TimestampedLwM2mNodes;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.WriteRequest;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/** Send, asked for with lwm2mctl: OMA tests 306, 307, 311. */
class SendTest extends DaemonAndServer {
    private static final int BIG = 200_000;
    private static final int EXIT_MUTED = 4;

    @BeforeEach
    void registered() throws IOException, InterruptedException {
        daemon.ctl("wait", "registered", "--timeout=10");
        peer.forgetSends();
    }

    private void send(String... arguments) throws IOException, InterruptedException {
        String[] command = new String[arguments.length + 1];
        command[0] = "send";
        System.arraycopy(arguments, 0, command, 1, arguments.length);
        assertEquals("status: acked\n", daemon.ctl(command));
    }

    private static Object value(LwM2mNode node) {
        return node instanceof LwM2mResourceInstance ? ((LwM2mResourceInstance) node).getValue()
                : ((LwM2mResource) node).getValue();
    }

    /** Path and value of all that came with one Send. */
    private static Map<String, Object> values(LeshanPeer.Sent sent) {
        Map<String, Object> values = new TreeMap<>();
        for (Map.Entry<LwM2mPath, LwM2mNode> e : sent.data().getMostRecentNodes().entrySet())
            values.put(e.getKey().toString(), value(e.getValue()));
        return values;
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-306 Send operation")
    void int306() throws IOException, InterruptedException {
        send("/1", "/3");
        LeshanPeer.Sent sent = peer.sent();
        Map<String, Object> values = values(sent);
        assertEquals(ContentFormat.SENML_CBOR, sent.request().getFormat());
        assertEquals((long) DaemonProcess.SHORT_ID, values.get("/1/0/0"));
        assertEquals(DaemonProcess.LIFETIME, values.get("/1/0/1"));
        assertEquals("U", values.get("/1/0/7"));
        assertEquals("ACME", values.get("/3/0/0"));
        assertEquals(3800L, values.get("/3/0/7/0"));
        assertEquals(5000L, values.get("/3/0/7/1"));
        assertTrue(values.keySet().stream().allMatch(p -> p.startsWith("/1/0/") || p.startsWith("/3/0/")),
                () -> "came: " + values.keySet());
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-307 Muting Send")
    void int307() throws IOException, InterruptedException {
        peer.send(ResponseCode.CHANGED, new WriteRequest(1, 0, 23, true));
        DaemonProcess.Result muted = daemon.run("send", "/3/0/0");
        assertEquals("status: muted\n", muted.output());
        assertEquals(EXIT_MUTED, muted.status());
        peer.send(ResponseCode.CHANGED, new WriteRequest(1, 0, 23, false));
        send("/3/0/0");
        assertEquals(Map.of("/3/0/0", "ACME"), values(peer.sent()));
        peer.noMoreSends();
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-311 Send command")
    void int311() throws IOException, InterruptedException {
        for (String format : new String[] { "senml-cbor", "senml-json" }) {
            send("--format=" + format, "/1/0/1", "/3/0/11");
            assertEquals(Map.of("/1/0/1", DaemonProcess.LIFETIME, "/3/0/11/0", 0L), values(peer.sent()),
                    format);
        }
    }

    @Test
    @DisplayName("A Send of many blocks")
    void big() throws IOException, InterruptedException {
        byte[] data = new byte[BIG];
        new Random(1).nextBytes(data);
        Path file = daemon.file("big");
        Files.write(file, data);
        daemon.ctl("put", "/3442/0/150", file.toString());
        for (String format : new String[] { "senml-cbor", "senml-json" }) {
            send("--format=" + format, "/3442/0/150", "/3303/0/5700");
            Map<String, Object> values = new TreeMap<>(values(peer.sent()));
            /* Nothing but a single long value goes alone: the other one is in a Send of its own. */
            values.putAll(values(peer.sent()));
            assertEquals(Set.of("/3303/0/5700", "/3442/0/150"), values.keySet());
            assertArrayEquals(data, (byte[]) values.get("/3442/0/150"));
            assertEquals(21.5, values.get("/3303/0/5700"));
        }
    }

    @Test
    @DisplayName("A Send of the samples of a cache, each with its time, and once")
    void cache() throws IOException, InterruptedException {
        daemon.ctl("cache", "/3303/0/5700", "100");
        for (int i = 1; i <= 3; i++)
            daemon.set("/3303/0/5700", i);
        for (String format : new String[] { "senml-cbor", "senml-json" }) {
            send("--with-cache", "--format=" + format, "/3303/0/5700");
            Map<Instant, Object> samples = new TreeMap<>();
            TimestampedLwM2mNodes data = peer.sent().data();
            for (Instant time : data.getTimestamps())
                samples.put(time, value(data.getNodesAt(time).get(new LwM2mPath("/3303/0/5700"))));
            assertEquals(List.of(1.0, 2.0, 3.0), List.copyOf(samples.values()), format);
            for (int i = 1; i <= 3; i++)
                daemon.set("/3303/0/5700", i);
        }
        daemon.ctl("cache", "/3303/0/5700", "0");
        daemon.set("/3303/0/5700", 21.5);
    }

    @Test
    @DisplayName("A Send with the time of its values")
    void time() throws IOException, InterruptedException {
        Instant before = Instant.now();
        send("--time", "/3303/0/5700");
        Set<Instant> times = peer.sent().data().getTimestamps();
        assertEquals(1, times.size());
        Duration age = Duration.between(before, times.iterator().next());
        assertTrue(age.compareTo(Duration.ofMillis(-1)) >= 0 && age.toSeconds() < 10, () -> "age: " + age);
    }
}
