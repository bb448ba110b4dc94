/* SPDX-License-Identifier: Apache-2.0 */
package lwm2md.leshan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.fail;

import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import java.util.function.Predicate;

import org.eclipse.californium.core.coap.CoAP;
import org.eclipse.californium.core.coap.EmptyMessage;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.coap.Response;
import org.eclipse.californium.core.coap.Token;
import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.core.network.CoapEndpoint;
import org.eclipse.californium.core.network.Endpoint;
import org.eclipse.californium.core.network.interceptors.MessageInterceptor;
import org.eclipse.californium.core.network.serialization.UdpDataSerializer;
import org.eclipse.californium.elements.AddressEndpointContext;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.endpoint.Protocol;
import org.eclipse.leshan.core.model.InvalidDDFFileException;
import org.eclipse.leshan.core.model.InvalidModelException;
import org.eclipse.leshan.core.model.ObjectLoader;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.node.TimestampedLwM2mNodes;
import org.eclipse.leshan.core.observation.CompositeObservation;
import org.eclipse.leshan.core.observation.Observation;
import org.eclipse.leshan.core.observation.SingleObservation;
import org.eclipse.leshan.core.request.DownlinkDeviceManagementRequest;
import org.eclipse.leshan.core.request.SendRequest;
import org.eclipse.leshan.core.response.LwM2mResponse;
import org.eclipse.leshan.core.response.ObserveCompositeResponse;
import org.eclipse.leshan.core.response.ObserveResponse;
import org.eclipse.leshan.server.LeshanServer;
import org.eclipse.leshan.server.LeshanServerBuilder;
import org.eclipse.leshan.server.model.VersionedModelProvider;
import org.eclipse.leshan.server.observation.ObservationListener;
import org.eclipse.leshan.server.queue.ClientAwakeTimeProvider;
import org.eclipse.leshan.server.queue.PresenceListener;
import org.eclipse.leshan.server.queue.StaticClientAwakeTimeProvider;
import org.eclipse.leshan.server.registration.Registration;
import org.eclipse.leshan.server.registration.RegistrationListener;
import org.eclipse.leshan.server.registration.RegistrationUpdate;
import org.eclipse.leshan.server.send.SendListener;
import org.eclipse.leshan.transport.californium.server.endpoint.CaliforniumServerEndpointsProvider;
import org.eclipse.leshan.transport.californium.server.endpoint.coap.CoapServerProtocolProvider;
import org.eclipse.leshan.transport.californium.server.endpoint.coaps.CoapsServerProtocolProvider;

/** A Leshan server on a loopback port of its own, which remembers what the client did. */
final class LeshanPeer implements AutoCloseable {
    static final long ANSWER_MS = 10_000;
    static final Duration SOON = Duration.ofSeconds(10);
    private static final Random RANDOM = new Random();
    private static final int BODY_BYTES = 4 << 20;

    /** AWAKE and SLEEPING: what the server thinks of a client in queue mode. */
    enum Kind { REGISTERED, UPDATED, DEREGISTERED, AWAKE, SLEEPING }

    /** One step of the registration interface; update is set for UPDATED only. */
    record Event(Kind kind, Registration registration, RegistrationUpdate update) {
    }

    /** One notification, with the time it came at (System.nanoTime). */
    record Notification(long nanos, Observation observation, ObserveResponse single,
            ObserveCompositeResponse composite) {
    }

    /** What a client sent without being asked. */
    record Sent(TimestampedLwM2mNodes data, SendRequest request) {
    }

    private final LinkedBlockingQueue<Sent> sends = new LinkedBlockingQueue<>();
    private final LinkedBlockingQueue<Event> events = new LinkedBlockingQueue<>();
    private final LinkedBlockingQueue<Notification> notifications = new LinkedBlockingQueue<>();
    private final List<String> problems = new CopyOnWriteArrayList<>();
    private final List<Response> received = new CopyOnWriteArrayList<>();
    private final Map<Token, CompletableFuture<Response>> answers = new ConcurrentHashMap<>();
    private final List<EmptyMessage> resets = new CopyOnWriteArrayList<>();
    private final Protocol protocol;
    private final LeshanServer server;
    private final Endpoint endpoint;
    private volatile Registration registration;

    LeshanPeer() throws IOException {
        this(new StaticClientAwakeTimeProvider());
    }

    /** With another time that the server thinks a client in queue mode awake. */
    LeshanPeer(ClientAwakeTimeProvider awake) throws IOException {
        this(Protocol.COAP, builder -> builder.setClientAwakeTimeProvider(awake));
    }

    /** With DTLS: the settings are those of the server's side. */
    static LeshanPeer secure(Consumer<LeshanServerBuilder> settings) throws IOException {
        return new LeshanPeer(Protocol.COAPS, settings);
    }

    private LeshanPeer(Protocol protocol, Consumer<LeshanServerBuilder> settings) throws IOException {
        this.protocol = protocol;
        CaliforniumServerEndpointsProvider provider = new CaliforniumServerEndpointsProvider.Builder(
                new CoapServerProtocolProvider(), new CoapsServerProtocolProvider())
                .setConfiguration(c -> c.set(CoapConfig.MAX_RESOURCE_BODY_SIZE, BODY_BYTES)
                        .set(DtlsConfig.DTLS_CONNECTION_ID_LENGTH, 6))
                .addEndpoint(new InetSocketAddress("127.0.0.1", 0), protocol).build();
        LeshanServerBuilder builder = new LeshanServerBuilder();
        builder.setEndpointsProviders(provider);
        builder.setObjectModelProvider(new VersionedModelProvider(models()));
        settings.accept(builder);
        server = builder.build();
        server.getRegistrationService().addListener(new Registrations());
        server.getObservationService().addListener(new Observations());
        server.getPresenceService().addListener(new Presences());
        server.getSendService().addListener(new Sends());
        server.start();
        endpoint = provider.getCoapServer().getEndpoints().get(0);
        endpoint.addInterceptor(new Messages());
    }

    /**
     * The daemon's own definitions: what it says and what the server understands is then one. Those of
     * LwM2M 1.2 are left out, which Leshan M18 does not know; any other it cannot load is an error.
     */
    static List<ObjectModel> models() throws IOException {
        List<ObjectModel> models = new ArrayList<>();
        for (Path folder : List.of(DaemonProcess.objects(), DaemonProcess.testObjects())) {
            try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, "*.xml")) {
                for (Path file : files)
                    models.addAll(model(file));
            }
        }
        return models;
    }

    private static List<ObjectModel> model(Path file) throws IOException {
        if (Files.readString(file).contains("<LWM2MVersion>1.2<"))
            return List.of();
        try (InputStream in = Files.newInputStream(file)) {
            return ObjectLoader.loadDdfFile(in, file.toString(), true);
        } catch (InvalidModelException | InvalidDDFFileException e) {
            throw new AssertionError("Leshan does not take " + file, e);
        }
    }

    URI uri() {
        return uri("127.0.0.1");
    }

    URI uri(String host) {
        return URI.create(protocol.getUriScheme() + "://" + host + ":" + endpoint.getAddress().getPort());
    }

    LeshanServer server() {
        return server;
    }

    Registration registration() {
        assertNotNull(registration, "nobody is registered");
        return registration;
    }

    /** Sends a request to the registered client; some answer must come. */
    <T extends LwM2mResponse> T send(DownlinkDeviceManagementRequest<T> request) throws InterruptedException {
        T response = server.send(registration(), request, ANSWER_MS);
        assertNotNull(response, () -> "no answer to " + request);
        return response;
    }

    /** Sends a request that must be answered with the given code. */
    <T extends LwM2mResponse> T send(ResponseCode code, DownlinkDeviceManagementRequest<T> request)
            throws InterruptedException {
        T response = send(request);
        assertEquals(code, response.getCode(), () -> request + ": " + response.getErrorMessage());
        return response;
    }

    /** Sends a CoAP message that Leshan itself would not make, from the server's own port. */
    Response sendRaw(Request request) throws InterruptedException {
        request.setDestinationContext(new AddressEndpointContext(registration().getSocketAddress()));
        endpoint.sendRequest(request);
        Response response = request.waitForResponse(ANSWER_MS);
        assertNotNull(response, () -> "no answer to " + request);
        return response;
    }

    /**
     * Sends one block past Californium, which would make a transfer of its own of it; the answer is taken
     * from the wire.
     */
    Response sendBlock(Request request) throws InterruptedException {
        byte[] token = new byte[8];
        RANDOM.nextBytes(token);
        request.setToken(token);
        request.setType(CoAP.Type.CON);
        request.setMID(RANDOM.nextInt(1 << 16));
        request.setDestinationContext(new AddressEndpointContext(registration().getSocketAddress()));
        CompletableFuture<Response> answer = new CompletableFuture<>();
        answers.put(request.getToken(), answer);
        ((CoapEndpoint) endpoint).getConnector().send(new UdpDataSerializer().serializeRequest(request));
        try {
            return answer.get(ANSWER_MS, TimeUnit.MILLISECONDS);
        } catch (ExecutionException | TimeoutException e) {
            return fail("no answer to " + request);
        } finally {
            answers.remove(request.getToken());
        }
    }

    Event await(Kind kind) throws InterruptedException {
        return await(kind, SOON, e -> true);
    }

    /** Waits for an event; events before it are passed over. */
    Event await(Kind kind, Duration limit, Predicate<Event> wanted) throws InterruptedException {
        long end = System.nanoTime() + limit.toNanos();
        List<Event> passed = new ArrayList<>();
        for (;;) {
            Event event = events.poll(end - System.nanoTime(), TimeUnit.NANOSECONDS);
            if (event == null)
                return fail("no " + kind + " within " + limit.toMillis() + " ms; came: " + passed);
            if (event.kind() == kind && wanted.test(event))
                return event;
            passed.add(event);
        }
    }

    void forgetEvents() {
        events.clear();
    }

    /** Drops the registration as a server does that lost its memory. */
    void forgetClient() {
        server.getRegistrationStore().removeRegistration(registration().getId());
    }

    /** Waits for a notification of an observation; those of others are passed over. */
    Notification notification(Observation observation, Duration limit) throws InterruptedException {
        long end = System.nanoTime() + limit.toNanos();
        for (;;) {
            Notification n = notifications.poll(end - System.nanoTime(), TimeUnit.NANOSECONDS);
            if (n == null)
                return fail("no notification within " + limit.toMillis() + " ms; problems: " + problems);
            if (n.observation().getId().equals(observation.getId()))
                return n;
        }
    }

    /** The next Send. */
    Sent sent() throws InterruptedException {
        Sent sent = sends.poll(SOON.toMillis(), TimeUnit.MILLISECONDS);
        return sent != null ? sent : fail("no Send within " + SOON.toMillis() + " ms; problems: " + problems);
    }

    /** Every Send that was acknowledged has been taken by sent(). */
    void noMoreSends() {
        assertEquals(0, sends.size());
    }

    void forgetSends() {
        sends.clear();
        problems.clear();
    }

    void forgetNotifications() {
        notifications.clear();
        problems.clear();
    }

    /** How many notifications came with the token of an observation, taken by the server or not. */
    int countNotifications(Observation observation) {
        byte[] token = observation.getId().getBytes();
        return (int) received.stream().filter(r -> r.getOptions().hasObserve())
                .filter(r -> Arrays.equals(r.getToken().getBytes(), token)).count();
    }

    int countResets() {
        return resets.size();
    }

    @Override
    public void close() {
        server.destroy();
    }

    private final class Registrations implements RegistrationListener {
        @Override
        public void registered(Registration now, Registration before, Collection<Observation> lost) {
            registration = now;
            events.add(new Event(Kind.REGISTERED, now, null));
        }

        @Override
        public void updated(RegistrationUpdate update, Registration now, Registration before) {
            registration = now;
            events.add(new Event(Kind.UPDATED, now, update));
        }

        @Override
        public void unregistered(Registration last, Collection<Observation> lost, boolean expired,
                Registration next) {
            if (!expired && next == null)
                events.add(new Event(Kind.DEREGISTERED, last, null));
        }
    }

    private final class Presences implements PresenceListener {
        @Override
        public void onAwake(Registration who) {
            events.add(new Event(Kind.AWAKE, who, null));
        }

        @Override
        public void onSleeping(Registration who) {
            events.add(new Event(Kind.SLEEPING, who, null));
        }
    }

    private final class Sends implements SendListener {
        @Override
        public void dataReceived(Registration by, TimestampedLwM2mNodes data, SendRequest request) {
            sends.add(new Sent(data, request));
        }

        @Override
        public void onError(Registration by, String message, Exception error) {
            problems.add("Send: " + message + ": " + error);
        }
    }

    private final class Observations implements ObservationListener {
        @Override
        public void newObservation(Observation observation, Registration by) {
        }

        @Override
        public void cancelled(Observation observation) {
        }

        @Override
        public void onResponse(SingleObservation observation, Registration by, ObserveResponse response) {
            notifications.add(new Notification(System.nanoTime(), observation, response, null));
        }

        @Override
        public void onResponse(CompositeObservation observation, Registration by,
                ObserveCompositeResponse response) {
            notifications.add(new Notification(System.nanoTime(), observation, null, response));
        }

        @Override
        public void onError(Observation observation, Registration by, Exception error) {
            problems.add(observation + ": " + error);
        }
    }

    /** Sees each message on the wire, also those that Leshan passes over. */
    private final class Messages implements MessageInterceptor {
        @Override
        public void receiveResponse(Response response) {
            CompletableFuture<Response> answer = answers.get(response.getToken());
            if (answer != null)
                answer.complete(response);
            if (response.getOptions().hasObserve())
                received.add(response);
        }

        @Override
        public void sendEmptyMessage(EmptyMessage message) {
            if (message.getType() == CoAP.Type.RST)
                resets.add(message);
        }
    }
}
