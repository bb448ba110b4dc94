/* SPDX-License-Identifier: Apache-2.0 */
package lwm2md.leshan;

import static org.junit.jupiter.api.Assertions.assertInstanceOf;

import java.io.IOException;
import java.util.Map;
import java.util.TreeMap;

import org.eclipse.californium.core.coap.Response;
import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.node.LwM2mObjectInstance;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.ReadRequest;
import org.eclipse.leshan.core.request.WriteRequest;
import org.eclipse.leshan.core.response.LwM2mResponse;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;

/** One server and one registered daemon for all tests of a class, and the requests they share. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class DaemonAndServer {
    protected LeshanPeer peer;
    protected DaemonProcess daemon;

    /** What differs from the fixed device; called before the daemon starts. */
    protected void configure(DaemonProcess d) {
    }

    @BeforeAll
    void startBoth() throws IOException, InterruptedException {
        peer = new LeshanPeer();
        daemon = new DaemonProcess(getClass().getSimpleName(), peer.uri()).fixedValues();
        configure(daemon);
        daemon.start();
        peer.await(LeshanPeer.Kind.REGISTERED);
    }

    @AfterAll
    void stopBoth() throws InterruptedException {
        try {
            if (daemon != null)
                daemon.close();
        } finally {
            if (peer != null)
                peer.close();
        }
    }

    /** The value of a single resource, in a format (null: the client's choice). */
    protected Object read(ContentFormat format, String path) throws InterruptedException {
        return assertInstanceOf(LwM2mResource.class,
                peer.send(ResponseCode.CONTENT, new ReadRequest(format, path)).getContent(), path).getValue();
    }

    protected Object read(String path) throws InterruptedException {
        return read(null, path);
    }

    protected LwM2mObjectInstance readInstance(ContentFormat format, String path) throws InterruptedException {
        return assertInstanceOf(LwM2mObjectInstance.class,
                peer.send(ResponseCode.CONTENT, new ReadRequest(format, path)).getContent(), path);
    }

    /** The values of a multiple resource by instance. */
    protected Map<Integer, Object> readMultiple(ContentFormat format, String path) throws InterruptedException {
        LwM2mResource resource = assertInstanceOf(LwM2mResource.class,
                peer.send(ResponseCode.CONTENT, new ReadRequest(format, path)).getContent(), path);
        return values(resource);
    }

    protected static Map<Integer, Object> values(LwM2mResource resource) {
        Map<Integer, Object> values = new TreeMap<>();
        resource.getInstances().forEach((id, instance) -> values.put(id, instance.getValue()));
        return values;
    }

    protected void write(ContentFormat format, int object, int instance, int resource, long value)
            throws InterruptedException {
        peer.send(ResponseCode.CHANGED, new WriteRequest(format, object, instance, resource, value));
    }

    protected void write(ContentFormat format, int object, int instance, int resource, String value)
            throws InterruptedException {
        peer.send(ResponseCode.CHANGED, new WriteRequest(format, object, instance, resource, value));
    }

    /** The Content-Format an answer carried. */
    protected static int contentFormat(LwM2mResponse response) {
        return ((Response) response.getCoapResponse()).getOptions().getContentFormat();
    }
}
