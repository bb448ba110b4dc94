/* SPDX-License-Identifier: Apache-2.0 */
package lwm2md.leshan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Keys and certificates made by the openssl command for one class of tests: NAME.pem, NAME.key, NAME.pub. */
final class Pki {
    private final Path folder;

    Pki(Path folder) {
        this.folder = folder;
    }

    Path file(String name) {
        return folder.resolve(name);
    }

    private void openssl(String... arguments) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of("openssl"));
        command.addAll(Arrays.asList(arguments));
        Path output = folder.resolve("openssl.out");
        Process process = new ProcessBuilder(command).directory(folder.toFile()).redirectErrorStream(true)
                .redirectOutput(output.toFile()).start();
        assertTrue(process.waitFor(60, TimeUnit.SECONDS));
        assertEquals(0, process.exitValue(), () -> {
            try {
                return command + ": " + Files.readString(output);
            } catch (IOException e) {
                return e.toString();
            }
        });
    }

    private static final String[] KEY = { "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes" };

    private static String[] concat(String[]... parts) {
        return Arrays.stream(parts).flatMap(Arrays::stream).toArray(String[]::new);
    }

    private void finish(String name) throws IOException, InterruptedException {
        openssl("pkey", "-in", name + ".key", "-pubout", "-out", name + ".pub");
        Files.setPosixFilePermissions(file(name + ".key"), PosixFilePermissions.fromString("rw-------"));
    }

    void authority(String name) throws IOException, InterruptedException {
        openssl(concat(new String[] { "req", "-x509" }, KEY, new String[] { "-keyout", name + ".key", "-out",
                name + ".pem", "-days", "1", "-subj", "/CN=" + name }));
        finish(name);
    }

    void issue(String name, String issuer, String subject, String alternatives, int days)
            throws IOException, InterruptedException {
        openssl(concat(new String[] { "req", "-new" }, KEY, new String[] { "-keyout", name + ".key", "-out",
                name + ".csr", "-subj", "/CN=" + subject }));
        Files.writeString(file(name + ".ext"),
                alternatives.isEmpty() ? "" : "subjectAltName=" + alternatives + "\n");
        openssl("x509", "-req", "-in", name + ".csr", "-CA", issuer + ".pem", "-CAkey", issuer + ".key",
                "-CAcreateserial", "-days", Integer.toString(days), "-extfile", name + ".ext", "-out",
                name + ".pem");
        finish(name);
    }

    X509Certificate certificate(String name) throws IOException, GeneralSecurityException {
        try (InputStream in = Files.newInputStream(file(name + ".pem"))) {
            return (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(in);
        }
    }

    PublicKey publicKey(String name) throws IOException, GeneralSecurityException {
        return certificate(name).getPublicKey();
    }

    PrivateKey privateKey(String name) throws IOException, GeneralSecurityException {
        String text = Files.readString(file(name + ".key")).replaceAll("-----[A-Z ]+-----", "").replace("\n", "");
        return KeyFactory.getInstance("EC").generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(text)));
    }
}
