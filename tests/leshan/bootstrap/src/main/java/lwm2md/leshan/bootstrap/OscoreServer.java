/* SPDX-License-Identifier: Apache-2.0 */
package lwm2md.leshan.bootstrap;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Collection;

import org.eclipse.leshan.core.node.LwM2mNode;
import org.eclipse.leshan.core.node.LwM2mSingleResource;
import org.eclipse.leshan.core.observation.CompositeObservation;
import org.eclipse.leshan.core.observation.Observation;
import org.eclipse.leshan.core.observation.SingleObservation;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.DownlinkRequest;
import org.eclipse.leshan.core.request.ExecuteRequest;
import org.eclipse.leshan.core.request.ObserveRequest;
import org.eclipse.leshan.core.request.ReadRequest;
import org.eclipse.leshan.core.request.WriteRequest;
import org.eclipse.leshan.core.response.LwM2mResponse;
import org.eclipse.leshan.core.response.ObserveCompositeResponse;
import org.eclipse.leshan.core.response.ObserveResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.server.LeshanServer;
import org.eclipse.leshan.server.LeshanServerBuilder;
import org.eclipse.leshan.server.californium.endpoint.CaliforniumServerEndpointsProvider;
import org.eclipse.leshan.server.californium.endpoint.coap.CoapOscoreServerEndpointFactory;
import org.eclipse.leshan.server.californium.endpoint.coap.CoapServerProtocolProvider;
import org.eclipse.leshan.server.observation.ObservationListener;
import org.eclipse.leshan.server.registration.Registration;
import org.eclipse.leshan.server.registration.RegistrationListener;
import org.eclipse.leshan.server.registration.RegistrationUpdate;
import org.eclipse.leshan.server.security.InMemorySecurityStore;
import org.eclipse.leshan.server.security.NonUniqueSecurityInfoException;

/**
 * Leshan's server of the release that has OSCORE, led as the bootstrap server is. Lines in: {@code oscore ENDPOINT
 * SENDER RECIPIENT SECRET} (hexadecimal), {@code read PATH}, {@code write PATH NUMBER}, {@code execute PATH},
 * {@code observe PATH}; requests go to the client registered last. Lines out: {@code ready PORT}, {@code registered
 * ENDPOINT}, {@code updated ENDPOINT}, {@code deregistered ENDPOINT}, {@code answer CODE VALUE}, {@code notified
 * VALUES}. With OSCORE this release remembers a Read that observes as the FETCH it has become, and takes its
 * notifications for those of several paths, which it can read where the format names them.
 */
public final class OscoreServer {
    private static final long ANSWER_MS = 10_000;

    private final InMemorySecurityStore clients = new InMemorySecurityStore();
    private LeshanServer server;
    private volatile Registration registration;

    private OscoreServer() {
    }

    private static synchronized void tell(String... words) {
        System.out.println(String.join(" ", words).replace('\n', ' '));
        System.out.flush();
    }

    private static String value(LwM2mNode node) {
        return node instanceof LwM2mSingleResource resource ? resource.getValue().toString() : String.valueOf(node);
    }

    private void ask(DownlinkRequest<? extends LwM2mResponse> request) {
        try {
            LwM2mResponse response = server.send(registration, request, ANSWER_MS);
            if (response == null)
                tell("answer", "none");
            else
                tell("answer", Integer.toString(response.getCode().getCode()),
                        response instanceof ReadResponse read ? value(read.getContent()) : "");
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (RuntimeException e) {
            tell("answer", e.toString());
        }
    }

    private void obey(String line) throws NonUniqueSecurityInfoException {
        String[] words = line.split(" ");
        switch (words[0]) {
        case "oscore" -> {
            clients.add(Oscore.security(words));
            tell("did", words[0]);
        }
        case "read" -> ask(new ReadRequest(words[1]));
        case "execute" -> ask(new ExecuteRequest(words[1]));
        case "observe" -> ask(new ObserveRequest(ContentFormat.SENML_JSON, words[1]));
        case "write" -> {
            String[] ids = words[1].split("/");
            ask(new WriteRequest(Integer.parseInt(ids[1]), Integer.parseInt(ids[2]), Integer.parseInt(ids[3]),
                    Long.parseLong(words[2])));
        }
        default -> throw new IllegalArgumentException(line);
        }
    }

    private final class Registrations implements RegistrationListener {
        @Override
        public void registered(Registration now, Registration before, Collection<Observation> observations) {
            registration = now;
            tell("registered", now.getEndpoint());
        }

        @Override
        public void updated(RegistrationUpdate update, Registration now, Registration before) {
            registration = now;
            tell("updated", now.getEndpoint());
        }

        @Override
        public void unregistered(Registration before, Collection<Observation> observations, boolean expired,
                Registration now) {
            tell("deregistered", before.getEndpoint());
        }
    }

    private static final class Observations implements ObservationListener {
        @Override
        public void newObservation(Observation observation, Registration from) {
            /* the answer has told */
        }

        @Override
        public void cancelled(Observation observation) {
            tell("cancelled");
        }

        @Override
        public void onResponse(SingleObservation observation, Registration from, ObserveResponse response) {
            tell("notified", observation.getPath().toString(), value(response.getContent()));
        }

        @Override
        public void onResponse(CompositeObservation observation, Registration from,
                ObserveCompositeResponse response) {
            tell("notified", String.valueOf(response.getContent()));
        }

        @Override
        public void onError(Observation observation, Registration from, Exception error) {
            tell("broken", error.toString());
        }
    }

    private void start() throws IOException {
        server = new LeshanServerBuilder()
                .setEndpointsProviders(
                        new CaliforniumServerEndpointsProvider.Builder(new CoapServerProtocolProvider())
                                .addEndpoint(new CoapOscoreServerEndpointFactory(Oscore.freeUri())).build())
                .setSecurityStore(clients).build();
        server.getRegistrationService().addListener(new Registrations());
        server.getObservationService().addListener(new Observations());
        server.start();
        tell("ready", Integer.toString(server.getEndpoints().get(0).getURI().getPort()));
    }

    public static void main(String[] arguments) throws IOException, NonUniqueSecurityInfoException {
        OscoreServer self = new OscoreServer();
        self.start();
        try (BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
            for (String line = in.readLine(); line != null; line = in.readLine())
                self.obey(line);
        } finally {
            self.server.destroy();
        }
    }
}
