/* SPDX-License-Identifier: Apache-2.0 */
package lwm2md.leshan;

import static lwm2md.leshan.LeshanPeer.Kind.DEREGISTERED;
import static lwm2md.leshan.LeshanPeer.Kind.REGISTERED;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.request.ExecuteRequest;
import org.eclipse.leshan.core.request.argument.Arguments;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

/** Execute, answered by shell commands over D-Bus: OMA test 241. */
class ExecuteTest extends DaemonAndServer {
    private static final long CLAIM_MS = 5000;

    /** Executes a path until its handler has claimed it; a refusal before that runs nothing. */
    private ResponseCode execute(ExecuteRequest request) throws InterruptedException {
        long end = System.currentTimeMillis() + CLAIM_MS;
        for (;;) {
            ResponseCode code = peer.send(request).getCode();
            if (code.isSuccess() || System.currentTimeMillis() > end)
                return code;
            Thread.sleep(20);
        }
    }

    @Test
    @DisplayName("LightweightM2M-1.1-int-241 Executable resource: rebooting the device")
    void int241() throws IOException, InterruptedException {
        Path done = daemon.file("rebooted");
        daemon.handle("/3/0/4", "echo x >>" + done);
        assertEquals(ResponseCode.CHANGED, execute(new ExecuteRequest("/3/0/4")));
        assertEquals("x\n", Files.readString(done), "the command ran once, and before the answer");
        peer.forgetEvents();
        daemon.stop(); /* what the init system does when the box goes down */
        peer.await(DEREGISTERED);
        daemon.start();
        peer.await(REGISTERED);
        assertEquals("ACME", read("/3/0/0"));
    }

    @Test
    @DisplayName("The arguments of an Execute reach the command, and its failure the server")
    void arguments() throws Exception {
        Path seen = daemon.file("arguments");
        daemon.handle("/3442/0/3", "{ printf '%s\\n' \"$@\"; env; } >" + seen);
        Arguments arguments = Arguments.builder().addArgument(0, "alpha").addArgument(1)
                .addArgument(2, "omega").build();
        assertEquals(ResponseCode.CHANGED, execute(new ExecuteRequest("/3442/0/3", arguments)));
        String text = Files.readString(seen);
        assertTrue(text.contains("alpha") && text.contains("omega"), text);

        Path failed = daemon.file("failed");
        daemon.handle("/3442/0/2", "touch " + failed + "; exit 1");
        assertFalse(execute(new ExecuteRequest("/3442/0/2")).isSuccess());
        assertTrue(Files.exists(failed), "the command did not run");
    }

    @Test
    @DisplayName("An Execute that nobody handles is refused, as is one of what cannot be executed")
    void nobody() throws InterruptedException {
        for (String path : new String[] { "/3442/0/1", "/3442/0/5" })
            assertFalse(peer.send(new ExecuteRequest(path)).isSuccess(), path);
        peer.send(ResponseCode.METHOD_NOT_ALLOWED, new ExecuteRequest("/3/0/0"));
        peer.send(ResponseCode.NOT_FOUND, new ExecuteRequest("/3442/9/1"));
    }
}
