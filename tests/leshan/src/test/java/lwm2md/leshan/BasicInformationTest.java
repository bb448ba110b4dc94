/* SPDX-License-Identifier: Apache-2.0 */
package lwm2md.leshan;

import static lwm2md.leshan.LeshanPeer.Kind.UPDATED;
import static org.eclipse.leshan.core.node.LwM2mSingleResource.newBooleanResource;
import static org.eclipse.leshan.core.node.LwM2mSingleResource.newIntegerResource;
import static org.eclipse.leshan.core.node.LwM2mSingleResource.newStringResource;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.link.lwm2m.attributes.LwM2mAttributeSet;
import org.eclipse.leshan.core.link.lwm2m.attributes.LwM2mAttributes;
import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.eclipse.leshan.core.node.LwM2mObject;
import org.eclipse.leshan.core.node.LwM2mObjectInstance;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.node.LwM2mResourceInstance;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.ReadRequest;
import org.eclipse.leshan.core.request.WriteAttributesRequest;
import org.eclipse.leshan.core.request.WriteRequest;
import org.eclipse.leshan.core.request.WriteRequest.Mode;
import org.eclipse.leshan.core.response.ReadResponse;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/** Read and Write of the objects each client has: OMA tests 201 to 237 and 256. */
class BasicInformationTest extends DaemonAndServer {
    private static final LwM2mResource[] SERVER_VALUES = { newIntegerResource(1, DaemonProcess.LIFETIME),
            newIntegerResource(2, 1), newIntegerResource(3, 10), newIntegerResource(5, 86400),
            newBooleanResource(6, false), newStringResource(7, "U") };

    /** Tests may leave /1/0 changed: this is its configured state. */
    @AfterEach
    void restoreServerObject() throws InterruptedException {
        peer.send(ResponseCode.CHANGED, new WriteRequest(Mode.UPDATE, ContentFormat.TLV, 1, 0, SERVER_VALUES));
    }

    private static LwM2mResource resource(Map<Integer, LwM2mResource> resources, int id) {
        assertTrue(resources.containsKey(id), () -> id + " is not in " + resources.keySet());
        return resources.get(id);
    }

    private static Object value(Map<Integer, LwM2mResource> resources, int id) {
        return resource(resources, id).getValue();
    }

    private static Map<Integer, Object> multiple(Map<Integer, LwM2mResource> resources, int id) {
        return values(resource(resources, id));
    }

    private void assertDevice(LwM2mObjectInstance device) {
        Map<Integer, LwM2mResource> resources = device.getResources();
        assertEquals("ACME", value(resources, 0));
        assertEquals("client-1", value(resources, 1));
        assertEquals("serial-1", value(resources, 2));
        assertEquals("1.2.3", value(resources, 3));
        assertEquals(Map.of(0, 1L, 1, 5L), multiple(resources, 6));
        assertEquals(Map.of(0, 3800L, 1, 5000L), multiple(resources, 7));
        assertEquals(Map.of(0, 125L, 1, 900L), multiple(resources, 8));
        assertEquals(95L, value(resources, 9));
        assertEquals(Map.of(0, 0L), multiple(resources, 11));
        assertEquals("Europe/Berlin", value(resources, 15));
        assertEquals("UT", value(resources, 16));
        for (int executable : new int[] { 4, 5, 12 })
            assertFalse(resources.containsKey(executable), "executable /3/0/" + executable + " was read");
    }

    private void queryDevice(ContentFormat format) throws InterruptedException {
        ReadResponse response = peer.send(ResponseCode.CONTENT, new ReadRequest(format, "/3/0"));
        assertEquals(format.getCode(), contentFormat(response));
        assertDevice(assertInstanceOf(LwM2mObjectInstance.class, response.getContent()));
    }

    /** Writes three resources one by one, and reads them back. */
    private void setSingly(ContentFormat format) throws InterruptedException {
        write(format, 1, 0, 3, 1010);
        write(format, 1, 0, 2, 101);
        write(format, 1, 0, 5, 2000);
        assertEquals(101L, read(format, "/1/0/2"));
        assertEquals(1010L, read(format, "/1/0/3"));
        assertEquals(2000L, read(format, "/1/0/5"));
    }

    /** Partial update touches what it names; Replace also takes away what it leaves out. */
    private void setInstance(ContentFormat format) throws InterruptedException {
        peer.send(ResponseCode.CHANGED, new WriteRequest(Mode.UPDATE, format, 1, 0, newIntegerResource(2, 101),
                newIntegerResource(3, 1010), newIntegerResource(5, 2000)));
        assertServer(format, 101, 1010, 2000, false);

        peer.send(ResponseCode.CHANGED, new WriteRequest(Mode.REPLACE, format, 1, 0,
                newIntegerResource(1, DaemonProcess.LIFETIME), newIntegerResource(2, 5),
                newBooleanResource(6, true), newStringResource(7, "U")));
        Map<Integer, LwM2mResource> replaced = readInstance(format, "/1/0").getResources();
        assertEquals(5L, value(replaced, 2));
        assertEquals(true, value(replaced, 6));
        assertEquals((long) DaemonProcess.SHORT_ID, value(replaced, 0), "read-only, so it stays");
        assertFalse(replaced.containsKey(3), "Replace must take /1/0/3 away");
        assertFalse(replaced.containsKey(5), "Replace must take /1/0/5 away");
    }

    private void assertServer(ContentFormat format, long pmin, long pmax, long disable, boolean storing)
            throws InterruptedException {
        Map<Integer, LwM2mResource> resources = readInstance(format, "/1/0").getResources();
        assertEquals((long) DaemonProcess.SHORT_ID, value(resources, 0));
        assertEquals(DaemonProcess.LIFETIME, value(resources, 1));
        assertEquals(pmin, value(resources, 2));
        assertEquals(pmax, value(resources, 3));
        assertEquals(disable, value(resources, 5));
        assertEquals(storing, value(resources, 6));
        assertEquals("U", value(resources, 7));
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-201 Querying basic information in plain text format")
    void int201() throws InterruptedException {
        assertEquals("ACME", read(ContentFormat.TEXT, "/3/0/0"));
        assertEquals("client-1", read(ContentFormat.TEXT, "/3/0/1"));
        assertEquals("serial-1", read(ContentFormat.TEXT, "/3/0/2"));
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-203 Querying basic information in TLV format")
    void int203() throws InterruptedException {
        queryDevice(ContentFormat.TLV);
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-204 Querying basic information in JSON format")
    void int204() throws InterruptedException {
        queryDevice(ContentFormat.JSON);
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-205 Setting basic information in plain text format")
    void int205() throws InterruptedException {
        setSingly(ContentFormat.TEXT);
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-211 Querying basic information in CBOR format")
    void int211() throws InterruptedException {
        assertEquals((long) DaemonProcess.SHORT_ID, read(ContentFormat.CBOR, "/1/0/0"));
        assertEquals(false, read(ContentFormat.CBOR, "/1/0/6"));
        assertEquals("U", read(ContentFormat.CBOR, "/1/0/7"));
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-212 Setting basic information in CBOR format")
    void int212() throws InterruptedException {
        setSingly(ContentFormat.CBOR);
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-215 Setting basic information in TLV format")
    void int215() throws InterruptedException {
        setInstance(ContentFormat.TLV);
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-220 Setting basic information in JSON format")
    void int220() throws InterruptedException {
        setInstance(ContentFormat.JSON);
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-221 Attempt to perform operations on Security")
    void int221() throws InterruptedException {
        peer.send(ResponseCode.UNAUTHORIZED, new ReadRequest("/0/0"));
        peer.send(ResponseCode.UNAUTHORIZED, new ReadRequest("/0/0/0"));
        peer.send(ResponseCode.UNAUTHORIZED, new WriteRequest(ContentFormat.TEXT, 0, 0, 0, "coap://127.0.0.1"));
        peer.send(ResponseCode.UNAUTHORIZED, new WriteAttributesRequest("/0/0/0",
                new LwM2mAttributeSet(LwM2mAttributes.create(LwM2mAttributes.MINIMUM_PERIOD, 10L))));
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-222 Read on Object")
    void int222() throws InterruptedException {
        LwM2mObject servers = assertInstanceOf(LwM2mObject.class,
                peer.send(ResponseCode.CONTENT, new ReadRequest("/1")).getContent());
        assertEquals(Set.of(0), servers.getInstances().keySet());
        Set<Integer> resources = servers.getInstance(0).getResources().keySet();
        assertTrue(resources.containsAll(Set.of(0, 1, 2, 3, 5, 6, 7)), () -> "/1/0 has " + resources);
        for (int executable : new int[] { 4, 8, 9 })
            assertFalse(resources.contains(executable), "executable /1/0/" + executable + " was read");

        LwM2mObject devices = assertInstanceOf(LwM2mObject.class,
                peer.send(ResponseCode.CONTENT, new ReadRequest("/3")).getContent());
        assertEquals(Set.of(0), devices.getInstances().keySet());
        assertDevice(devices.getInstance(0));
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-223 Read on Object Instance")
    void int223() throws InterruptedException {
        assertDevice(readInstance(null, "/3/0"));
        assertServer(null, 1, 10, 86400, false);
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-224 Read on Resource")
    void int224() throws InterruptedException {
        assertEquals("ACME", read("/3/0/0"));
        assertEquals(DaemonProcess.LIFETIME, read("/1/0/1"));
        assertEquals(new TreeMap<>(Map.of(0, 1L, 1, 5L)), readMultiple(null, "/3/0/6"));
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-225 Read on Resource Instance")
    void int225() throws InterruptedException {
        LwM2mResourceInstance instance = assertInstanceOf(LwM2mResourceInstance.class,
                peer.send(ResponseCode.CONTENT, new ReadRequest("/3/0/11/0")).getContent());
        assertEquals(0, instance.getId());
        assertEquals(0L, instance.getValue());
        peer.send(ResponseCode.NOT_FOUND, new ReadRequest("/3/0/11/7"));
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-226 Write (Partial Update) on Object Instance")
    void int226() throws InterruptedException {
        peer.send(ResponseCode.CHANGED, new WriteRequest(Mode.UPDATE, ContentFormat.SENML_CBOR, 1, 0,
                newIntegerResource(1, 7200), newBooleanResource(6, true)));
        assertEquals(7200L, read("/1/0/1"));
        assertEquals(true, read("/1/0/6"));
        assertEquals(1L, read("/1/0/2"));
        assertEquals(10L, read("/1/0/3"));
        assertEquals(86400L, read("/1/0/5"));
        assertEquals("U", read("/1/0/7"));
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-227 Write (Replace) on Resource")
    void int227() throws InterruptedException {
        peer.forgetEvents();
        write(ContentFormat.SENML_CBOR, 1, 0, 1, 63);
        peer.await(UPDATED, Duration.ofSeconds(20), e -> e.registration().getLifeTimeInSec() == 63);
        assertEquals(63L, read("/1/0/1"));
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-228 Write on Resource Instance")
    void int228() throws InterruptedException {
        peer.send(ResponseCode.CHANGED,
                new WriteRequest(ContentFormat.SENML_CBOR, 16, 0, 0, 0, "another-id", Type.STRING));
        try {
            assertEquals(new TreeMap<>(Map.of(0, "another-id", 1, "host-maker", 2, "host-model", 3,
                    "host-software")), readMultiple(null, "/16/0/0"), "one instance changes, the rest stay");
        } finally {
            peer.send(ResponseCode.CHANGED,
                    new WriteRequest(ContentFormat.TEXT, 16, 0, 0, 0, "host-id", Type.STRING));
        }
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-231 Querying basic information in SenML JSON format")
    void int231() throws InterruptedException {
        queryDevice(ContentFormat.SENML_JSON);
        assertServer(ContentFormat.SENML_JSON, 1, 10, 86400, false);
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-232 Querying basic information in SenML CBOR format")
    void int232() throws InterruptedException {
        queryDevice(ContentFormat.SENML_CBOR);
        assertServer(ContentFormat.SENML_CBOR, 1, 10, 86400, false);
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-233 Setting basic information in SenML CBOR format")
    void int233() throws InterruptedException {
        setInstance(ContentFormat.SENML_CBOR);
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-234 Setting basic information in SenML JSON format")
    void int234() throws InterruptedException {
        setInstance(ContentFormat.SENML_JSON);
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-237 Read on Object without specifying Content-Type")
    void int237() throws InterruptedException {
        assertEquals(ContentFormat.SENML_CBOR_CODE,
                contentFormat(peer.send(ResponseCode.CONTENT, new ReadRequest("/3"))));
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-256 Write operation failure")
    void int256() throws InterruptedException {
        peer.send(ResponseCode.METHOD_NOT_ALLOWED, new WriteRequest(ContentFormat.TEXT, 1, 0, 0, 7));
        assertEquals((long) DaemonProcess.SHORT_ID, read("/1/0/0"));
    }

    @Test
    @DisplayName("A partial update with one bad value changes nothing")
    void allOrNothing() throws InterruptedException {
        ResponseCode code = peer.send(new WriteRequest(Mode.UPDATE, ContentFormat.TLV, 1, 0,
                newIntegerResource(5, 4711), newIntegerResource(0, 7))).getCode();
        assertTrue(code.isClientError(), () -> "answered " + code);
        assertEquals(86400L, read("/1/0/5"));
    }
}
