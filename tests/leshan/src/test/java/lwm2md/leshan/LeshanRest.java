/* SPDX-License-Identifier: Apache-2.0 */
package lwm2md.leshan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;

/** The REST interface and the event stream of the Leshan demo server, for one client. */
final class LeshanRest implements AutoCloseable {
    private static final Duration LIMIT = Duration.ofSeconds(10);
    private static final ObjectMapper JSON = new ObjectMapper();

    /** An event of the stream, such as REGISTRATION, UPDATED, DEREGISTRATION, NOTIFICATION. */
    record Event(String name, JsonNode data) {
    }

    private final HttpClient http = HttpClient.newHttpClient();
    private final LinkedBlockingQueue<Event> events = new LinkedBlockingQueue<>();
    private final URI base;
    private final String endpoint;
    private final Thread reader;

    LeshanRest(URI base, String endpoint) throws InterruptedException {
        this.base = base;
        this.endpoint = endpoint;
        waitUntilUp();
        reader = new Thread(this::readEvents, "events");
        reader.setDaemon(true);
        reader.start();
    }

    private void waitUntilUp() throws InterruptedException {
        for (long end = System.currentTimeMillis() + 60_000;; Thread.sleep(200)) {
            try {
                if (http.send(HttpRequest.newBuilder(base.resolve("/api/clients")).build(), BodyHandlers.ofString())
                        .statusCode() == 200)
                    return;
            } catch (IOException e) {
                if (System.currentTimeMillis() > end)
                    throw new AssertionError("no Leshan demo at " + base, e);
            }
        }
    }

    private void readEvents() {
        try {
            URI uri = base.resolve("/api/event?ep=" + endpoint);
            String[] name = { "" };
            HttpRequest request = HttpRequest.newBuilder(uri).header("Accept", "text/event-stream").build();
            http.send(request, BodyHandlers.ofLines()).body().forEach(line -> {
                if (line.startsWith("event:"))
                    name[0] = line.substring(6).trim();
                else if (line.startsWith("data:"))
                    events.add(new Event(name[0], parse(line.substring(5))));
            });
        } catch (IOException | InterruptedException e) {
            events.add(new Event("CLOSED", null));
        }
    }

    private static JsonNode parse(String text) {
        try {
            return JSON.readTree(text);
        } catch (IOException e) {
            throw new AssertionError("not JSON: " + text, e);
        }
    }

    Event await(String name, Predicate<JsonNode> wanted) throws InterruptedException {
        long end = System.nanoTime() + Duration.ofSeconds(20).toNanos();
        List<Event> passed = new ArrayList<>();
        for (;;) {
            Event event = events.poll(end - System.nanoTime(), TimeUnit.NANOSECONDS);
            if (event == null)
                return fail("no event " + name + "; came: " + passed);
            if (event.name().equals(name) && wanted.test(event.data()))
                return event;
            if (!event.name().equals("COAPLOG"))
                passed.add(event);
        }
    }

    void forgetEvents() {
        events.clear();
    }

    /** Whether an event comes within a time. */
    boolean comes(String name, Duration within) throws InterruptedException {
        long end = System.nanoTime() + within.toNanos();
        for (;;) {
            Event event = events.poll(end - System.nanoTime(), TimeUnit.NANOSECONDS);
            if (event == null || event.name().equals(name))
                return event != null;
        }
    }

    /** The registration, as the demo shows it; fails if there is none. */
    JsonNode client() throws IOException, InterruptedException {
        return call("GET", "", null);
    }

    /** A request to the client under a path such as /3/0?format=TLV; the answer must have this code. */
    JsonNode request(String code, String method, String path, String body) throws IOException, InterruptedException {
        JsonNode answer = call(method, path, body);
        String status = answer.path("status").asText();
        assertTrue(status.equals(code) || status.startsWith(code + "("), () -> method + " " + path + ": " + answer);
        return answer.path("content");
    }

    /** The links a Discover tells. */
    JsonNode linksOf(String path) throws IOException, InterruptedException {
        JsonNode answer = call("GET", path + "/discover", null);
        assertTrue(answer.has("objectLinks"), () -> "discover " + path + ": " + answer);
        return answer.path("objectLinks");
    }

    private JsonNode call(String method, String path, String body) throws IOException, InterruptedException {
        URI uri = base.resolve("/api/clients/" + endpoint + path);
        HttpRequest request = HttpRequest.newBuilder(uri).timeout(LIMIT)
                .header("Content-Type", "application/json")
                .method(method, body == null ? BodyPublishers.noBody() : BodyPublishers.ofString(body)).build();
        HttpResponse<String> response = http.send(request, BodyHandlers.ofString());
        assertEquals(2, response.statusCode() / 100, () -> method + " " + uri + ": " + response.body());
        return response.body().isEmpty() ? JSON.createObjectNode() : JSON.readTree(response.body());
    }

    @Override
    public void close() {
        reader.interrupt();
    }
}
