/* SPDX-License-Identifier: Apache-2.0 */
package lwm2md.leshan;

import static lwm2md.leshan.LeshanPeer.Kind.REGISTERED;
import static lwm2md.leshan.LeshanPeer.Kind.UPDATED;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.List;

import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.node.TimestampedLwM2mNode;
import org.eclipse.leshan.core.observation.CompositeObservation;
import org.eclipse.leshan.core.observation.Observation;
import org.eclipse.leshan.core.observation.SingleObservation;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.ObserveCompositeRequest;
import org.eclipse.leshan.core.request.ObserveRequest;
import org.junit.jupiter.api.Test;

/**
 * Registrations and observations that outlive the client's process, and notifications stored while the
 * server cannot be reached.
 */
class RestartTest {
    private static final Duration SOON = LeshanPeer.SOON;

    private static DaemonProcess daemon(String name, LeshanPeer peer, java.net.URI uri) throws IOException {
        return new DaemonProcess(name, uri).fixedValues().value("/1/0/2", "0").value("/1/0/3", "0")
                .value("/1/0/6", "true").client("Lifetime", "300").client("StopAction", "keep")
                .client("SettleTime", "500ms");
    }

    private static SingleObservation observe(LeshanPeer peer, ContentFormat format) throws InterruptedException {
        return peer.send(ResponseCode.CONTENT, new ObserveRequest(format, "/3303/0/5700")).getObservation();
    }

    private static Object value(LeshanPeer.Notification n) {
        return assertInstanceOf(LwM2mResource.class, n.single().getContent()).getValue();
    }

    private static Object temperature(LeshanPeer.Notification n) {
        return n.single() != null ? value(n)
                : assertInstanceOf(LwM2mResource.class,
                        n.composite().getContent().get(new LwM2mPath("/3303/0/5700"))).getValue();
    }

    /** An earlier value may come before it. */
    private static void assertNotified(LeshanPeer peer, DaemonProcess daemon, Observation observation,
            double value) throws IOException, InterruptedException {
        daemon.set("/3303/0/5700", value);
        while (!temperature(peer.notification(observation, SOON)).equals(value))
            continue;
    }

    @Test
    void observationsGoOnAfterAStop() throws IOException, InterruptedException {
        try (LeshanPeer peer = new LeshanPeer(); DaemonProcess daemon = daemon("goes-on", peer, peer.uri())) {
            daemon.start();
            String id = peer.await(REGISTERED).registration().getId();
            SingleObservation single = observe(peer, ContentFormat.SENML_CBOR);
            CompositeObservation composite = peer.send(ResponseCode.CONTENT, new ObserveCompositeRequest(
                    ContentFormat.SENML_CBOR, ContentFormat.SENML_CBOR, "/3303/0/5700", "/3/0/0")).getObservation();
            daemon.stop();
            peer.forgetEvents();
            daemon.start();
            assertEquals(id, peer.await(UPDATED).registration().getId());
            assertNotified(peer, daemon, single, 22.5);
            assertNotified(peer, daemon, composite, 23.5);
        }
    }

    @Test
    void observationsGoOnAfterAKill() throws IOException, InterruptedException {
        try (LeshanPeer peer = new LeshanPeer(); DaemonProcess daemon = daemon("killed", peer, peer.uri())) {
            daemon.start();
            String id = peer.await(REGISTERED).registration().getId();
            SingleObservation observation = observe(peer, ContentFormat.SENML_JSON);
            daemon.ctl("sync");
            for (int i = 0; i < 3; i++) {
                daemon.kill();
                peer.forgetEvents();
                peer.forgetNotifications();
                daemon.start();
                assertEquals(id, peer.await(UPDATED).registration().getId());
                assertEquals(21.5, value(peer.notification(observation, SOON))); /* the state */
                assertNotified(peer, daemon, observation, 30 + i);
            }
        }
    }

    @Test
    void storedNotificationsHaveTheirTimes() throws IOException, InterruptedException {
        try (LeshanPeer peer = new LeshanPeer();
                Relay relay = new Relay(peer.uri());
                DaemonProcess daemon = daemon("stored", peer, relay.uri())) {
            daemon.start();
            peer.await(REGISTERED);
            SingleObservation observation = observe(peer, ContentFormat.SENML_JSON);
            daemon.stop();
            relay.cut(true);
            peer.forgetEvents();
            peer.forgetNotifications();
            daemon.start();
            daemon.ctl("wait", "--timeout=10s", "online"); /* as far as it knows */
            Instant before = Instant.now().minusSeconds(1);
            for (int i = 0; i < 3; i++) {
                daemon.set("/3303/0/5700", 40 + i);
                Thread.sleep(50); /* changes of one turn of the loop are one */
            }
            Instant after = Instant.now().plusSeconds(1);
            relay.cut(false);
            peer.await(UPDATED, Duration.ofSeconds(30), e -> true);
            Instant last = before;
            for (int i = 0; i < 3; i++) {
                LeshanPeer.Notification n = peer.notification(observation, SOON);
                List<TimestampedLwM2mNode> nodes = n.single().getTimestampedLwM2mNode() == null ? List.of()
                        : List.of(n.single().getTimestampedLwM2mNode());
                assertEquals(40.0 + i, value(n));
                Instant time = nodes.get(0).getTimestamp();
                assertNotNull(time);
                assertTrue(!time.isBefore(last) && time.isBefore(after), () -> time + " is out of order");
                last = time;
            }
        }
    }
}
