/* SPDX-License-Identifier: Apache-2.0 */
package lwm2md.leshan;

import static org.eclipse.leshan.core.link.lwm2m.attributes.LwM2mAttributes.GREATER_THAN;
import static org.eclipse.leshan.core.link.lwm2m.attributes.LwM2mAttributes.LESSER_THAN;
import static org.eclipse.leshan.core.link.lwm2m.attributes.LwM2mAttributes.MAXIMUM_PERIOD;
import static org.eclipse.leshan.core.link.lwm2m.attributes.LwM2mAttributes.MINIMUM_PERIOD;
import static org.eclipse.leshan.core.link.lwm2m.attributes.LwM2mAttributes.STEP;
import static org.eclipse.leshan.core.link.lwm2m.attributes.LwM2mAttributes.create;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.math.BigDecimal;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

import org.eclipse.californium.core.coap.CoAP;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.link.attributes.Attribute;
import org.eclipse.leshan.core.link.lwm2m.LwM2mLink;
import org.eclipse.leshan.core.link.lwm2m.attributes.LwM2mAttribute;
import org.eclipse.leshan.core.link.lwm2m.attributes.LwM2mAttributeSet;
import org.eclipse.leshan.core.request.DiscoverRequest;
import org.eclipse.leshan.core.request.WriteAttributesRequest;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/** Discover and Write-Attributes: OMA tests 260 and 261. */
class DiscoverTest extends DaemonAndServer {
    /** What Discover tells: link to attributes, each as its text. */
    private Map<String, Map<String, String>> discover(String path) throws InterruptedException {
        Map<String, Map<String, String>> links = new TreeMap<>();
        for (LwM2mLink link : peer.send(ResponseCode.CONTENT, new DiscoverRequest(path)).getObjectLinks()) {
            Map<String, String> attributes = new TreeMap<>();
            for (Attribute attribute : link.getAttributes())
                attributes.put(attribute.getName(), text(attribute));
            links.put(link.getUriReference(), attributes);
        }
        return links;
    }

    /** 80 and 80.0 are the same attribute. */
    private static String text(Attribute attribute) {
        if (attribute.getValue() instanceof BigDecimal)
            return ((BigDecimal) attribute.getValue()).stripTrailingZeros().toPlainString();
        return attribute.getCoreLinkValue();
    }

    private static Map<String, String> of(Map<String, Map<String, String>> links, String path) {
        Map<String, String> attributes = links.get(path);
        assertNotNull(attributes, () -> path + " is not in " + links);
        return attributes;
    }

    private void writeAttributes(ResponseCode code, String path, LwM2mAttribute<?>... attributes)
            throws InterruptedException {
        peer.send(code, new WriteAttributesRequest(path, new LwM2mAttributeSet(attributes)));
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-260 Discover operation")
    void int260() throws InterruptedException {
        Map<String, Map<String, String>> object = discover("/3");
        for (String path : List.of("/3", "/3/0", "/3/0/0", "/3/0/1", "/3/0/4", "/3/0/6", "/3/0/11", "/3/0/16"))
            of(object, path);
        assertTrue(object.keySet().stream().noneMatch(p -> p.matches("/3/0/\\d+/.*")),
                "resource instances belong to a Discover of their resource");
        assertEquals("2", of(object, "/3/0/6").get("dim"));

        writeAttributes(ResponseCode.CHANGED, "/3", create(MINIMUM_PERIOD, 10L));
        writeAttributes(ResponseCode.CHANGED, "/3/0", create(MAXIMUM_PERIOD, 60L));
        writeAttributes(ResponseCode.CHANGED, "/3/0/9", create(GREATER_THAN, 80L), create(LESSER_THAN, 20L),
                create(STEP, 5L));
        try {
            Map<String, Map<String, String>> instance = discover("/3/0");
            assertFalse(instance.containsKey("/3"), "only the instance was asked for");
            assertEquals("60", of(instance, "/3/0").get("pmax"));
            assertEquals(Map.of("gt", "80", "lt", "20", "st", "5"), of(instance, "/3/0/9"));
            assertEquals("10", of(discover("/3"), "/3").get("pmin"));

            Map<String, Map<String, String>> resource = discover("/3/0/9");
            assertEquals(Set.of("/3/0/9"), resource.keySet());
            assertEquals(Map.of("gt", "80", "lt", "20", "st", "5", "pmin", "10", "pmax", "60"),
                    of(resource, "/3/0/9"), "a Discover of a resource tells what it inherits");

            Map<String, Map<String, String>> multiple = discover("/3/0/7");
            assertEquals(Set.of("/3/0/7", "/3/0/7/0", "/3/0/7/1"), multiple.keySet());
            assertEquals("2", of(multiple, "/3/0/7").get("dim"));
        } finally {
            writeAttributes(ResponseCode.CHANGED, "/3", create(MINIMUM_PERIOD));
            writeAttributes(ResponseCode.CHANGED, "/3/0", create(MAXIMUM_PERIOD));
            writeAttributes(ResponseCode.CHANGED, "/3/0/9", create(GREATER_THAN), create(LESSER_THAN),
                    create(STEP));
        }
        assertEquals(Map.of(), of(discover("/3/0/9"), "/3/0/9"), "a name without value takes an attribute away");
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-261 Write-Attribute operation on a multiple resource")
    void int261() throws InterruptedException {
        writeAttributes(ResponseCode.CHANGED, "/3", create(MINIMUM_PERIOD, 10L), create(MAXIMUM_PERIOD, 320L));
        writeAttributes(ResponseCode.CHANGED, "/3/0/7/0", create(MAXIMUM_PERIOD, 100L));
        try {
            Map<String, Map<String, String>> links = discover("/3/0/7");
            assertEquals(Map.of("dim", "2", "pmin", "10", "pmax", "320"), of(links, "/3/0/7"));
            assertEquals("100", of(links, "/3/0/7/0").get("pmax"));
            assertFalse(of(links, "/3/0/7/1").containsKey("gt"));
        } finally {
            writeAttributes(ResponseCode.CHANGED, "/3", create(MINIMUM_PERIOD), create(MAXIMUM_PERIOD));
            writeAttributes(ResponseCode.CHANGED, "/3/0/7/0", create(MAXIMUM_PERIOD));
        }
    }

    /** Write-Attributes with a query that Leshan itself would not send. */
    private CoAP.ResponseCode writeQuery(String path, String query) throws InterruptedException {
        Request put = new Request(CoAP.Code.PUT);
        put.getOptions().setUriPath(path).setUriQuery(query);
        return peer.sendRaw(put).getCode();
    }

    @Test
    @DisplayName("Write-Attributes that make no sense are refused and leave nothing behind")
    void refused() throws InterruptedException {
        for (String query : List.of("lt=80&gt=20", "pmin=x", "gt=many", "nonsense=1", "st=-1"))
            assertEquals(CoAP.ResponseCode.BAD_REQUEST, writeQuery("3/0/9", query), query);
        assertEquals(CoAP.ResponseCode.BAD_REQUEST, writeQuery("3/0/0", "gt=20"), "not a number");
        writeAttributes(ResponseCode.NOT_FOUND, "/3303/9", create(MINIMUM_PERIOD, 10L));
        assertEquals(Map.of(), of(discover("/3/0/9"), "/3/0/9"));
        assertEquals(Map.of(), of(discover("/3/0/0"), "/3/0/0"));
    }

    @Test
    @DisplayName("Discover tells the version of objects, and nothing of what is not there")
    void versions() throws InterruptedException {
        assertEquals("1.1", of(discover("/3303"), "/3303").get("ver"));
        peer.send(ResponseCode.NOT_FOUND, new DiscoverRequest("/3303/9"));
        peer.send(ResponseCode.NOT_FOUND, new DiscoverRequest("/3/0/99"));
    }
}
