/* SPDX-License-Identifier: Apache-2.0 */
package lwm2md.leshan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Date;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;

import org.eclipse.californium.core.coap.CoAP;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.coap.Response;
import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.node.LwM2mNode;
import org.eclipse.leshan.core.node.LwM2mObjectInstance;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.node.LwM2mResourceInstance;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.ReadCompositeRequest;
import org.eclipse.leshan.core.request.ReadRequest;
import org.eclipse.leshan.core.request.WriteCompositeRequest;
import org.eclipse.leshan.senml.SenMLRecord;
import org.eclipse.leshan.senml.json.jackson.SenMLJsonJacksonEncoderDecoder;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Read-Composite and Write-Composite: OMA tests 229, 230, 235, 236, 257, 280 and 281. */
class CompositeTest extends DaemonAndServer {
    private Map<LwM2mPath, LwM2mNode> readComposite(ContentFormat format, String... paths)
            throws InterruptedException {
        return peer.send(ResponseCode.CONTENT, new ReadCompositeRequest(format, format, paths)).getContent();
    }

    private static Object value(Map<LwM2mPath, LwM2mNode> content, String path) {
        LwM2mNode node = content.get(new LwM2mPath(path));
        assertNotNull(node, path + " is not in " + content.keySet());
        if (node instanceof LwM2mResourceInstance)
            return ((LwM2mResourceInstance) node).getValue();
        return assertInstanceOf(LwM2mResource.class, node, path).getValue();
    }

    /** Paths that came with something; Leshan lists the others with null. */
    private static Set<String> present(Map<LwM2mPath, LwM2mNode> content) {
        return content.entrySet().stream().filter(e -> Objects.nonNull(e.getValue()))
                .map(e -> e.getKey().toString()).collect(Collectors.toSet());
    }

    @ParameterizedTest(name = "LightweightM2M-1.1-int-229 Read-Composite operation, format {0}")
    @ValueSource(ints = { ContentFormat.SENML_JSON_CODE, ContentFormat.SENML_CBOR_CODE })
    void int229(int format) throws InterruptedException {
        Map<LwM2mPath, LwM2mNode> content = readComposite(ContentFormat.fromCode(format), "/3/0/0", "/1/0/1",
                "/3/0/11/0", "/3303/0", "/16/0/0");
        assertEquals("ACME", value(content, "/3/0/0"));
        assertEquals(DaemonProcess.LIFETIME, value(content, "/1/0/1"));
        assertEquals(0L, value(content, "/3/0/11/0"));
        LwM2mObjectInstance sensor = assertInstanceOf(LwM2mObjectInstance.class,
                content.get(new LwM2mPath("/3303/0")));
        assertEquals(21.5, sensor.getResource(5700).getValue());
        assertEquals("Cel", sensor.getResource(5701).getValue());
        LwM2mResource identities = assertInstanceOf(LwM2mResource.class, content.get(new LwM2mPath("/16/0/0")));
        assertEquals("host-maker", identities.getValue(1));
        assertEquals(4, identities.getInstances().size());
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-229 Read-Composite operation, body in one format and answer in another")
    void int229Mixed() throws InterruptedException {
        Map<LwM2mPath, LwM2mNode> content = peer.send(ResponseCode.CONTENT, new ReadCompositeRequest(
                ContentFormat.SENML_JSON, ContentFormat.SENML_CBOR, "/3/0/0", "/3/0/1")).getContent();
        assertEquals("ACME", value(content, "/3/0/0"));
        assertEquals("client-1", value(content, "/3/0/1"));
    }

    @ParameterizedTest(name = "LightweightM2M-1.1-int-230 Write-Composite operation, format {0}")
    @ValueSource(ints = { ContentFormat.SENML_JSON_CODE, ContentFormat.SENML_CBOR_CODE })
    void int230(int format) throws InterruptedException {
        Map<String, Object> nodes = new HashMap<>();
        nodes.put("/1/0/2", 3L);
        nodes.put("/1/0/6", true);
        nodes.put("/3/0/14", "+02:00");
        nodes.put("/16/0/0/0", "composite-id");
        peer.send(ResponseCode.CHANGED, new WriteCompositeRequest(ContentFormat.fromCode(format), nodes));
        try {
            assertEquals(3L, read("/1/0/2"));
            assertEquals(true, read("/1/0/6"));
            assertEquals("+02:00", read("/3/0/14"));
            assertEquals(new TreeMap<>(Map.of(0, "composite-id", 1, "host-maker", 2, "host-model", 3,
                    "host-software")), readMultiple(null, "/16/0/0"));
        } finally {
            nodes.putAll(Map.of("/1/0/2", 1L, "/1/0/6", false, "/3/0/14", "+01:00", "/16/0/0/0", "host-id"));
            peer.send(ResponseCode.CHANGED, new WriteCompositeRequest(ContentFormat.fromCode(format), nodes));
        }
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-235 Read-Composite operation on root path")
    void int235() throws Exception {
        Request fetch = new Request(CoAP.Code.FETCH);
        fetch.getOptions().setContentFormat(ContentFormat.SENML_JSON_CODE);
        fetch.getOptions().setAccept(ContentFormat.SENML_JSON_CODE);
        fetch.setPayload("[{\"n\":\"/\"}]");
        Response response = peer.sendRaw(fetch); /* Leshan itself refuses the root path */
        assertEquals(CoAP.ResponseCode.CONTENT, response.getCode(), response.getPayloadString());

        Set<String> names = new HashSet<>();
        String base = "";
        for (SenMLRecord record : new SenMLJsonJacksonEncoderDecoder().fromSenML(response.getPayload())
                .getRecords()) {
            base = record.getBaseName() != null ? record.getBaseName() : base;
            names.add(base + (record.getName() != null ? record.getName() : ""));
        }
        for (String path : Set.of("/1/0/1", "/3/0/0", "/3/0/7/1", "/16/0/0/3", "/3303/0/5700"))
            assertTrue(names.contains(path), () -> path + " is not in " + names);
        assertTrue(names.stream().noneMatch(n -> n.startsWith("/0/")), () -> "object 0 leaks: " + names);
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-236 Read-Composite, partial presence")
    void int236() throws InterruptedException {
        Map<LwM2mPath, LwM2mNode> content = readComposite(ContentFormat.SENML_CBOR, "/1/0/1", "/3/0/0",
                "/3/0/2/5", "/3303/9", "/3442/0/1110", "/16/3/0");
        assertEquals(Set.of("/1/0/1", "/3/0/0"), present(content));
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-257 Write-Composite operation on several objects")
    void int257() throws InterruptedException {
        Date time = new Date(1_700_000_000_000L);
        Map<String, Object> nodes = new HashMap<>();
        nodes.put("/1/0/5", 4321L);
        nodes.put("/3/0/15", "Europe/Paris");
        nodes.put("/3442/0/160", time);
        peer.send(ResponseCode.CHANGED, new WriteCompositeRequest(ContentFormat.SENML_JSON, nodes));
        try {
            assertEquals(4321L, read("/1/0/5"));
            assertEquals("Europe/Paris", read("/3/0/15"));
            assertEquals(time, read("/3442/0/160"));
        } finally {
            nodes.putAll(Map.of("/1/0/5", 86400L, "/3/0/15", "Europe/Berlin"));
            peer.send(ResponseCode.CHANGED, new WriteCompositeRequest(ContentFormat.SENML_JSON, nodes));
        }
    }

    @Test
    @DisplayName("A Write-Composite with one path that may not be written changes nothing")
    void allOrNothing() throws InterruptedException {
        Map<String, Object> nodes = new HashMap<>(Map.of("/1/0/5", 4321L, "/3/0/0", "mine"));
        ResponseCode code = peer.send(new WriteCompositeRequest(ContentFormat.SENML_CBOR, nodes)).getCode();
        assertTrue(code.isClientError(), () -> "answered " + code);
        assertEquals(86400L, read("/1/0/5"));
        assertEquals("ACME", read("/3/0/0"));
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-280 Successful Read-Composite operation")
    void int280() throws InterruptedException {
        Map<LwM2mPath, LwM2mNode> content = readComposite(ContentFormat.SENML_CBOR, "/3/0/0", "/3/0/11",
                "/1/0/1", "/1/0/7", "/3/0/16");
        assertEquals(Set.of("/3/0/0", "/3/0/11", "/1/0/1", "/1/0/7", "/3/0/16"), present(content));
        assertEquals("UT", value(content, "/3/0/16"));
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-281 Partially successful Read-Composite operation")
    void int281() throws InterruptedException {
        Map<LwM2mPath, LwM2mNode> content = readComposite(ContentFormat.SENML_CBOR, "/1/0/1", "/1/0/7",
                "/1/0/8");
        assertEquals(Set.of("/1/0/1", "/1/0/7"), present(content), "the executable is left out");
        assertEquals(DaemonProcess.LIFETIME, value(content, "/1/0/1"));
    }

    @Test
    @DisplayName("A record naming object 0 inside a composite request is no way in")
    void securityInside() throws InterruptedException {
        Map<LwM2mPath, LwM2mNode> content = peer.send(new ReadCompositeRequest(ContentFormat.SENML_CBOR,
                ContentFormat.SENML_CBOR, "/0/0/0", "/3/0/0")).getContent();
        assertFalse(content != null && present(content).contains("/0/0/0"), "object 0 was read");
        Map<String, Object> nodes = new HashMap<>(Map.of("/1/0/5", 4321L, "/0/0/0", "coap://127.0.0.1"));
        ResponseCode code = peer.send(new WriteCompositeRequest(ContentFormat.SENML_CBOR, nodes)).getCode();
        assertTrue(code.isClientError(), () -> "answered " + code);
        assertEquals(86400L, read("/1/0/5"));
        peer.send(ResponseCode.UNAUTHORIZED, new ReadRequest("/0/0"));
    }
}
