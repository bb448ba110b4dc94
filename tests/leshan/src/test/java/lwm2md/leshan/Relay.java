/* SPDX-License-Identifier: Apache-2.0 */
package lwm2md.leshan;

import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.URI;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A way to the server that can be cut: datagrams of one client go back and forth, or nowhere. As a NAT does it
 * may forget the client's address; records of a DTLS handshake are counted.
 */
final class Relay implements AutoCloseable {
    private final DatagramSocket front = new DatagramSocket(0, InetAddress.getLoopbackAddress());
    private volatile DatagramSocket back = new DatagramSocket(0, InetAddress.getLoopbackAddress());
    private final AtomicInteger handshakes = new AtomicInteger();
    private final String scheme;
    private final SocketAddress server;
    private volatile SocketAddress client;
    private volatile boolean cut;

    Relay(URI to) throws IOException {
        server = new InetSocketAddress(InetAddress.getByName(to.getHost()), to.getPort());
        scheme = to.getScheme();
        pass(front);
        pass(back);
    }

    URI uri() {
        return URI.create(scheme + "://127.0.0.1:" + front.getLocalPort());
    }

    void cut(boolean on) {
        cut = on;
    }

    /** From now on the server sees another address. */
    void rebind() throws IOException {
        DatagramSocket former = back;
        back = new DatagramSocket(0, InetAddress.getLoopbackAddress());
        pass(back);
        former.close();
    }

    /** Datagrams so far that begin with a record of a handshake (RFC 6347, section 4.1). */
    int handshakes() {
        return handshakes.get();
    }

    private void pass(DatagramSocket from) {
        Thread thread = new Thread(() -> {
            byte[] buffer = new byte[2048];
            while (!from.isClosed()) {
                try {
                    DatagramPacket packet = new DatagramPacket(buffer, buffer.length);
                    from.receive(packet);
                    if (from == front)
                        client = packet.getSocketAddress();
                    if (cut)
                        continue;
                    if (packet.getLength() > 0 && buffer[0] == 22)
                        handshakes.incrementAndGet();
                    packet.setSocketAddress(from == front ? server : client);
                    (from == front ? back : front).send(packet);
                } catch (IOException e) {
                    /* closed, or nobody there: as on a network */
                }
            }
        });
        thread.setDaemon(true);
        thread.start();
    }

    @Override
    public void close() {
        front.close();
        back.close();
    }
}
