/* SPDX-License-Identifier: Apache-2.0 */
package lwm2md.leshan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.X509Certificate;
import java.util.Base64;
import java.util.HexFormat;
import java.util.function.Consumer;

import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.request.ExecuteRequest;
import org.eclipse.leshan.core.request.ReadRequest;
import org.eclipse.leshan.server.LeshanServerBuilder;
import org.eclipse.leshan.server.registration.Registration;
import org.eclipse.leshan.servers.security.InMemorySecurityStore;
import org.eclipse.leshan.servers.security.NonUniqueSecurityInfoException;
import org.eclipse.leshan.servers.security.SecurityInfo;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Bootstrap by Leshan's bootstrap server, then registration with what it wrote (TS Core, section 6.1). */
class BootstrapTest {
    private static final int SHORT_ID = 7;
    private static final long LIFETIME = 300;
    private static final byte[] KEY = HexFormat.of().parseHex("00112233445566778899aabbccddeeff");

    private static BootstrapPeer bootstrap;
    private static Pki pki;
    private String name;
    private LeshanPeer peer;
    private DaemonProcess daemon;

    @BeforeAll
    static void startBootstrapServer(@TempDir Path folder) throws Exception {
        pki = new Pki(folder);
        pki.authority("ca");
        pki.issue("server", "ca", "localhost", "DNS:localhost,IP:127.0.0.1", 1);
        pki.issue("client", "ca", "BootstrapTest-int2", "", 1);
        Files.write(folder.resolve("key.der"), pki.privateKey("server").getEncoded());
        Files.write(folder.resolve("server.der"), pki.certificate("server").getEncoded());
        Files.write(folder.resolve("ca.der"), pki.certificate("ca").getEncoded());
        bootstrap = new BootstrapPeer("BootstrapTest", folder.resolve("key.der").toString(),
                folder.resolve("server.der").toString(), folder.resolve("ca.der").toString());
    }

    @AfterAll
    static void stopBootstrapServer() throws InterruptedException {
        bootstrap.close();
    }

    @BeforeEach
    void startServer(TestInfo info) throws IOException, InterruptedException {
        name = "BootstrapTest-" + info.getTestMethod().orElseThrow().getName();
        bootstrap.forget();
        peer = new LeshanPeer();
    }

    @AfterEach
    void stopBoth() throws InterruptedException {
        try {
            if (daemon != null)
                daemon.close();
        } finally {
            peer.close();
        }
    }

    /** Another server, over DTLS. */
    private void secure(Consumer<LeshanServerBuilder> settings) throws IOException {
        peer.close();
        peer = LeshanPeer.secure(settings);
    }

    private DaemonProcess unmanaged() throws IOException {
        daemon = new DaemonProcess(name, null).bootstrapServer(bootstrap.uri());
        return daemon;
    }

    /** Registered with the server by its configuration, and has the bootstrap server's account. */
    private DaemonProcess managed() throws IOException, InterruptedException {
        daemon = new DaemonProcess(name, peer.uri()).bootstrapServer(bootstrap.uri());
        daemon.start();
        peer.await(LeshanPeer.Kind.REGISTERED);
        return daemon;
    }

    private Registration awaitRegistration(long lifetime) throws InterruptedException {
        Registration registration = peer.await(LeshanPeer.Kind.REGISTERED).registration();
        assertEquals(name, registration.getEndpoint());
        assertEquals(lifetime, registration.getLifeTimeInSec());
        return registration;
    }

    private Object read(String path) throws InterruptedException {
        return ((LwM2mResource) peer.send(ResponseCode.CONTENT, new ReadRequest(path)).getContent()).getValue();
    }

    private static String hex(byte[] bytes) {
        return HexFormat.of().formatHex(bytes);
    }

    /** The bootstrap server's account over DTLS, as the factory would have it. */
    private static String secureBootstrap(String host, int mode, byte[] identity, byte[] peerKey, byte[] secret) {
        Base64.Encoder base64 = Base64.getUrlEncoder().withoutPadding();
        return """
                [{"bn":"/0/0/","n":"0","vs":"coaps://%s:%d"},{"n":"1","vb":true},{"n":"2","v":%d},
                 {"n":"3","vd":"%s"},{"n":"4","vd":"%s"},{"n":"5","vd":"%s"}]
                """.formatted(host, bootstrap.secureUri().getPort(), mode, base64.encodeToString(identity),
                base64.encodeToString(peerKey), base64.encodeToString(secret));
    }

    /** What the bootstrap server is to write as /0/1. */
    private static void secureAccount(URI server, int mode, byte[] identity, byte[] peerKey, byte[] secret)
            throws InterruptedException {
        bootstrap.order("write TLV /0/1 0=s:" + server + " 1=b:false 2=i:" + mode + " 3=o:" + hex(identity) + " 4=o:"
                + hex(peerKey) + " 5=o:" + hex(secret) + " 10=i:" + SHORT_ID);
        bootstrap.serverObject("TLV", SHORT_ID, LIFETIME);
    }

    private static InMemorySecurityStore knows(SecurityInfo client) {
        InMemorySecurityStore store = new InMemorySecurityStore();
        try {
            store.add(client);
        } catch (NonUniqueSecurityInfoException e) {
            throw new AssertionError(e);
        }
        return store;
    }

    @ParameterizedTest
    @MethodSource("lwm2md.leshan.BootstrapPeer#formats")
    @DisplayName("LightweightM2M-1.1-int-0 client initiated bootstrap")
    void int0(String format) throws Exception {
        bootstrap.order("delete /").account(format, peer.uri(), SHORT_ID, LIFETIME);
        unmanaged().start();
        bootstrap.await("initiated " + name + " SENML_CBOR");
        bootstrap.await("success BootstrapFinishRequest CHANGED");
        bootstrap.await("end " + name);
        awaitRegistration(LIFETIME);
        assertEquals((long) SHORT_ID, read("/1/0/0"));
        assertTrue(daemon.ctl("status").contains("online"));
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-1 client initiated bootstrap full (PSK)")
    void int1() throws Exception {
        byte[] identity = "device-1".getBytes(StandardCharsets.UTF_8);
        byte[] boot = "boot-1".getBytes(StandardCharsets.UTF_8);
        secure(builder -> builder
                .setSecurityStore(knows(SecurityInfo.newPreSharedKeyInfo(name, "device-1", KEY))));
        bootstrap.order("psk " + name + " boot-1 " + hex(KEY));
        secureAccount(peer.uri(), 0, identity, new byte[0], KEY);
        daemon = new DaemonProcess(name, null)
                .bootstrapFile(secureBootstrap("127.0.0.1", 0, boot, new byte[0], KEY)).start();
        bootstrap.awaitSession(name);
        awaitRegistration(LIFETIME);
        assertTrue(daemon.ctl("status").contains("TLS_PSK_WITH_AES_128_CCM_8"));
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-2 client initiated bootstrap full (certificates)")
    void int2() throws Exception {
        PrivateKey serverKey = pki.privateKey("server");
        X509Certificate[] chain = { pki.certificate("server") };
        Certificate[] trusted = { pki.certificate("ca") };
        byte[] certificate = pki.certificate("client").getEncoded();
        byte[] key = pki.privateKey("client").getEncoded();
        byte[] serverCertificate = pki.certificate("server").getEncoded();
        secure(builder -> builder.setSecurityStore(knows(SecurityInfo.newX509CertInfo(name)))
                .setPrivateKey(serverKey).setCertificateChain(chain).setTrustedCertificates(trusted));
        bootstrap.order("x509 " + name);
        secureAccount(peer.uri("localhost"), 2, certificate, serverCertificate, key);
        daemon = new DaemonProcess(name, null)
                .bootstrapFile(secureBootstrap("localhost", 2, certificate, serverCertificate, key)).start();
        bootstrap.awaitSession(name);
        awaitRegistration(LIFETIME);
        assertTrue(daemon.ctl("status").contains("x509"));
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-3 bootstrap from a file, as from a smartcard")
    void int3() throws Exception {
        daemon = new DaemonProcess(name, null).bootstrapFile("""
                [{"bn":"/0/0/","n":"0","vs":"%s"},{"n":"1","vb":false},{"n":"2","v":3},{"n":"3","vd":""},
                 {"n":"4","vd":""},{"n":"5","vd":""},{"n":"10","v":7},
                 {"bn":"/1/0/","n":"0","v":7},{"n":"1","v":300},{"n":"6","vb":true},{"n":"7","vs":"U"}]
                """.formatted(peer.uri())).start();
        awaitRegistration(LIFETIME);
        bootstrap.assertQuiet(300);
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-4 bootstrap delete")
    void int4() throws Exception {
        managed().ctl("create", "/3303/0", "5700=21.5");
        daemon.ctl("create", "/3303/1", "5700=1");
        peer.await(LeshanPeer.Kind.UPDATED);
        bootstrap.order("delete /3303/1");
        peer.send(ResponseCode.CHANGED, new ExecuteRequest("/1/0/9"));
        bootstrap.await("success BootstrapDeleteRequest DELETED");
        bootstrap.await("end " + name);
        Registration registration = awaitRegistration(DaemonProcess.LIFETIME);
        assertTrue(registration.getAvailableInstances().stream().noneMatch(p -> p.toString().equals("/3303/1")));
        assertTrue(registration.getAvailableInstances().stream().anyMatch(p -> p.toString().equals("/3303/0")));
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-5 server initiated bootstrap")
    void int5() throws Exception {
        managed();
        bootstrap.serverObject("SENML_JSON", DaemonProcess.SHORT_ID, LIFETIME);
        bootstrap.assertQuiet(300);
        peer.send(ResponseCode.CHANGED, new ExecuteRequest("/1/0/9"));
        bootstrap.awaitSession(name);
        awaitRegistration(LIFETIME);
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-6 bootstrap sequence: with accounts none, without them one")
    void int6() throws Exception {
        bootstrap.account("SENML_CBOR", peer.uri(), SHORT_ID, LIFETIME);
        unmanaged().start();
        bootstrap.awaitSession(name);
        awaitRegistration(LIFETIME);
        daemon.stop();
        peer.await(LeshanPeer.Kind.DEREGISTERED);
        daemon.start();
        awaitRegistration(LIFETIME);
        bootstrap.assertQuiet(300);
        daemon.ctl("server", "remove", Integer.toString(SHORT_ID));
        bootstrap.awaitSession(name);
        awaitRegistration(LIFETIME);
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-7 fall-back to bootstrap")
    void int7() throws Exception {
        bootstrap.order("delete /0").order("delete /1").account("TLV", peer.uri(), SHORT_ID, LIFETIME);
        daemon = new DaemonProcess(name, URI.create("coap://127.0.0.1:1")).bootstrapServer(bootstrap.uri())
                .value("/1/0/17", "1").value("/1/0/18", "1").value("/1/0/20", "1").start();
        bootstrap.awaitSession(name);
        awaitRegistration(LIFETIME);
        assertEquals((long) SHORT_ID, read("/1/0/0"));
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-8 bootstrap read, and discover")
    void int8() throws Exception {
        managed();
        bootstrap.order("discover /").order("read TLV /1").order("read SENML_JSON /1/0");
        peer.send(ResponseCode.CHANGED, new ExecuteRequest("/1/0/9"));
        String links = bootstrap.await("success BootstrapDiscoverRequest CONTENT");
        assertTrue(links.contains("</0/0>;ssid=1;uri=\"" + peer.uri() + "\""), links);
        assertTrue(links.contains("</1/0>;ssid=1"), links);
        assertTrue(links.contains("</3/0>"), links);
        String first = bootstrap.await("success BootstrapReadRequest CONTENT");
        assertTrue(first.contains("86400"), first);
        String second = bootstrap.await("success BootstrapReadRequest CONTENT");
        assertTrue(second.contains("86400"), second);
        bootstrap.await("end " + name);
        awaitRegistration(DaemonProcess.LIFETIME);
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-9 bootstrap and configuration consistency")
    void int9() throws Exception {
        managed();
        bootstrap.serverObject("TLV", 99, LIFETIME);
        peer.send(ResponseCode.CHANGED, new ExecuteRequest("/1/0/9"));
        String refusal = bootstrap.await("error BootstrapFinishRequest NOT_ACCEPTABLE");
        assertTrue(refusal.contains("Short Server ID"), refusal);
        bootstrap.await("failed " + name + " FINISH_FAILED");
        assertEquals((long) DaemonProcess.SHORT_ID, read("/1/0/0"));
        assertEquals(DaemonProcess.LIFETIME, read("/1/0/1"));
    }

    @Test
    @DisplayName("A bootstrap server that knows no such client is asked again, and nothing changes")
    void refused() throws Exception {
        bootstrap.order("psk " + name + " boot-1 00"); /* so that NoSec is not what it expects */
        managed();
        assertFalse(daemon.run("bootstrap").status() == 0);
        bootstrap.await("unauthorized " + name);
        assertTrue(daemon.ctl("status").contains("4.00"));
        assertEquals((long) DaemonProcess.SHORT_ID, read("/1/0/0"));
    }
}
