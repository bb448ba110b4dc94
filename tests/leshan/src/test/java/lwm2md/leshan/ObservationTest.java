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
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.time.Duration;
import java.util.Map;

import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.link.lwm2m.attributes.LwM2mAttribute;
import org.eclipse.leshan.core.link.lwm2m.attributes.LwM2mAttributeSet;
import org.eclipse.leshan.core.node.LwM2mMultipleResource;
import org.eclipse.leshan.core.node.LwM2mNode;
import org.eclipse.leshan.core.node.LwM2mObject;
import org.eclipse.leshan.core.node.LwM2mObjectInstance;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.node.LwM2mResourceInstance;
import org.eclipse.leshan.core.observation.CompositeObservation;
import org.eclipse.leshan.core.observation.Observation;
import org.eclipse.leshan.core.observation.SingleObservation;
import org.eclipse.leshan.core.request.CancelCompositeObservationRequest;
import org.eclipse.leshan.core.request.CancelObservationRequest;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.CreateRequest;
import org.eclipse.leshan.core.request.DeleteRequest;
import org.eclipse.leshan.core.request.ObserveCompositeRequest;
import org.eclipse.leshan.core.request.ObserveRequest;
import org.eclipse.leshan.core.request.WriteAttributesRequest;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/**
 * Observe, Observe-Composite and their end: OMA tests 301 to 305 and 308 to 310. The periods are
 * shorter than there; what is measured is the same. Without attributes pmin is 1 s and pmax 10 s, from
 * the server object.
 */
class ObservationTest extends DaemonAndServer {
    private static final Duration SOON = Duration.ofSeconds(4);
    private static final long QUIET_MS = 2500; /* longer than pmin, shorter than pmax */
    private static final double SLACK = 0.8; /* seconds a busy machine may be late */

    @AfterEach
    void cancelAll() throws InterruptedException {
        for (Observation o : peer.server().getObservationService().getObservations(peer.registration())) {
            if (o instanceof SingleObservation)
                peer.send(new CancelObservationRequest((SingleObservation) o));
            else
                peer.send(new CancelCompositeObservationRequest((CompositeObservation) o));
        }
        for (String path : new String[] { "/3303/0/5700", "/3/0/15", "/3/0/9" })
            attributes(path, create(MINIMUM_PERIOD), create(MAXIMUM_PERIOD));
        attributes("/3303/0/5700", create(GREATER_THAN), create(LESSER_THAN), create(STEP));
        peer.forgetNotifications();
    }

    private void attributes(String path, LwM2mAttribute<?>... attributes) throws InterruptedException {
        peer.send(ResponseCode.CHANGED, new WriteAttributesRequest(path, new LwM2mAttributeSet(attributes)));
    }

    private void periods(String path, long pmin, long pmax) throws InterruptedException {
        attributes(path, create(MINIMUM_PERIOD, pmin), create(MAXIMUM_PERIOD, pmax));
    }

    private SingleObservation observe(String path) throws InterruptedException {
        peer.forgetNotifications();
        return peer.send(ResponseCode.CONTENT, new ObserveRequest(ContentFormat.SENML_CBOR, path))
                .getObservation();
    }

    private CompositeObservation observeComposite(String... paths) throws InterruptedException {
        peer.forgetNotifications();
        return peer.send(ResponseCode.CONTENT, new ObserveCompositeRequest(ContentFormat.SENML_CBOR,
                ContentFormat.SENML_CBOR, paths)).getObservation();
    }

    /** A value other than before, set by an application. */
    private double changeTemperature() throws IOException, InterruptedException {
        double value = 20 + (System.nanoTime() / 1000 % 10000) / 1000.0;
        daemon.set("/3303/0/5700", value);
        return value;
    }

    private static Object value(LeshanPeer.Notification n) {
        return assertInstanceOf(LwM2mResource.class, n.single().getContent()).getValue();
    }

    private static Object value(LeshanPeer.Notification n, String path) {
        return assertInstanceOf(LwM2mResource.class, n.composite().getContent().get(new LwM2mPath(path)))
                .getValue();
    }

    private static void assertGap(double expected, long from, long to) {
        double gap = (to - from) / 1e9;
        assertTrue(gap > expected - 0.15 && gap < expected + SLACK,
                () -> "notified after " + gap + " s instead of " + expected + " s");
    }

    private void assertQuiet(Observation observation) throws IOException, InterruptedException {
        int before = peer.countNotifications(observation);
        changeTemperature();
        Thread.sleep(QUIET_MS);
        assertEquals(before, peer.countNotifications(observation), "notified after the end");
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-301 Observation and notification of parameter values")
    void int301() throws IOException, InterruptedException {
        periods("/3303/0/5700", 2, 4);
        SingleObservation observation = observe("/3303/0/5700");
        long start = System.nanoTime();
        double value = changeTemperature();
        LeshanPeer.Notification first = peer.notification(observation, SOON);
        assertEquals(value, value(first));
        assertGap(2, start, first.nanos());
        LeshanPeer.Notification second = peer.notification(observation, Duration.ofSeconds(6));
        assertEquals(value, value(second), "nothing changed, but pmax has passed");
        assertGap(4, first.nanos(), second.nanos());
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-302 Cancel observations using Reset operation")
    void int302() throws IOException, InterruptedException {
        SingleObservation observation = observe("/3303/0/5700");
        changeTemperature();
        peer.notification(observation, SOON);
        int resets = peer.countResets();
        peer.server().getObservationService().cancelObservation(observation); /* forgets, sends nothing */
        changeTemperature();
        for (int i = 0; i < 300 && peer.countResets() == resets; i++)
            Thread.sleep(10);
        assertTrue(peer.countResets() > resets, "no notification came that could be reset");
        assertQuiet(observation);
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-303 Cancel observations using Observe with Cancel parameter")
    void int303() throws IOException, InterruptedException {
        SingleObservation observation = observe("/3303/0/5700");
        changeTemperature();
        peer.notification(observation, SOON);
        peer.send(ResponseCode.CONTENT, new CancelObservationRequest(observation));
        assertQuiet(observation);
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-304 Observe-Composite operation")
    void int304() throws IOException, InterruptedException {
        periods("/3303/0/5700", 2, 4);
        periods("/3/0/15", 2, 4);
        CompositeObservation observation = observeComposite("/3303/0/5700", "/3/0/15");
        long start = System.nanoTime();
        double value = changeTemperature();
        write(ContentFormat.TEXT, 3, 0, 15, "Europe/Oslo");
        LeshanPeer.Notification first = peer.notification(observation, SOON);
        assertEquals(value, value(first, "/3303/0/5700"));
        assertEquals("Europe/Oslo", value(first, "/3/0/15"));
        assertGap(2, start, first.nanos());
        LeshanPeer.Notification second = peer.notification(observation, Duration.ofSeconds(6));
        assertEquals(value, value(second, "/3303/0/5700"));
        assertGap(4, first.nanos(), second.nanos());
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-305 Cancel Observation-Composite operation")
    void int305() throws IOException, InterruptedException {
        CompositeObservation observation = observeComposite("/3303/0/5700", "/3/0/15");
        changeTemperature();
        peer.notification(observation, SOON);
        peer.send(ResponseCode.CONTENT, new CancelCompositeObservationRequest(observation));
        assertQuiet(observation);
    }

    private static LwM2mObject portfolios(LeshanPeer.Notification n) {
        Map<LwM2mPath, LwM2mNode> content = n.composite().getContent();
        return assertInstanceOf(LwM2mObject.class, content.get(new LwM2mPath(16)), "/16");
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-308 Observe-Composite and Creating Object Instance; int-309 and Deleting it")
    void int308and309() throws InterruptedException {
        CompositeObservation observation = observeComposite("/16", "/3/0/9");
        peer.send(ResponseCode.CREATED, new CreateRequest(ContentFormat.SENML_CBOR, 16,
                new LwM2mObjectInstance(3, LwM2mMultipleResource.newStringResource(0, Map.of(0, "new")))));
        LwM2mObject created = portfolios(peer.notification(observation, SOON));
        assertEquals("new", created.getInstance(3).getResource(0).getValue(0));
        assertTrue(created.getInstances().containsKey(0));

        peer.send(ResponseCode.DELETED, new DeleteRequest("/16/3"));
        LwM2mObject deleted = portfolios(peer.notification(observation, SOON));
        assertFalse(deleted.getInstances().containsKey(3));
        assertTrue(deleted.getInstances().containsKey(0));
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-310 Observe-Composite and modification of parameter values")
    void int310() throws InterruptedException {
        periods("/3/0/9", 1, 60);
        periods("/3/0/15", 1, 60);
        CompositeObservation observation = observeComposite("/3/0/9", "/3/0/15");
        long start = System.nanoTime();
        attributes("/3/0/9", create(MAXIMUM_PERIOD, 3L));
        assertGap(3, start, peer.notification(observation, Duration.ofSeconds(5)).nanos());
    }

    @Test
    @DisplayName("Observe at every level: object, instance, resource, resource instance")
    void everyLevel() throws IOException, InterruptedException {
        SingleObservation object = observe("/3303");
        double value = changeTemperature();
        LwM2mObject asObject = assertInstanceOf(LwM2mObject.class,
                peer.notification(object, SOON).single().getContent());
        assertEquals(value, asObject.getInstance(0).getResource(5700).getValue());

        SingleObservation instance = observe("/3303/0");
        value = changeTemperature();
        LwM2mObjectInstance asInstance = assertInstanceOf(LwM2mObjectInstance.class,
                peer.notification(instance, SOON).single().getContent());
        assertEquals(value, asInstance.getResource(5700).getValue());

        SingleObservation resource = observe("/3303/0/5700");
        value = changeTemperature();
        assertEquals(value, value(peer.notification(resource, SOON)));

        SingleObservation resourceInstance = observe("/3/0/7/1");
        daemon.set("/3/0/7/1", 4900);
        LwM2mResourceInstance asResourceInstance = assertInstanceOf(LwM2mResourceInstance.class,
                peer.notification(resourceInstance, SOON).single().getContent());
        assertEquals(4900L, asResourceInstance.getValue());
        daemon.set("/3/0/7/1", 5000);
    }

    /** Sets each value; those of the second list, and no others, are told. */
    private void assertTold(SingleObservation observation, double[] set, double[] told)
            throws IOException, InterruptedException {
        int next = 0, before = peer.countNotifications(observation);
        for (double value : set) {
            daemon.set("/3303/0/5700", value);
            if (next < told.length && told[next] == value) {
                assertEquals(value, value(peer.notification(observation, SOON)));
                next++;
            }
        }
        assertEquals(told.length, next);
        assertEquals(before + next, peer.countNotifications(observation));
    }

    @Test
    @DisplayName("Greater than, less than and step: what does not cross or step is not told")
    void conditions() throws IOException, InterruptedException {
        daemon.set("/3303/0/5700", 20.0);
        periods("/3303/0/5700", 0, 0);
        attributes("/3303/0/5700", create(GREATER_THAN, 30d), create(LESSER_THAN, 10d));
        SingleObservation observation = observe("/3303/0/5700");
        assertTold(observation, new double[] { 25, 31, 35, 30, 11, 9, 5, 10 }, new double[] { 31, 30, 9, 10 });
        attributes("/3303/0/5700", create(GREATER_THAN), create(LESSER_THAN), create(STEP, 2d));
        assertTold(observation, new double[] { 11, 11.5, 12, 13, 13.9, 14 }, new double[] { 12, 14 });
    }

    @Test
    @DisplayName("What a server writes is told to who observes it")
    void serverWrite() throws InterruptedException {
        SingleObservation observation = observe("/3/0/15");
        write(ContentFormat.TEXT, 3, 0, 15, "Europe/Rome");
        assertEquals("Europe/Rome", value(peer.notification(observation, SOON)));
    }
}
