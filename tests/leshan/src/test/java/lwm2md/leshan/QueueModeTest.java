/* SPDX-License-Identifier: Apache-2.0 */
package lwm2md.leshan;

import static lwm2md.leshan.LeshanPeer.Kind.AWAKE;
import static lwm2md.leshan.LeshanPeer.Kind.DEREGISTERED;
import static lwm2md.leshan.LeshanPeer.Kind.REGISTERED;
import static lwm2md.leshan.LeshanPeer.Kind.SLEEPING;
import static lwm2md.leshan.LeshanPeer.Kind.UPDATED;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.time.Duration;
import java.util.EnumSet;

import org.eclipse.leshan.core.LwM2m.LwM2mVersion;
import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.node.LwM2mSingleResource;
import org.eclipse.leshan.core.observation.Observation;
import org.eclipse.leshan.core.request.BindingMode;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.ObserveRequest;
import org.eclipse.leshan.core.request.ReadRequest;
import org.eclipse.leshan.core.request.WriteRequest;
import org.eclipse.leshan.core.request.exception.ClientSleepingException;
import org.eclipse.leshan.server.queue.StaticClientAwakeTimeProvider;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Queue mode, with a server that thinks the client awake for one second and a client that is for two:
 * the client must be the later one, or requests would be lost. Leshan keeps no requests itself.
 */
class QueueModeTest {
    private static final int SERVER_MS = 1000;
    private static final String CLIENT = "2s";
    private static final Duration SOON = LeshanPeer.SOON;

    private interface Body {
        void run(LeshanPeer peer, DaemonProcess daemon) throws IOException, InterruptedException;
    }

    /** Registered in queue mode; further keys of [Client] in pairs. */
    private static void with(String name, Body body, String... keys) throws IOException, InterruptedException {
        try (LeshanPeer peer = new LeshanPeer(new StaticClientAwakeTimeProvider(SERVER_MS));
                DaemonProcess daemon = new DaemonProcess(name, peer.uri()).fixedValues()) {
            daemon.client("QueueMode", "true").client("QueueAwakeTime", CLIENT);
            for (int i = 0; i < keys.length; i += 2)
                daemon.client(keys[i], keys[i + 1]);
            daemon.start();
            peer.await(REGISTERED);
            body.run(peer, daemon);
        }
    }

    /** Both think so. */
    private static void awaitSleep(LeshanPeer peer, DaemonProcess daemon) throws IOException, InterruptedException {
        peer.await(SLEEPING);
        for (int i = 0; i < 100 && !daemon.ctl("status").contains("asleep until"); i++)
            Thread.sleep(100);
        assertTrue(daemon.ctl("status").contains("asleep until"), "the client does not fall asleep");
        assertFalse(peer.server().getPresenceService().isClientAwake(peer.registration()));
    }

    private static void awaitUpdate(LeshanPeer peer) throws InterruptedException {
        peer.await(UPDATED);
        assertTrue(peer.server().getPresenceService().isClientAwake(peer.registration()));
    }

    private static Observation observe(LeshanPeer peer) throws InterruptedException {
        return peer.send(ResponseCode.CONTENT, new ObserveRequest(ContentFormat.TEXT, 3303, 0, 5700))
                .getObservation();
    }

    private static void assertNotified(LeshanPeer peer, Observation observation, double value)
            throws InterruptedException {
        LwM2mSingleResource resource = (LwM2mSingleResource) peer.notification(observation, SOON).single()
                .getContent();
        assertEquals(value, resource.getValue());
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-109 Behaviour in queue mode")
    void int109() throws IOException, InterruptedException {
        with("Queue109", (peer, daemon) -> {
            long lifetime = DaemonProcess.LIFETIME + 10;
            String id = peer.registration().getId();
            awaitSleep(peer, daemon);
            assertThrows(ClientSleepingException.class, () -> peer.send(new ReadRequest("/3/0/0")));

            peer.forgetEvents();
            daemon.ctl("update");
            awaitUpdate(peer);
            peer.send(ResponseCode.CHANGED, new WriteRequest(ContentFormat.TEXT, 1, 0, 1, lifetime));
            peer.await(UPDATED, SOON, e -> e.registration().getLifeTimeInSec() == lifetime);
            assertEquals(id, peer.registration().getId(), "the registration must go on");
            awaitSleep(peer, daemon);
        });
    }

    @Test
    @DisplayName("The Update at its time wakes, and then requests arrive")
    void updateByTime() throws IOException, InterruptedException {
        with("QueueUpdate", (peer, daemon) -> {
            awaitSleep(peer, daemon);
            peer.await(AWAKE, Duration.ofSeconds(20), e -> true);
            peer.send(ResponseCode.CONTENT, new ReadRequest("/3/0/0"));
            awaitSleep(peer, daemon);
        }, "UpdatePeriod", "15");
    }

    @ParameterizedTest(name = "socket: {0}")
    @ValueSource(strings = { "stop-polling", "listen", "close" })
    @DisplayName("A notification while asleep follows an Update")
    void notification(String socket) throws IOException, InterruptedException {
        with("QueueNotify-" + socket, (peer, daemon) -> {
            Observation observation = observe(peer);
            int port = peer.registration().getPort();
            awaitSleep(peer, daemon);
            peer.forgetEvents();
            daemon.set("/3303/0/5700", 30.5);
            awaitUpdate(peer);
            assertNotified(peer, observation, 30.5);
            peer.send(ResponseCode.CONTENT, new ReadRequest("/3/0/0"));
            /* Leshan ties observations to address and port where there is no security. */
            assertEquals(port, peer.registration().getPort());
            awaitSleep(peer, daemon);
        }, "QueueSocket", socket);
    }

    @Test
    @DisplayName("A notification while asleep goes at once, when told so")
    void atOnce() throws IOException, InterruptedException {
        with("QueueAtOnce", (peer, daemon) -> {
            Observation observation = observe(peer);
            awaitSleep(peer, daemon);
            daemon.set("/3303/0/5700", 31.5);
            assertNotified(peer, observation, 31.5);
        }, "QueueAtOnce", "true");
    }

    @Test
    @DisplayName("A server that has forgotten the client gets a new registration before anything else")
    void forgotten() throws IOException, InterruptedException {
        with("QueueForgotten", (peer, daemon) -> {
            Observation observation = observe(peer);
            String id = peer.registration().getId();
            awaitSleep(peer, daemon);
            peer.forgetClient();
            peer.forgetEvents();
            daemon.set("/3303/0/5700", 32.5);
            assertNotEquals(id, peer.await(REGISTERED).registration().getId());
            peer.send(ResponseCode.CONTENT, new ReadRequest("/3/0/0"));
            assertEquals(1, peer.countNotifications(observation), "only the answer to Observe");
            awaitSleep(peer, daemon);
        });
    }

    @ParameterizedTest(name = "socket: {0}")
    @ValueSource(strings = { "stop-polling", "close" })
    @DisplayName("De-registers from its sleep")
    void deregister(String socket) throws IOException, InterruptedException {
        with("QueueStop-" + socket, (peer, daemon) -> {
            awaitSleep(peer, daemon);
            daemon.stop();
            peer.await(DEREGISTERED);
        }, "QueueSocket", socket);
    }

    @Test
    @DisplayName("LwM2M 1.0: binding UQ")
    void version10() throws IOException, InterruptedException {
        with("Queue10", (peer, daemon) -> {
            assertEquals(LwM2mVersion.V1_0, peer.registration().getLwM2mVersion());
            assertEquals(EnumSet.of(BindingMode.U, BindingMode.Q), peer.registration().getBindingMode());
            awaitSleep(peer, daemon);
            assertThrows(ClientSleepingException.class, () -> peer.send(new ReadRequest("/3/0/0")));
            daemon.ctl("update");
            awaitUpdate(peer);
            peer.send(ResponseCode.CONTENT, new ReadRequest("/3/0/0"));
        }, "Version", "1.0");
    }
}
