/* SPDX-License-Identifier: Apache-2.0 */
package lwm2md.leshan;

import java.io.IOException;
import java.net.URI;
import java.util.List;

/** Leshan's bootstrap server. */
final class BootstrapPeer extends LinePeer {
    private final int port;
    private final int securePort;
    private final int oscorePort;

    /** arguments: those of the program, for certificates. */
    BootstrapPeer(String name, String... arguments) throws IOException, InterruptedException {
        super(name, "BootstrapServer", arguments);
        String[] ready = await("ready").split(" ");
        port = Integer.parseInt(ready[1]);
        securePort = Integer.parseInt(ready[2]);
        oscorePort = Integer.parseInt(ready[3]);
    }

    URI uri() {
        return URI.create("coap://127.0.0.1:" + port);
    }

    URI secureUri() {
        return URI.create("coaps://127.0.0.1:" + securePort);
    }

    URI oscoreUri() {
        return URI.create("coap://127.0.0.1:" + oscorePort);
    }

    /** A line of what the program takes: see its documentation. */
    BootstrapPeer order(String line) throws InterruptedException {
        say(line);
        await("did " + line.split(" ")[0]);
        return this;
    }

    /** Nothing to do, nothing said. */
    void forget() throws InterruptedException {
        order("clear");
        clear();
    }

    /** Lets every later session write a NoSec account as /0/1 and /1/0. */
    BootstrapPeer account(String format, URI server, int shortId, long lifetime) throws InterruptedException {
        order("write " + format + " /0/1 0=s:" + server + " 1=b:false 2=i:3 3=o: 4=o: 5=o: 10=i:" + shortId);
        return serverObject(format, shortId, lifetime);
    }

    BootstrapPeer serverObject(String format, int shortId, long lifetime) throws InterruptedException {
        return order("write " + format + " /1/0 0=i:" + shortId + " 1=i:" + lifetime + " 6=b:true 7=s:U");
    }

    /** A session from its beginning to its good end. */
    void awaitSession(String endpoint) throws InterruptedException {
        await("initiated " + endpoint);
        await("end " + endpoint);
    }

    static List<String> formats() {
        return List.of("TLV", "SENML_JSON", "SENML_CBOR");
    }
}
