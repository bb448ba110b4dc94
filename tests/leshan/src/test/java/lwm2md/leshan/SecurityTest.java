/* SPDX-License-Identifier: Apache-2.0 */
package lwm2md.leshan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.GeneralSecurityException;
import java.security.cert.Certificate;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.HexFormat;
import java.util.function.Consumer;

import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.node.LwM2mSingleResource;
import org.eclipse.leshan.core.request.ReadRequest;
import org.eclipse.leshan.server.LeshanServerBuilder;
import org.eclipse.leshan.servers.security.InMemorySecurityStore;
import org.eclipse.leshan.servers.security.NonUniqueSecurityInfoException;
import org.eclipse.leshan.servers.security.SecurityInfo;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/** coaps: each security mode, and wrong credentials of each kind. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class SecurityTest {
    private static final String NAME = "SecurityTest";
    private static final String IDENTITY = "gateway-1";
    private static final String KEY = "00112233445566778899aabbccddeeff";

    private Pki pki;
    private LeshanPeer peer;
    private DaemonProcess daemon;

    @BeforeAll
    void makeCertificates(@TempDir Path folder) throws IOException, InterruptedException {
        pki = new Pki(folder);
        pki.authority("ca");
        pki.authority("stranger");
        pki.issue("server", "ca", "localhost", "DNS:localhost,IP:127.0.0.1", 1);
        pki.issue("elsewhere", "ca", "elsewhere", "DNS:elsewhere.example", 1);
        pki.issue("expired", "ca", "localhost", "DNS:localhost,IP:127.0.0.1", -1);
        pki.issue("client", "ca", NAME, "", 1);
        pki.issue("birth", "ca", "serial-4711", "", 1);
        pki.issue("foreign", "stranger", NAME, "", 1);
    }

    @AfterEach
    void stopBoth() throws InterruptedException {
        try {
            if (daemon != null)
                daemon.close();
        } finally {
            if (peer != null)
                peer.close();
            daemon = null;
            peer = null;
        }
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

    private static byte[] key(String hex) {
        return HexFormat.of().parseHex(hex);
    }

    private static SecurityInfo psk() {
        return SecurityInfo.newPreSharedKeyInfo(NAME, IDENTITY, key(KEY));
    }

    private Consumer<LeshanServerBuilder> x509(String certificate, String authority)
            throws IOException, GeneralSecurityException {
        var privateKey = pki.privateKey(certificate);
        var chain = new X509Certificate[] { pki.certificate(certificate) };
        var trusted = new Certificate[] { pki.certificate(authority) };
        return builder -> builder.setSecurityStore(knows(SecurityInfo.newX509CertInfo(NAME)))
                .setPrivateKey(privateKey).setCertificateChain(chain).setTrustedCertificates(trusted);
    }

    private DaemonProcess pskDaemon(String identity, String hex) throws IOException {
        return pskDaemon(identity, hex, peer.uri());
    }

    private DaemonProcess pskDaemon(String identity, String hex, URI uri) throws IOException {
        daemon = new DaemonProcess(NAME, uri).value("/3303/0/5700", "21.5")
                .client("HandshakeTimeout", "4");
        Files.writeString(pki.file("gateway.psk"), "hex:" + hex + "\n");
        Files.setPosixFilePermissions(pki.file("gateway.psk"),
                PosixFilePermissions.fromString("rw-------"));
        return daemon.security("SecurityMode", "psk").security("Identity", identity)
                .security("KeyFile", pki.file("gateway.psk"));
    }

    private DaemonProcess x509Daemon(String client, String authority, String host) throws IOException {
        daemon = new DaemonProcess(NAME, peer.uri(host)).value("/3303/0/5700", "21.5")
                .client("HandshakeTimeout", "4");
        return daemon.security("SecurityMode", "x509").security("CertificateFile", pki.file(client + ".pem"))
                .security("KeyFile", pki.file(client + ".key"))
                .security("TrustFile", pki.file(authority + ".pem"));
    }

    /** Registers, and answers a Read. */
    private void works(DaemonProcess d) throws IOException, InterruptedException {
        d.start();
        peer.await(LeshanPeer.Kind.REGISTERED);
        LwM2mSingleResource value = (LwM2mSingleResource) peer
                .send(ResponseCode.CONTENT, new ReadRequest(3303, 0, 5700)).getContent();
        assertEquals(21.5, value.getValue());
    }

    /** Does not register, and says why. */
    private void fails(DaemonProcess d, String reason) throws IOException, InterruptedException {
        d.start();
        said(reason);
    }

    private void said(String reason) throws IOException, InterruptedException {
        long end = System.nanoTime() + Duration.ofSeconds(20).toNanos();
        String status = "";
        while (!status.contains(reason)) {
            if (System.nanoTime() > end)
                fail("not '" + reason + "': " + status);
            Thread.sleep(100);
            DaemonProcess.Result result = daemon.run("status");
            status = result.output();
        }
        assertTrue(status.contains("failed"), status);
        assertEquals(0, peer.server().getRegistrationService().getAllRegistrations().hasNext() ? 1 : 0);
    }

    /** LightweightM2M-1.1-int-401: UDP channel security, pre-shared key mode. */
    @Test
    void int401() throws Exception {
        peer = LeshanPeer.secure(b -> b.setSecurityStore(knows(psk())));
        works(pskDaemon(IDENTITY, KEY));
        assertTrue(daemon.ctl("status").contains("TLS_PSK_WITH_AES_128_CCM_8"));
        daemon.ctl("update");
        peer.await(LeshanPeer.Kind.UPDATED);
        daemon.stop();
        peer.await(LeshanPeer.Kind.DEREGISTERED);
    }

    /** After a pause the session goes on, and the registration with it. */
    @Test
    void resumedSession() throws Exception {
        peer = LeshanPeer.secure(b -> b.setSecurityStore(knows(psk())));
        works(pskDaemon(IDENTITY, KEY));
        daemon.ctl("pause");
        daemon.ctl("resume");
        peer.await(LeshanPeer.Kind.UPDATED);
        assertTrue(daemon.ctl("status").contains("resumed"), daemon.ctl("status"));
        LwM2mSingleResource value = (LwM2mSingleResource) peer
                .send(ResponseCode.CONTENT, new ReadRequest(3303, 0, 5700)).getContent();
        assertEquals(21.5, value.getValue());
    }

    /** With a Connection ID (RFC 9146) the session outlives another address, without a handshake. */
    @Test
    void connectionId() throws Exception {
        peer = LeshanPeer.secure(b -> b.setSecurityStore(knows(psk())));
        try (Relay nat = new Relay(peer.uri())) {
            works(pskDaemon(IDENTITY, KEY, nat.uri()));
            assumeTrue(daemon.ctl("--json", "status").contains("\"connection-id\""),
                    "this libcoap has no Connection IDs");
            assertTrue(daemon.ctl("status").contains("connection id  agreed"), daemon.ctl("status"));
            int before = nat.handshakes();
            for (int i = 0; i < 3; i++) {
                nat.rebind();
                daemon.ctl("update");
                peer.await(LeshanPeer.Kind.UPDATED);
                LwM2mSingleResource value = (LwM2mSingleResource) peer
                        .send(ResponseCode.CONTENT, new ReadRequest(3303, 0, 5700)).getContent();
                assertEquals(21.5, value.getValue());
            }
            assertEquals(before, nat.handshakes());
        }
    }

    @Test
    void otherCipherSuite() throws Exception {
        peer = LeshanPeer.secure(b -> b.setSecurityStore(knows(psk())));
        works(pskDaemon(IDENTITY, KEY).security("CipherSuites", "TLS_PSK_WITH_AES_128_GCM_SHA256"));
        assertTrue(daemon.ctl("status").contains("TLS_PSK_WITH_AES_128_GCM_SHA256"));
    }

    @Test
    void wrongPreSharedKey() throws Exception {
        peer = LeshanPeer.secure(b -> b.setSecurityStore(knows(psk())));
        fails(pskDaemon(IDENTITY, "ff" + KEY.substring(2)), "another key");
    }

    @Test
    void unknownIdentity() throws Exception {
        peer = LeshanPeer.secure(b -> b.setSecurityStore(knows(psk())));
        fails(pskDaemon("nobody", KEY), "or does not know it"); /* Leshan is silent, as with a wrong key */
    }

    /** The endpoint name of somebody else: the server refuses the registration itself. */
    @Test
    void identityOfAnother() throws Exception {
        peer = LeshanPeer.secure(b -> b.setSecurityStore(
                knows(SecurityInfo.newPreSharedKeyInfo("another", IDENTITY, key(KEY)))));
        fails(pskDaemon(IDENTITY, KEY), "4.0");
    }

    @Test
    void certificates() throws Exception {
        peer = LeshanPeer.secure(x509("server", "ca"));
        works(x509Daemon("client", "ca", "localhost"));
        assertTrue(daemon.ctl("status").contains("TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8"));
    }

    @Test
    void pinnedCertificate() throws Exception {
        peer = LeshanPeer.secure(x509("elsewhere", "ca"));
        works(x509Daemon("client", "elsewhere", "localhost").security("CertificateUsage", "domain"));
    }

    @Test
    void unknownAuthority() throws Exception {
        peer = LeshanPeer.secure(x509("server", "ca"));
        fails(x509Daemon("client", "stranger", "localhost"), "not of the authority expected");
    }

    @Test
    void expiredCertificate() throws Exception {
        peer = LeshanPeer.secure(x509("expired", "ca"));
        fails(x509Daemon("client", "ca", "localhost"), "the server's certificate has expired");
    }

    @Test
    void wrongName() throws Exception {
        peer = LeshanPeer.secure(x509("elsewhere", "ca"));
        fails(x509Daemon("client", "ca", "localhost"), "for another name");
    }

    @Test
    void clientOfAnotherAuthority() throws Exception {
        peer = LeshanPeer.secure(x509("server", "ca"));
        fails(x509Daemon("foreign", "ca", "localhost"), "our certificate");
    }

    /** Security mode 4: a certificate that an EST server issues, and another one later on. */
    @Test
    void est() throws Exception {
        peer = LeshanPeer.secure(x509("server", "ca"));
        try (EstPeer est = new EstPeer(pki, "ca", "server", "ca")) {
            daemon = new DaemonProcess(NAME, peer.uri("localhost")).value("/3303/0/5700", "21.5")
                    .security("SecurityMode", "est").est("Uri", est.uri()).est("SecurityMode", "x509")
                    .est("CertificateFile", pki.file("birth.pem")).est("KeyFile", pki.file("birth.key"))
                    .est("TrustFile", pki.file("ca.pem"));
            works(daemon);
            est.awaitIssued("sen");
            assertTrue(daemon.ctl("server", "list").contains("by ca"));
            daemon.ctl("server", "enroll", Integer.toString(DaemonProcess.SHORT_ID));
            est.awaitIssued("sren");
            daemon.ctl("pause");
            daemon.ctl("resume");
            peer.await(LeshanPeer.Kind.UPDATED);
            LwM2mSingleResource value = (LwM2mSingleResource) peer
                    .send(ResponseCode.CONTENT, new ReadRequest(3303, 0, 5700)).getContent();
            assertEquals(21.5, value.getValue());
        }
    }

    /** The EST server is of an authority the LwM2M server does not know: said as clearly as elsewhere. */
    @Test
    void estOfAnotherAuthority() throws Exception {
        peer = LeshanPeer.secure(x509("server", "ca"));
        try (EstPeer est = new EstPeer(pki, "stranger", "server", "ca")) {
            daemon = new DaemonProcess(NAME, peer.uri("localhost")).client("HandshakeTimeout", "4")
                    .security("SecurityMode", "est").security("TrustFile", pki.file("ca.pem"))
                    .est("Uri", est.uri()).est("SecurityMode", "x509")
                    .est("CertificateFile", pki.file("birth.pem")).est("KeyFile", pki.file("birth.key"))
                    .est("TrustFile", pki.file("ca.pem"));
            fails(daemon, "our certificate");
            est.awaitIssued("sen");
        }
    }

    /** Raw public keys; the server must have that of the file. */
    private DaemonProcess rawKeyDaemon(String expected) throws Exception {
        var privateKey = pki.privateKey("server");
        var publicKey = pki.publicKey("server");
        var client = SecurityInfo.newRawPublicKeyInfo(NAME, pki.publicKey("client"));
        peer = LeshanPeer.secure(
                b -> b.setSecurityStore(knows(client)).setPrivateKey(privateKey).setPublicKey(publicKey));
        daemon = new DaemonProcess(NAME, peer.uri()).value("/3303/0/5700", "21.5");
        return daemon.security("SecurityMode", "rpk").security("CertificateFile", pki.file("client.pub"))
                .security("KeyFile", pki.file("client.key")).security("ServerFile", pki.file(expected));
    }

    /** Of a daemon that runs. */
    private void assumeRawKeys() throws IOException, InterruptedException {
        DaemonProcess.Result status = daemon.run("--json", "status");
        for (int i = 0; i < 100 && status.status() != 0; i++) {
            Thread.sleep(50);
            status = daemon.run("--json", "status");
        }
        /* In the list of Features; the server's own security mode says the same word. */
        assumeTrue(status.output().matches("(?s).*[,\\[]\"rpk\".*"), "this TLS library has no raw public keys");
    }

    @Test
    void rawPublicKeys() throws Exception {
        rawKeyDaemon("server.pub").start();
        assumeRawKeys();
        peer.await(LeshanPeer.Kind.REGISTERED);
    }

    @Test
    void rawPublicKeyOfAnother() throws Exception {
        rawKeyDaemon("client.pub").start();
        assumeRawKeys();
        said("not the one expected");
    }
}
