/* SPDX-License-Identifier: Apache-2.0 */
package lwm2md.leshan;

import static lwm2md.leshan.LeshanPeer.Kind.UPDATED;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;

import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.link.Link;
import org.eclipse.leshan.core.link.lwm2m.LwM2mLink;
import org.eclipse.leshan.core.node.LwM2mMultipleResource;
import org.eclipse.leshan.core.node.LwM2mObjectInstance;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.CreateRequest;
import org.eclipse.leshan.core.request.DeleteRequest;
import org.eclipse.leshan.core.request.DiscoverRequest;
import org.eclipse.leshan.core.request.ReadRequest;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/** Create and Delete: OMA tests 1630 and 1635. */
class ObjectInstanceTest extends DaemonAndServer {
    private static final Duration UPDATE = Duration.ofSeconds(20);

    private static LwM2mObjectInstance portfolio(int id) {
        return new LwM2mObjectInstance(id,
                LwM2mMultipleResource.newStringResource(0, Map.of(0, "id-" + id, 1, "maker-" + id)));
    }

    private LwM2mLink[] discover(String path) throws InterruptedException {
        return peer.send(ResponseCode.CONTENT, new DiscoverRequest(path)).getObjectLinks();
    }

    private Set<String> paths(String path) throws InterruptedException {
        return Arrays.stream(discover(path)).map(Link::getUriReference).collect(Collectors.toSet());
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-1630 Create Portfolio Object Instance")
    void int1630() throws InterruptedException {
        peer.forgetEvents();
        String location = peer.send(ResponseCode.CREATED,
                new CreateRequest(ContentFormat.SENML_CBOR, 16, portfolio(1))).getLocation();
        assertTrue(location == null || new LwM2mPath(location).equals(new LwM2mPath(16, 1)), location);
        try {
            assertEquals(new TreeMap<>(Map.of(0, "id-1", 1, "maker-1")), readMultiple(null, "/16/1/0"));
            assertTrue(paths("/16").containsAll(Set.of("/16", "/16/0", "/16/1", "/16/1/0")));
            LwM2mLink identity = Arrays.stream(discover("/16/1"))
                    .filter(l -> l.getUriReference().equals("/16/1/0")).findFirst().orElseThrow();
            assertEquals("2", identity.getAttributes().get("dim").getCoreLinkValue());
            peer.await(UPDATED, UPDATE, e -> e.registration().getAvailableInstances()
                    .contains(new LwM2mPath(16, 1)));
            peer.send(ResponseCode.BAD_REQUEST, new CreateRequest(ContentFormat.SENML_CBOR, 16, portfolio(1)));
        } finally {
            peer.send(ResponseCode.DELETED, new DeleteRequest("/16/1"));
        }
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-1635 Delete Portfolio Object Instance")
    void int1635() throws InterruptedException {
        peer.forgetEvents();
        peer.send(ResponseCode.DELETED, new DeleteRequest("/16/0"));
        try {
            assertEquals(Set.of("/16"), paths("/16"));
            peer.send(ResponseCode.NOT_FOUND, new ReadRequest("/16/0"));
            peer.send(ResponseCode.NOT_FOUND, new DeleteRequest("/16/0"));
            peer.await(UPDATED, UPDATE, e -> !e.registration().getAvailableInstances()
                    .contains(new LwM2mPath(16, 0)));
        } finally {
            peer.send(ResponseCode.CREATED, new CreateRequest(ContentFormat.TLV, 16, portfolio(0)));
        }
    }

    @Test
    @DisplayName("Create without an instance id: the client chooses one and tells it")
    void createAnywhere() throws InterruptedException {
        String location = peer.send(ResponseCode.CREATED, new CreateRequest(ContentFormat.TLV, 16,
                LwM2mMultipleResource.newStringResource(0, Map.of(0, "chosen")))).getLocation();
        assertNotNull(location, "no Location-Path");
        LwM2mPath path = new LwM2mPath(location);
        assertTrue(path.isObjectInstance() && path.getObjectId() == 16, location);
        try {
            assertEquals(Map.of(0, "chosen"), readMultiple(null, path + "/0"));
        } finally {
            peer.send(ResponseCode.DELETED, new DeleteRequest(path));
        }
        assertFalse(paths("/16").contains(path.toString()));
    }

    @Test
    @DisplayName("Objects with a single instance can neither be created nor deleted")
    void singleInstance() throws InterruptedException {
        peer.send(ResponseCode.METHOD_NOT_ALLOWED, new DeleteRequest("/3/0"));
        ResponseCode code = peer.send(new CreateRequest(ContentFormat.TLV, 3,
                new LwM2mObjectInstance(1, List.of()))).getCode();
        assertTrue(code.isClientError(), () -> "answered " + code);
        assertEquals("ACME", read("/3/0/0"));
    }
}
