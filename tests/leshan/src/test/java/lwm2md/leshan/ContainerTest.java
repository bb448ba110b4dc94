/* SPDX-License-Identifier: Apache-2.0 */
package lwm2md.leshan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.TreeMap;

import com.fasterxml.jackson.databind.JsonNode;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the other classes check, as far as the REST interface of a Leshan demo server reaches. */
@Tag("container")
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class ContainerTest {
    private static final String NAME = "ContainerTest";
    private static final String MULTI_PATHS = "pathformat=SENML_CBOR&nodeformat=SENML_CBOR&paths=";

    private DaemonProcess daemon;
    private LeshanRest rest;

    @BeforeAll
    void startBoth() throws IOException, InterruptedException {
        rest = new LeshanRest(URI.create(DaemonProcess.setting("LESHAN_REST")), NAME);
        daemon = new DaemonProcess(NAME, URI.create(DaemonProcess.setting("LESHAN_COAP"))).fixedValues();
        daemon.start();
        rest.await("REGISTRATION", e -> true);
    }

    @AfterAll
    void stopBoth() throws InterruptedException {
        if (daemon != null)
            daemon.close();
        if (rest != null)
            rest.close();
    }

    private static String single(int id, String type, Object value) {
        return "{\"id\":%d,\"kind\":\"singleResource\",\"type\":\"%s\",\"value\":%s}".formatted(id, type,
                value instanceof String ? "\"" + value + "\"" : value);
    }

    private String read(String path, String format) throws IOException, InterruptedException {
        return rest.request("CONTENT", "GET", path + (format == null ? "" : "?format=" + format), null).path("value")
                .asText();
    }

    private void write(String path, String format, String body) throws IOException, InterruptedException {
        rest.request("CHANGED", "PUT", path + "?format=" + format, body);
    }

    private static Map<Integer, JsonNode> byId(JsonNode list) {
        Map<Integer, JsonNode> map = new TreeMap<>();
        list.forEach(node -> map.put(node.path("id").asInt(), node));
        return map;
    }

    private static void assertDevice(JsonNode instance) {
        Map<Integer, JsonNode> resources = byId(instance.path("resources"));
        assertEquals("ACME", resources.get(0).path("value").asText());
        assertEquals("1.2.3", resources.get(3).path("value").asText());
        assertEquals("5000", resources.get(7).path("values").path("1").asText());
        assertFalse(resources.containsKey(4), "the executable was read");
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-101 Initial registration")
    void int101() throws IOException, InterruptedException {
        JsonNode client = rest.client();
        assertEquals(NAME, client.path("endpoint").asText());
        assertEquals(DaemonProcess.LIFETIME, client.path("lifetime").asLong());
        assertEquals("1.1", client.path("lwM2mVersion").asText());
        assertFalse(client.path("objectLinks").toString().contains("\"/0/"), "object 0 is announced");
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-102 Registration update")
    void int102() throws IOException, InterruptedException {
        for (long lifetime : new long[] { DaemonProcess.LIFETIME + 10, DaemonProcess.LIFETIME }) {
            rest.forgetEvents();
            write("/1/0/1", "TEXT", single(1, "integer", lifetime));
            rest.await("UPDATED", e -> true);
            assertEquals(lifetime, rest.client().path("lifetime").asLong());
        }
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-103 Deregistration")
    void int103() throws IOException, InterruptedException {
        rest.forgetEvents();
        daemon.ctl("stop");
        rest.await("DEREGISTRATION", e -> true);
        daemon.ctl("start");
        rest.await("REGISTRATION", e -> true);
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-104 Registration update trigger")
    void int104() throws IOException, InterruptedException {
        rest.forgetEvents();
        rest.request("CHANGED", "POST", "/1/0/8", null);
        rest.await("UPDATED", e -> true);
    }

    @ParameterizedTest(name = "LightweightM2M-1.1-int-203, 204, 231, 232 Querying basic information in {0}")
    @ValueSource(strings = { "TLV", "JSON", "SENML_JSON", "SENML_CBOR" })
    void queryInstance(String format) throws IOException, InterruptedException {
        assertDevice(rest.request("CONTENT", "GET", "/3/0?format=" + format, null));
    }

    @ParameterizedTest(name = "LightweightM2M-1.1-int-201, 205, 211, 212 Single values in {0}")
    @ValueSource(strings = { "TEXT", "CBOR", "TLV", "JSON", "SENML_JSON", "SENML_CBOR" })
    void singleValues(String format) throws IOException, InterruptedException {
        assertEquals("ACME", read("/3/0/0", format));
        for (int value : new int[] { 2000, 86400 }) {
            write("/1/0/5", format, single(5, "integer", value));
            assertEquals(Integer.toString(value), read("/1/0/5", format));
        }
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-215, 226 Write (Partial Update) on Object Instance")
    void partialUpdate() throws IOException, InterruptedException {
        String body = "{\"id\":0,\"kind\":\"instance\",\"resources\":[%s,%s]}";
        rest.request("CHANGED", "PUT", "/1/0?format=TLV&replace=false",
                body.formatted(single(5, "integer", 4711), single(6, "boolean", true)));
        assertEquals("4711", read("/1/0/5", null));
        assertEquals("true", read("/1/0/6", null));
        assertEquals("10", read("/1/0/3", null));
        rest.request("CHANGED", "PUT", "/1/0?format=SENML_CBOR&replace=false",
                body.formatted(single(5, "integer", 86400), single(6, "boolean", false)));
        assertEquals("86400", read("/1/0/5", null));
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-221 Attempt to perform operations on Security")
    void int221() throws IOException, InterruptedException {
        rest.request("UNAUTHORIZED", "GET", "/0/0", null);
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-222 Read on Object")
    void int222() throws IOException, InterruptedException {
        assertDevice(byId(rest.request("CONTENT", "GET", "/3", null).path("instances")).get(0));
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-229, 280, 281 Read-Composite operation")
    void int229() throws IOException, InterruptedException {
        JsonNode content = rest.request("CONTENT", "GET", "/composite?" + MULTI_PATHS + "/3/0/0,/1/0/1,/1/0/8", null);
        assertEquals("ACME", content.path("/3/0/0").path("value").asText());
        assertEquals(DaemonProcess.LIFETIME, content.path("/1/0/1").path("value").asLong());
        assertTrue(content.path("/1/0/8").isMissingNode() || content.path("/1/0/8").isNull(), "executable");
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-230 Write-Composite operation")
    void int230() throws IOException, InterruptedException {
        for (String offset : new String[] { "+03:00", "+01:00" }) {
            rest.request("CHANGED", "PUT", "/composite?nodeformat=SENML_JSON", "{\"/3/0/14\":%s,\"/1/0/5\":%s}"
                    .formatted(single(14, "string", offset), single(5, "integer", 86400)));
            assertEquals(offset, read("/3/0/14", null));
        }
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-241 Executable resource")
    void int241() throws IOException, InterruptedException {
        Path done = daemon.file("rebooted");
        daemon.handle("/3/0/4", "touch " + done);
        for (int i = 0; i < 100 && !Files.exists(done); i++) { /* until the claim is there */
            try {
                rest.request("CHANGED", "POST", "/3/0/4", null);
            } catch (AssertionError e) {
                Thread.sleep(50);
            }
        }
        assertTrue(Files.exists(done), "the handler did not run");
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-256 Write operation failure")
    void int256() throws IOException, InterruptedException {
        rest.request("METHOD_NOT_ALLOWED", "PUT", "/1/0/0?format=TEXT", single(0, "integer", 7));
        assertEquals(Integer.toString(DaemonProcess.SHORT_ID), read("/1/0/0", null));
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-260, 261 Discover and Write-Attributes")
    void int260() throws IOException, InterruptedException {
        rest.request("CHANGED", "PUT", "/3/0/7/attributes?pmin=10&pmax=100", null);
        String links = rest.linksOf("/3/0/7").toString();
        assertTrue(links.contains("/3/0/7/1") && links.contains("\"pmin\"") && links.contains("100"), links);
        rest.request("CHANGED", "PUT", "/3/0/7/attributes?pmin&pmax", null);
        assertFalse(rest.linksOf("/3/0/7").toString().contains("\"pmin\""));
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-301, 303 Observe and cancel")
    void int301() throws IOException, InterruptedException {
        rest.forgetEvents();
        rest.request("CONTENT", "POST", "/3303/0/5700/observe?format=SENML_CBOR", null);
        daemon.set("/3303/0/5700", 23.25);
        rest.await("NOTIFICATION", e -> e.path("res").asText().equals("/3303/0/5700")
                && e.path("val").path("value").asDouble() == 23.25);
        rest.request("CONTENT", "DELETE", "/3303/0/5700/observe?active", null);
        rest.forgetEvents();
        daemon.set("/3303/0/5700", 21.5);
        assertFalse(rest.comes("NOTIFICATION", Duration.ofMillis(2500)), "notified after the end");
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-304, 305 Observe-Composite and cancel")
    void int304() throws IOException, InterruptedException {
        rest.forgetEvents();
        rest.request("CONTENT", "POST", "/composite/observe?" + MULTI_PATHS + "/3303/0/5700,/3/0/9", null);
        daemon.set("/3303/0/5700", 24.5);
        rest.await("NOTIFICATION", e -> e.path("val").path("/3303/0/5700").path("value").asDouble() == 24.5);
        rest.request("CONTENT", "DELETE", "/composite/observe?active&paths=/3303/0/5700,/3/0/9", null);
        rest.forgetEvents();
        daemon.set("/3303/0/5700", 21.5);
        assertFalse(rest.comes("NOTIFICATION", Duration.ofMillis(2500)), "notified after the end");
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-1630, 1635 Create and delete an Object Instance")
    void int1630() throws IOException, InterruptedException {
        rest.request("CREATED", "POST", "/16?format=SENML_CBOR", """
                {"id":4,"kind":"instance","resources":[{"id":0,"kind":"multiResource","type":"string",
                 "values":{"0":"new-id","1":"new-maker"}}]}""");
        JsonNode identity = rest.request("CONTENT", "GET", "/16/4/0", null);
        assertEquals("new-maker", identity.path("values").path("1").asText());
        rest.request("DELETED", "DELETE", "/16/4", null);
        rest.request("NOT_FOUND", "GET", "/16/4", null);
    }
}
