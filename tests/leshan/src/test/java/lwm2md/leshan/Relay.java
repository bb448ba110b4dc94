/* SPDX-License-Identifier: Apache-2.0 */
package lwm2md.leshan;

import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.URI;

/** A way to the server that can be cut: datagrams of one client go back and forth, or nowhere. */
final class Relay implements AutoCloseable {
    private final DatagramSocket front = new DatagramSocket(0, InetAddress.getLoopbackAddress());
    private final DatagramSocket back = new DatagramSocket(0, InetAddress.getLoopbackAddress());
    private final SocketAddress server;
    private volatile SocketAddress client;
    private volatile boolean cut;

    Relay(URI to) throws IOException {
        server = new InetSocketAddress(InetAddress.getByName(to.getHost()), to.getPort());
        pass(front, back);
        pass(back, front);
    }

    URI uri() {
        return URI.create("coap://127.0.0.1:" + front.getLocalPort());
    }

    void cut(boolean on) {
        cut = on;
    }

    private void pass(DatagramSocket from, DatagramSocket to) {
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
                    packet.setSocketAddress(from == front ? server : client);
                    to.send(packet);
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
