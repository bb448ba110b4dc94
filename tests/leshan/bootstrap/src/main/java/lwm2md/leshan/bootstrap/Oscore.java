/* SPDX-License-Identifier: Apache-2.0 */
package lwm2md.leshan.bootstrap;

import java.io.IOException;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.util.Arrays;
import java.util.Collection;
import java.util.HexFormat;

import org.eclipse.leshan.core.oscore.OscoreSetting;
import org.eclipse.leshan.core.peer.OscoreIdentity;
import org.eclipse.leshan.server.security.SecurityInfo;

/** What both servers need for OSCORE. */
final class Oscore {
    private Oscore() {
    }

    /** Of an order: oscore ENDPOINT SENDER RECIPIENT SECRET, the last three in hexadecimal. */
    static SecurityInfo security(String[] words) {
        HexFormat hex = HexFormat.of();
        return SecurityInfo.newOscoreInfo(words[1],
                new OscoreSetting(hex.parseHex(words[2]), hex.parseHex(words[3]), hex.parseHex(words[4])));
    }

    static SecurityInfo find(Collection<SecurityInfo> all, OscoreIdentity identity) {
        for (SecurityInfo info : all)
            if (info.useOSCORE()
                    && Arrays.equals(info.getOscoreSetting().getRecipientId(), identity.getRecipientId()))
                return info;
        return null;
    }

    /** The endpoint wants to know its port beforehand. */
    static URI freeUri() throws IOException {
        try (DatagramSocket socket = new DatagramSocket(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0))) {
            return URI.create("coap://127.0.0.1:" + socket.getLocalPort());
        }
    }
}
