/* SPDX-License-Identifier: Apache-2.0 */
package lwm2md.leshan.bootstrap;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.Stream;

import org.eclipse.leshan.core.endpoint.Protocol;
import org.eclipse.leshan.core.link.lwm2m.LwM2mLink;
import org.eclipse.leshan.core.node.LwM2mObjectInstance;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.node.LwM2mSingleResource;
import org.eclipse.leshan.core.node.ObjectLink;
import org.eclipse.leshan.core.peer.LwM2mPeer;
import org.eclipse.leshan.core.peer.OscoreIdentity;
import org.eclipse.leshan.core.request.BootstrapDeleteRequest;
import org.eclipse.leshan.core.request.BootstrapDiscoverRequest;
import org.eclipse.leshan.core.request.BootstrapDownlinkRequest;
import org.eclipse.leshan.core.request.BootstrapReadRequest;
import org.eclipse.leshan.core.request.BootstrapRequest;
import org.eclipse.leshan.core.request.BootstrapWriteRequest;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.response.BootstrapDiscoverResponse;
import org.eclipse.leshan.core.response.BootstrapReadResponse;
import org.eclipse.leshan.core.response.LwM2mResponse;
import org.eclipse.leshan.server.bootstrap.BootstrapFailureCause;
import org.eclipse.leshan.server.bootstrap.BootstrapSession;
import org.eclipse.leshan.server.bootstrap.BootstrapSessionListener;
import org.eclipse.leshan.server.bootstrap.BootstrapTaskProvider;
import org.eclipse.leshan.server.bootstrap.LeshanBootstrapServer;
import org.eclipse.leshan.server.bootstrap.LeshanBootstrapServerBuilder;
import org.eclipse.leshan.server.californium.bootstrap.endpoint.CaliforniumBootstrapServerEndpointsProvider;
import org.eclipse.leshan.server.californium.bootstrap.endpoint.coap.CoapBootstrapServerProtocolProvider;
import org.eclipse.leshan.server.californium.bootstrap.endpoint.coap.CoapOscoreBootstrapServerEndpointFactory;
import org.eclipse.leshan.server.californium.bootstrap.endpoint.coaps.CoapsBootstrapServerProtocolProvider;
import org.eclipse.leshan.server.security.BootstrapSecurityStore;
import org.eclipse.leshan.server.security.SecurityInfo;

/**
 * Leshan's bootstrap server, led by lines on its standard input and telling what happens in lines on its
 * standard output. Lines in: {@code clear}, {@code delete PATH}, {@code discover PATH},
 * {@code read FORMAT PATH}, {@code write FORMAT PATH ID=TYPE:VALUE…} (an instance; types s, i, b, o for
 * hexadecimal bytes, l for OBJECT/INSTANCE), all of which add to what every later session does, and
 * {@code psk ENDPOINT IDENTITY KEY}, {@code x509 ENDPOINT} and {@code oscore ENDPOINT SENDER RECIPIENT SECRET} (ours
 * are the server's; hexadecimal). Lines out: {@code ready COAP-PORT COAPS-PORT OSCORE-PORT}, {@code initiated ENDPOINT FORMAT}, {@code success REQUEST CODE …}, {@code error REQUEST CODE MESSAGE}, {@code end ENDPOINT},
 * {@code failed ENDPOINT CAUSE}. Arguments, all or none: its private key (PKCS 8), its certificate, and that of
 * the authority that clients' certificates come from, each a file in DER.
 */
public final class BootstrapServer {
    private final List<BootstrapDownlinkRequest<? extends LwM2mResponse>> script = new CopyOnWriteArrayList<>();
    private final Map<String, SecurityInfo> byIdentity = new ConcurrentHashMap<>();
    private final Map<String, SecurityInfo> byEndpoint = new ConcurrentHashMap<>();

    private BootstrapServer() {
    }

    private static synchronized void tell(String... words) {
        System.out.println(String.join(" ", words).replace('\n', ' '));
        System.out.flush();
    }

    /* What the server sends of Write, Delete, Discover and Read; it adds Finish itself. */
    private BootstrapTaskProvider.Tasks tasks() {
        BootstrapTaskProvider.Tasks tasks = new BootstrapTaskProvider.Tasks();
        tasks.requestsToSend = new ArrayList<>(script);
        tasks.supportedObjects = Map.of(0, "1.1", 1, "1.1", 2, "1.0", 3, "1.1");
        tasks.last = true;
        return tasks;
    }

    private static LwM2mResource resource(String text) {
        String[] parts = text.split("[=:]", 3);
        int id = Integer.parseInt(parts[0]);
        return switch (parts[1]) {
        case "s" -> LwM2mSingleResource.newStringResource(id, parts[2]);
        case "i" -> LwM2mSingleResource.newIntegerResource(id, Long.parseLong(parts[2]));
        case "b" -> LwM2mSingleResource.newBooleanResource(id, Boolean.parseBoolean(parts[2]));
        case "l" -> LwM2mSingleResource.newObjectLinkResource(id,
                ObjectLink.decodeFromString(parts[2].replace('/', ':')));
        case "o" -> LwM2mSingleResource.newBinaryResource(id, HexFormat.of().parseHex(parts[2]));
        default -> throw new IllegalArgumentException(text);
        };
    }

    private static BootstrapWriteRequest write(String format, String path, List<String> resources) {
        LwM2mPath target = new LwM2mPath(path);
        List<LwM2mResource> list = resources.stream().map(BootstrapServer::resource).toList();
        return new BootstrapWriteRequest(target, new LwM2mObjectInstance(target.getObjectInstanceId(), list),
                ContentFormat.fromName(format));
    }

    private void obey(String line) {
        String[] words = line.split(" ");
        switch (words[0]) {
        case "clear" -> script.clear();
        case "delete" -> script.add(new BootstrapDeleteRequest(words[1]));
        case "discover" -> script.add(new BootstrapDiscoverRequest(words[1]));
        case "read" -> script.add(new BootstrapReadRequest(ContentFormat.fromName(words[1]), words[2]));
        case "write" -> script.add(write(words[1], words[2], Arrays.asList(words).subList(3, words.length)));
        case "psk" -> {
            SecurityInfo info = SecurityInfo.newPreSharedKeyInfo(words[1], words[2],
                    HexFormat.of().parseHex(words[3]));
            byIdentity.put(words[2], info);
            byEndpoint.put(words[1], info);
        }
        case "oscore" -> byEndpoint.put(words[1], Oscore.security(words));
        case "x509" -> byEndpoint.put(words[1], SecurityInfo.newX509CertInfo(words[1]));
        default -> throw new IllegalArgumentException(line);
        }
        tell("did", words[0]);
    }

    private BootstrapSecurityStore securityStore() {
        return new BootstrapSecurityStore() {
            @Override
            public Iterator<SecurityInfo> getAllByEndpoint(String endpoint) {
                SecurityInfo info = byEndpoint.get(endpoint);
                return info == null ? null : List.of(info).iterator();
            }

            @Override
            public SecurityInfo getByIdentity(String identity) {
                return byIdentity.get(identity);
            }

            @Override
            public SecurityInfo getByOscoreIdentity(OscoreIdentity identity) {
                return Oscore.find(byEndpoint.values(), identity);
            }
        };
    }

    /* What an answer has beside its code. */
    private static String content(LwM2mResponse response) {
        if (response instanceof BootstrapDiscoverResponse discovered) {
            StringBuilder text = new StringBuilder();
            for (LwM2mLink link : discovered.getObjectLinks())
                text.append(text.isEmpty() ? "" : ",").append(link.toCoreLinkFormat());
            return text.toString();
        }
        return response instanceof BootstrapReadResponse read ? read.getContent().toString() : "";
    }

    private static BootstrapSessionListener listener() {
        return new BootstrapSessionListener() {
            @Override
            public void sessionInitiated(BootstrapRequest request, LwM2mPeer client) {
                tell("initiated", request.getEndpointName(), String.valueOf(request.getPreferredContentFormat()));
            }

            @Override
            public void unAuthorized(BootstrapRequest request, LwM2mPeer client) {
                tell("unauthorized", request.getEndpointName());
            }

            @Override
            public void authorized(BootstrapSession session) {
                tell("authorized", session.getEndpoint());
            }

            @Override
            public void noConfig(BootstrapSession session) {
                tell("no-config", session.getEndpoint());
            }

            @Override
            public void sendRequest(BootstrapSession session,
                    BootstrapDownlinkRequest<? extends LwM2mResponse> request) {
                tell("sent", request.getClass().getSimpleName());
            }

            @Override
            public void onResponseSuccess(BootstrapSession session,
                    BootstrapDownlinkRequest<? extends LwM2mResponse> request, LwM2mResponse response) {
                tell("success", request.getClass().getSimpleName(), response.getCode().toString(), content(response));
            }

            @Override
            public void onResponseError(BootstrapSession session,
                    BootstrapDownlinkRequest<? extends LwM2mResponse> request, LwM2mResponse response) {
                tell("error", request.getClass().getSimpleName(), response.getCode().toString(),
                        String.valueOf(response.getErrorMessage()));
            }

            @Override
            public void onRequestFailure(BootstrapSession session,
                    BootstrapDownlinkRequest<? extends LwM2mResponse> request, Throwable cause) {
                tell("no-answer", request.getClass().getSimpleName(), String.valueOf(cause));
            }

            @Override
            public void end(BootstrapSession session) {
                tell("end", session.getEndpoint());
            }

            @Override
            public void failed(BootstrapSession session, BootstrapFailureCause cause) {
                tell("failed", session.getEndpoint(), cause.toString());
            }
        };
    }

    private static X509Certificate certificate(String file) throws IOException, GeneralSecurityException {
        try (InputStream in = Files.newInputStream(Path.of(file))) {
            return (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(in);
        }
    }

    private LeshanBootstrapServer build(String[] arguments) throws IOException, GeneralSecurityException {
        CaliforniumBootstrapServerEndpointsProvider endpoints = new CaliforniumBootstrapServerEndpointsProvider.Builder(
                new CoapBootstrapServerProtocolProvider(), new CoapsBootstrapServerProtocolProvider())
                .addEndpoint(new InetSocketAddress("127.0.0.1", 0), Protocol.COAP)
                .addEndpoint(new InetSocketAddress("127.0.0.1", 0), Protocol.COAPS)
                .addEndpoint(new CoapOscoreBootstrapServerEndpointFactory(Oscore.freeUri())).build();
        LeshanBootstrapServerBuilder builder = new LeshanBootstrapServerBuilder().setEndpointsProviders(endpoints)
                .setSecurityStore(securityStore()).setTaskProvider((session, previous) -> tasks());
        if (arguments.length == 3)
            builder.setPrivateKey(KeyFactory.getInstance("EC")
                    .generatePrivate(new PKCS8EncodedKeySpec(Files.readAllBytes(Path.of(arguments[0])))))
                    .setCertificateChain(new X509Certificate[] { certificate(arguments[1]) })
                    .setTrustedCertificates(new Certificate[] { certificate(arguments[2]) });
        LeshanBootstrapServer server = builder.build();
        server.addListener(listener());
        return server;
    }

    /* In the order they were added in: plain CoAP, DTLS, OSCORE. */
    private static String[] ports(LeshanBootstrapServer server) {
        return Stream.concat(Stream.of("ready"), server.getEndpoints().stream()
                .map(endpoint -> Integer.toString(endpoint.getURI().getPort()))).toArray(String[]::new);
    }

    public static void main(String[] arguments) throws IOException, GeneralSecurityException {
        BootstrapServer self = new BootstrapServer();
        LeshanBootstrapServer server = self.build(arguments);
        server.start();
        tell(ports(server));
        try (BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
            for (String line = in.readLine(); line != null; line = in.readLine())
                self.obey(line);
        } finally {
            server.destroy();
        }
    }
}
