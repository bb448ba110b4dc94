/* SPDX-License-Identifier: Apache-2.0 */
package lwm2md.leshan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;

import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.node.LwM2mNode;
import org.eclipse.leshan.core.node.LwM2mObjectInstance;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.node.TimestampedLwM2mNode;
import org.eclipse.leshan.core.node.TimestampedLwM2mNodes;
import org.eclipse.leshan.core.observation.CompositeObservation;
import org.eclipse.leshan.core.observation.Observation;
import org.eclipse.leshan.core.observation.SingleObservation;
import org.eclipse.leshan.core.request.CancelCompositeObservationRequest;
import org.eclipse.leshan.core.request.CancelObservationRequest;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.ObserveCompositeRequest;
import org.eclipse.leshan.core.request.ObserveRequest;
import org.eclipse.leshan.core.request.ReadRequest;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Time series: samples with their times, in notifications and answers to Read. */
class SeriesTest extends DaemonAndServer {
    private static final Duration SOON = Duration.ofSeconds(6);
    private static final String PATH = "/3303/0/5700";
    private static final Instant START = Instant.parse("2026-01-02T03:04:05Z");

    @AfterEach
    void cancelAll() throws IOException, InterruptedException {
        for (Observation o : peer.server().getObservationService().getObservations(peer.registration())) {
            if (o instanceof SingleObservation)
                peer.send(new CancelObservationRequest((SingleObservation) o));
            else
                peer.send(new CancelCompositeObservationRequest((CompositeObservation) o));
        }
        daemon.ctl("cache", PATH, "0");
        peer.forgetNotifications();
    }

    private static SortedMap<Instant, Double> series(int n) {
        SortedMap<Instant, Double> samples = new TreeMap<>();
        for (int i = 0; i < n; i++)
            samples.put(START.plusMillis(250L * i), 20 + i / 8.0);
        return samples;
    }

    private void push(SortedMap<Instant, Double> samples) throws IOException, InterruptedException {
        StringBuilder lines = new StringBuilder();
        samples.forEach((time, value) -> lines.append(
                String.format("%d.%09d %s%n", time.getEpochSecond(), time.getNano(), value)));
        Path file = daemon.file("samples.txt");
        Files.writeString(file, lines);
        daemon.ctl("push", PATH, file.toString());
    }

    private static double value(LwM2mNode node) {
        LwM2mNode resource = node instanceof LwM2mObjectInstance ? ((LwM2mObjectInstance) node).getResource(5700)
                : node;
        return (Double) assertInstanceOf(LwM2mResource.class, resource).getValue();
    }

    /** Samples out of notifications until there are as many; none may come twice. */
    private SortedMap<Instant, Double> gather(Observation observation, int n) throws InterruptedException {
        SortedMap<Instant, Double> got = new TreeMap<>();
        while (got.size() < n) {
            LeshanPeer.Notification notification = peer.notification(observation, SOON);
            List<TimestampedLwM2mNode> nodes = notification.single().getTimestampedLwM2mNodes();
            if (nodes == null || nodes.isEmpty())
                nodes = List.of(notification.single().getTimestampedLwM2mNode());
            for (TimestampedLwM2mNode node : nodes) {
                assertTrue(node.isTimestamped(), () -> "without a time: " + node);
                assertFalse(got.containsKey(node.getTimestamp()), () -> "twice: " + node);
                got.put(node.getTimestamp(), value(node.getNode()));
            }
        }
        return got;
    }

    @ParameterizedTest
    @ValueSource(strings = { "SENML_CBOR", "SENML_JSON" })
    @DisplayName("Samples of a resource in notifications")
    void notifications(String format) throws IOException, InterruptedException {
        daemon.ctl("cache", PATH, "1000");
        SingleObservation observation = peer.send(ResponseCode.CONTENT,
                new ObserveRequest(ContentFormat.fromName(format), PATH)).getObservation();
        for (int n : new int[] { 1, 7, 300 }) {
            push(series(n));
            assertEquals(series(n), gather(observation, n));
        }
        assertEquals("", daemon.ctl("cache", PATH));
    }

    @Test
    @DisplayName("Samples in notifications of an instance")
    void instance() throws IOException, InterruptedException {
        daemon.ctl("cache", PATH, "1000");
        SingleObservation observation = peer.send(ResponseCode.CONTENT,
                new ObserveRequest(ContentFormat.SENML_CBOR, "/3303/0")).getObservation();
        push(series(1));
        List<TimestampedLwM2mNode> nodes = peer.notification(observation, SOON).single()
                .getTimestampedLwM2mNodes();
        TimestampedLwM2mNode sample = nodes.stream().filter(TimestampedLwM2mNode::isTimestamped).findFirst()
                .orElseThrow();
        assertEquals(START, sample.getTimestamp());
        assertEquals(20.0, value(sample.getNode()));
        /* What is not cached has no time. */
        assertTrue(nodes.stream().anyMatch(n -> !n.isTimestamped()));
    }

    @Test
    @DisplayName("Samples in composite notifications")
    void composite() throws IOException, InterruptedException {
        daemon.ctl("cache", PATH, "1000");
        CompositeObservation observation = peer.send(ResponseCode.CONTENT, new ObserveCompositeRequest(
                ContentFormat.SENML_CBOR, ContentFormat.SENML_CBOR, PATH, "/3/0/0")).getObservation();
        push(series(5));
        TimestampedLwM2mNodes nodes = peer.notification(observation, SOON).composite().getTimestampedLwM2mNodes();
        SortedMap<Instant, Double> got = new TreeMap<>();
        for (Instant time : nodes.getTimestamps())
            if (time != null)
                got.put(time, value(nodes.getNodesAt(time).get(new LwM2mPath(PATH))));
        assertEquals(series(5), got);
    }

    /** Leshan takes one sample in the answer to a Read, not several: "latest" is for servers like it. */
    @Test
    @DisplayName("Read of a cached resource")
    void read() throws IOException, InterruptedException {
        daemon.ctl("cache", PATH, "1000");
        push(series(1));
        TimestampedLwM2mNode one = peer.send(ResponseCode.CONTENT,
                new ReadRequest(ContentFormat.SENML_CBOR, PATH)).getTimestampedLwM2mNode();
        assertEquals(START, one.getTimestamp());
        assertEquals(20.0, value(one.getNode()));
        daemon.ctl("cache", "--read=latest", PATH, "1000");
        push(series(3));
        assertEquals(20.25, read(ContentFormat.SENML_CBOR, PATH));
        daemon.ctl("cache", "--read=all", PATH, "1000");
        assertEquals(20.25, read(ContentFormat.TEXT, PATH));
    }
}
