/* SPDX-License-Identifier: Apache-2.0 */
package lwm2md.leshan;

import static lwm2md.leshan.LeshanPeer.Kind.DEREGISTERED;
import static lwm2md.leshan.LeshanPeer.Kind.REGISTERED;
import static lwm2md.leshan.LeshanPeer.Kind.UPDATED;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.time.Duration;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

import org.eclipse.leshan.core.LwM2m.LwM2mVersion;
import org.eclipse.leshan.core.LwM2m.Version;
import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.link.Link;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.request.BindingMode;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.ExecuteRequest;
import org.eclipse.leshan.core.request.ReadRequest;
import org.eclipse.leshan.server.registration.Registration;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/** Registration interface: OMA tests 101 to 107. */
class RegistrationTest extends DaemonAndServer {
    /** Updates without being asked are at least 15 s apart. */
    private static final Duration UPDATE = Duration.ofSeconds(20);

    @Override
    protected void configure(DaemonProcess d) {
        d.client("UpdateEarly", "5");
    }

    private void writeLifetime(long seconds) throws InterruptedException {
        peer.forgetEvents();
        write(ContentFormat.TEXT, 1, 0, 1, seconds);
        peer.await(UPDATED, UPDATE, e -> e.registration().getLifeTimeInSec() == seconds);
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-101 Initial registration")
    void int101() {
        Registration r = peer.registration();
        assertEquals(daemon.endpoint(), r.getEndpoint());
        assertEquals(LwM2mVersion.V1_1, r.getLwM2mVersion());
        assertEquals(EnumSet.of(BindingMode.U), r.getBindingMode());
        assertFalse(r.getQueueMode());
        assertEquals("/", r.getRootPath());
        assertTrue(Arrays.stream(r.getObjectLinks()).filter(l -> l.getUriReference().equals("/"))
                .anyMatch(l -> l.getAttributes().contains("rt")), "no rt=\"oma.lwm2m\" on the root link");
        assertTrue(r.getSupportedContentFormats().containsAll(
                Set.of(ContentFormat.SENML_CBOR, ContentFormat.SENML_JSON, ContentFormat.TLV)));

        Set<LwM2mPath> instances = r.getAvailableInstances();
        for (String path : List.of("/1/0", "/3/0", "/16/0", "/19/0", "/3303/0", "/3442/0"))
            assertTrue(instances.contains(new LwM2mPath(path)), path + " is not in " + instances);
        for (Link link : r.getObjectLinks())
            assertFalse(link.getUriReference().matches("/0(/.*)?"), "object 0 is announced");
        assertEquals(new Version("1.1"), r.getSupportedVersion(1));
        assertEquals(new Version("1.1"), r.getSupportedVersion(3303));
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-102 Registration update")
    void int102() throws InterruptedException {
        String id = peer.registration().getId();
        long lifetime = DaemonProcess.LIFETIME + 10;
        writeLifetime(lifetime);
        assertEquals(id, peer.registration().getId(), "the registration must go on");
        assertEquals(lifetime, peer.registration().getLifeTimeInSec());
        assertEquals(lifetime, read("/1/0/1"));
        writeLifetime(DaemonProcess.LIFETIME);
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-103 Deregistration")
    void int103() throws IOException, InterruptedException {
        String id = peer.registration().getId();
        peer.forgetEvents();
        daemon.ctl("stop");
        assertEquals(id, peer.await(DEREGISTERED).registration().getId());
        assertTrue(daemon.isRunning(), "stop ends the registration, not the daemon");
        daemon.ctl("start");
        assertNotEquals(id, peer.await(REGISTERED).registration().getId());
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-104 Registration update trigger, by Execute")
    void int104ByServer() throws InterruptedException {
        peer.forgetEvents();
        peer.send(ResponseCode.CHANGED, new ExecuteRequest("/1/0/8"));
        LeshanPeer.Event event = peer.await(UPDATED, UPDATE, e -> true);
        assertNull(event.update().getLifeTimeInSec(), "an Update carries only what changed");
        assertNull(event.update().getObjectLinks(), "an Update carries only what changed");
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-104 Registration update trigger, by the user")
    void int104ByUser() throws IOException, InterruptedException {
        peer.forgetEvents();
        daemon.ctl("update");
        peer.await(UPDATED);
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-107 Extending the lifetime of a registration")
    void int107() throws InterruptedException {
        writeLifetime(20);
        try { /* 5 s before the lifetime ends, without being asked */
            peer.await(UPDATED, Duration.ofSeconds(19), e -> true);
            assertTrue(peer.registration().isAlive());
        } finally {
            writeLifetime(DaemonProcess.LIFETIME);
        }
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-105 Discarded register update: a new registration follows")
    void int105() throws IOException, InterruptedException {
        String id = peer.registration().getId();
        peer.forgetEvents();
        peer.forgetClient();
        daemon.ctl("update");
        assertNotEquals(id, peer.await(REGISTERED).registration().getId());
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-108 Turn on queue mode")
    void int108() throws IOException, InterruptedException {
        try (LeshanPeer other = new LeshanPeer();
                DaemonProcess d = new DaemonProcess("QueueMode", other.uri()).fixedValues()) {
            d.client("QueueMode", "true").withoutBus().start();
            Registration r = other.await(REGISTERED).registration();
            assertTrue(r.getQueueMode());
            assertEquals(EnumSet.of(BindingMode.U), r.getBindingMode());
            other.send(ResponseCode.CONTENT, new ReadRequest("/3/0/0"));
        }
    }

    @Test
    @DisplayName("SIGTERM de-registers")
    void terminate() throws IOException, InterruptedException {
        peer.forgetEvents();
        daemon.stop();
        peer.await(DEREGISTERED);
        daemon.start();
        peer.await(REGISTERED);
    }

    @Test
    @DisplayName("A client of version 1.0 registers as such, and answers in TLV when not asked for a format")
    void version10() throws IOException, InterruptedException {
        try (LeshanPeer old = new LeshanPeer();
                DaemonProcess d = new DaemonProcess("Version10", old.uri()).fixedValues()) {
            d.client("Version", "1.0").withoutBus().start();
            Registration r = old.await(REGISTERED).registration();
            assertEquals(LwM2mVersion.V1_0, r.getLwM2mVersion());
            assertEquals(new Version("1.0"), r.getSupportedVersion(1));
            assertEquals(new Version("1.0"), r.getSupportedVersion(3));
            assertEquals(ContentFormat.TLV_CODE,
                    contentFormat(old.send(ResponseCode.CONTENT, new ReadRequest("/3/0"))));
            assertEquals(ContentFormat.JSON_CODE, contentFormat(
                    old.send(ResponseCode.CONTENT, new ReadRequest(ContentFormat.JSON, "/3/0"))));
        }
    }
}
