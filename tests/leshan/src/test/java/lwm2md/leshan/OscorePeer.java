/* SPDX-License-Identifier: Apache-2.0 */
package lwm2md.leshan;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.net.URI;

/** Leshan's server with OSCORE, which M18 has not on Maven Central. */
final class OscorePeer extends LinePeer {
    private final int port;

    OscorePeer(String name) throws IOException, InterruptedException {
        super(name, "OscoreServer");
        port = Integer.parseInt(await("ready").split(" ")[1]);
    }

    URI uri() {
        return URI.create("coap://127.0.0.1:" + port);
    }

    /** A client; the identifiers are the server's, all in hexadecimal. */
    void knows(String endpoint, String sender, String recipient, String secret) throws InterruptedException {
        say("oscore " + endpoint + " " + sender + " " + recipient + " " + secret);
        await("did oscore");
    }

    /** The value, or "" for an operation without one. */
    String ask(String code, String request) throws InterruptedException {
        say(request);
        String[] words = await("answer").split(" ", 3);
        assertEquals(code, words[1], request);
        return words.length > 2 ? words[2] : "";
    }
}
