/* SPDX-License-Identifier: Apache-2.0 */
package lwm2md.leshan;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReferenceArray;

import org.eclipse.californium.core.coap.CoAP;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.eclipse.leshan.core.node.LwM2mMultipleResource;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.node.LwM2mResourceInstance;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.ReadRequest;
import org.eclipse.leshan.core.request.WriteRequest;
import org.eclipse.leshan.core.request.WriteRequest.Mode;
import org.eclipse.leshan.core.response.ReadResponse;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/** Bodies of many blocks, both ways; the daemon runs without a bus. */
class BlockwiseTest extends DaemonAndServer {
    private static final int MEGABYTE = 1 << 20;
    private static final long TRANSFER_MS = 60_000;
    private static final int SZX_512 = 5;

    @Override
    protected void configure(DaemonProcess d) {
        d.withoutBus();
    }

    private static byte[] bytes(int n, long seed) {
        byte[] bytes = new byte[n];
        new Random(seed).nextBytes(bytes);
        return bytes;
    }

    private void writeOpaque(String path, WriteRequest request) throws InterruptedException {
        var response = peer.server().send(peer.registration(), request, TRANSFER_MS);
        assertTrue(response != null, path + ": no answer");
        assertEquals(ResponseCode.CHANGED, response.getCode(), path + ": " + response.getErrorMessage());
    }

    private ReadResponse readLong(ContentFormat format, String path) throws InterruptedException {
        ReadResponse response = peer.server().send(peer.registration(), new ReadRequest(format, path), TRANSFER_MS);
        assertTrue(response != null, path + ": no answer");
        assertEquals(ResponseCode.CONTENT, response.getCode(), path + ": " + response.getErrorMessage());
        return response;
    }

    private byte[] readOpaque(ContentFormat format, String path) throws InterruptedException {
        var content = readLong(format, path).getContent();
        return (byte[]) (content instanceof LwM2mResourceInstance ? ((LwM2mResourceInstance) content).getValue()
                : assertInstanceOf(LwM2mResource.class, content).getValue());
    }

    @Test
    @DisplayName("1 MiB into an opaque resource, and back")
    void megabyte() throws InterruptedException {
        byte[] data = bytes(MEGABYTE, 1);
        writeOpaque("/3442/0/150", new WriteRequest(ContentFormat.OPAQUE, 3442, 0, 150, data));
        assertArrayEquals(data, readOpaque(ContentFormat.OPAQUE, "/3442/0/150"));
    }

    @Test
    @DisplayName("1 MiB into a resource instance of BinaryAppDataContainer, and back")
    void megabyteContainer() throws InterruptedException {
        byte[] data = bytes(MEGABYTE, 2);
        writeOpaque("/19/0/0", new WriteRequest(Mode.REPLACE, ContentFormat.TLV, "/19/0/0",
                LwM2mMultipleResource.newBinaryResource(0, Map.of(0, new byte[] { 1 }))));
        writeOpaque("/19/0/0/0", new WriteRequest(ContentFormat.OPAQUE, 19, 0, 0, 0, data, Type.OPAQUE));
        assertArrayEquals(data, readOpaque(ContentFormat.OPAQUE, "/19/0/0/0"));
    }

    @Test
    @DisplayName("1 MiB in TLV and SenML CBOR, both ways")
    void megabyteInOtherFormats() throws InterruptedException {
        for (ContentFormat format : List.of(ContentFormat.TLV, ContentFormat.SENML_CBOR)) {
            byte[] data = bytes(MEGABYTE, 3 + format.getCode());
            writeOpaque("/3442/0/150", new WriteRequest(format, 3442, 0, 150, data));
            assertArrayEquals(data, readOpaque(format, "/3442/0/150"), format.toString());
        }
    }

    @Test
    @DisplayName("Sizes around the block boundaries")
    void boundaries() throws InterruptedException {
        for (int n : new int[] { 0, 1, 511, 512, 513, 1023, 1024, 1025, 2048 }) {
            byte[] data = bytes(n, n);
            writeOpaque("/3442/0/150", new WriteRequest(ContentFormat.OPAQUE, 3442, 0, 150, data));
            assertArrayEquals(data, readOpaque(ContentFormat.OPAQUE, "/3442/0/150"), n + " bytes");
        }
    }

    @Test
    @DisplayName("Four transfers at once on different paths all end right")
    void interleaved() throws InterruptedException {
        int n = 4;
        writeOpaque("/3442/0/1150", new WriteRequest(Mode.REPLACE, ContentFormat.TLV, "/3442/0/1150",
                LwM2mMultipleResource.newBinaryResource(1150, Map.of(0, bytes(1, 0), 1, bytes(1, 1), 2,
                        bytes(1, 2), 3, bytes(1, 3)))));
        List<byte[]> data = new ArrayList<>();
        CountDownLatch written = new CountDownLatch(n);
        AtomicReferenceArray<Object> results = new AtomicReferenceArray<>(n);
        for (int i = 0; i < n; i++) {
            data.add(bytes(100_000 + i, 100 + i));
            int id = i;
            peer.server().send(peer.registration(),
                    new WriteRequest(ContentFormat.OPAQUE, 3442, 0, 1150, i, data.get(i), Type.OPAQUE), TRANSFER_MS,
                    r -> {
                        results.set(id, r.getCode());
                        written.countDown();
                    }, e -> {
                        results.set(id, e);
                        written.countDown();
                    });
        }
        assertTrue(written.await(TRANSFER_MS, TimeUnit.MILLISECONDS), "not all transfers ended");
        for (int i = 0; i < n; i++)
            assertEquals(ResponseCode.CHANGED, results.get(i), "transfer " + i);

        CountDownLatch readBack = new CountDownLatch(n);
        for (int i = 0; i < n; i++) {
            int id = i;
            peer.server().send(peer.registration(), new ReadRequest(ContentFormat.OPAQUE, 3442, 0, 1150, i),
                    TRANSFER_MS, r -> {
                        results.set(id, r.isSuccess() ? ((LwM2mResourceInstance) r.getContent()).getValue()
                                : r.getCode());
                        readBack.countDown();
                    }, e -> {
                        results.set(id, e);
                        readBack.countDown();
                    });
        }
        assertTrue(readBack.await(TRANSFER_MS, TimeUnit.MILLISECONDS), "not all transfers ended");
        for (int i = 0; i < n; i++)
            assertArrayEquals(data.get(i), assertInstanceOf(byte[].class, results.get(i), "transfer " + i));
    }

    @Test
    @DisplayName("A transfer that was given up does not hinder the next; a block out of order is 4.08")
    void abandoned() throws InterruptedException {
        byte[] before = bytes(3000, 7);
        writeOpaque("/3442/0/150", new WriteRequest(ContentFormat.OPAQUE, 3442, 0, 150, before));
        assertEquals(CoAP.ResponseCode.CONTINUE, sendBlock(0, bytes(512, 8)));
        assertEquals(CoAP.ResponseCode.REQUEST_ENTITY_INCOMPLETE, sendBlock(5, bytes(512, 9)));
        assertArrayEquals(before, readOpaque(ContentFormat.OPAQUE, "/3442/0/150"), "nothing was written yet");
        assertEquals(CoAP.ResponseCode.CONTINUE, sendBlock(0, bytes(512, 10)));
        byte[] after = bytes(5000, 11);
        writeOpaque("/3442/0/150", new WriteRequest(ContentFormat.OPAQUE, 3442, 0, 150, after));
        assertArrayEquals(after, readOpaque(ContentFormat.OPAQUE, "/3442/0/150"));
    }

    /** One block of a Write to /3442/0/150 with more to follow. */
    private CoAP.ResponseCode sendBlock(int number, byte[] block) throws InterruptedException {
        Request put = new Request(CoAP.Code.PUT);
        put.getOptions().setUriPath("/3442/0/150");
        put.getOptions().setContentFormat(ContentFormat.OPAQUE_CODE);
        put.getOptions().setBlock1(SZX_512, true, number);
        put.setPayload(block);
        return peer.sendBlock(put).getCode();
    }
}
