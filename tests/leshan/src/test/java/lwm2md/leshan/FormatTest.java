/* SPDX-License-Identifier: Apache-2.0 */
package lwm2md.leshan;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;

import org.eclipse.californium.core.coap.CoAP;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.link.Link;
import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.eclipse.leshan.core.node.LwM2mMultipleResource;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.node.LwM2mResourceInstance;
import org.eclipse.leshan.core.node.LwM2mSingleResource;
import org.eclipse.leshan.core.node.ObjectLink;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.ReadRequest;
import org.eclipse.leshan.core.request.WriteRequest;
import org.eclipse.leshan.core.request.WriteRequest.Mode;
import org.eclipse.leshan.core.util.datatype.ULong;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Every type in every format, written in one format and read back in all, on the test object 3442. */
class FormatTest extends DaemonAndServer {
    /** One resource of the test object; its multiple sister has the number plus 1000. */
    record Sample(int resource, Type type, Object first, Object second) {
        @Override
        public String toString() {
            return type.toString();
        }
    }

    private static final Link[] LINKS = { new Link("/3/0"), new Link("/3303/0/5700") };

    private static final List<Sample> SAMPLES = List.of(
            new Sample(110, Type.STRING, "Grüße, \"世界\"", "/"),
            new Sample(120, Type.INTEGER, -9007199254740993L, 127L),
            new Sample(125, Type.UNSIGNED_INTEGER, ULong.valueOf(9007199254740993L), ULong.valueOf(1)),
            new Sample(130, Type.FLOAT, -1.25e-3, 3.4028234663852886e38),
            new Sample(140, Type.BOOLEAN, true, false),
            new Sample(150, Type.OPAQUE, new byte[] { 0, (byte) 0xff, 0x7f, '\n' }, new byte[] { 1 }),
            new Sample(160, Type.TIME, new Date(1_700_000_000_000L), new Date(4_102_444_800_000L)),
            new Sample(170, Type.OBJLNK, new ObjectLink(3303, 0), new ObjectLink()),
            new Sample(180, Type.CORELINK, LINKS, new Link[] { LINKS[0] }));

    private static final List<ContentFormat> MULTI = List.of(ContentFormat.TLV, ContentFormat.JSON,
            ContentFormat.SENML_JSON, ContentFormat.SENML_CBOR);

    /** Formats that can carry one value of a type. */
    private static List<ContentFormat> formats(Type type) {
        List<ContentFormat> formats = new ArrayList<>(MULTI);
        formats.add(type == Type.OPAQUE ? ContentFormat.OPAQUE : ContentFormat.TEXT);
        formats.add(ContentFormat.CBOR);
        return formats;
    }

    static Stream<Arguments> singles() {
        return SAMPLES.stream().flatMap(s -> formats(s.type()).stream()
                .map(f -> Arguments.of(s, f)));
    }

    static Stream<Arguments> multiples() {
        return SAMPLES.stream()
                .flatMap(s -> MULTI.stream().map(f -> Arguments.of(s, f)));
    }

    private static void assertValue(Object expected, Object actual, String what) {
        if (expected instanceof byte[])
            assertArrayEquals((byte[]) expected, (byte[]) actual, what);
        else if (expected instanceof Link[])
            assertEquals(text((Link[]) expected), text((Link[]) actual), what);
        else
            assertEquals(expected, actual, what);
    }

    private static List<String> text(Link[] links) {
        return Arrays.stream(links).map(Link::toCoreLinkFormat).toList();
    }

    @ParameterizedTest(name = "{0} written in {1}")
    @MethodSource("singles")
    @DisplayName("Single resources")
    void single(Sample sample, ContentFormat format) throws InterruptedException {
        for (Object value : List.of(sample.second(), sample.first())) {
            peer.send(ResponseCode.CHANGED, new WriteRequest(Mode.REPLACE, format,
                    "/3442/0/" + sample.resource(),
                    LwM2mSingleResource.newResource(sample.resource(), value, sample.type())));
            for (ContentFormat back : formats(sample.type()))
                assertValue(value, read(back, "/3442/0/" + sample.resource()), "read in " + back);
        }
    }

    @ParameterizedTest(name = "{0} written in {1}")
    @MethodSource("multiples")
    @DisplayName("Multiple resources")
    void multiple(Sample sample, ContentFormat format) throws InterruptedException {
        int resource = sample.resource() + 1000;
        Map<Integer, Object> values = new TreeMap<>(Map.of(0, sample.first(), 3, sample.second(), 65534,
                sample.first()));
        peer.send(ResponseCode.CHANGED, new WriteRequest(Mode.REPLACE, format, "/3442/0/" + resource,
                LwM2mMultipleResource.newResource(resource, values, sample.type())));
        for (ContentFormat back : MULTI) {
            Map<Integer, Object> actual = readMultiple(back, "/3442/0/" + resource);
            assertEquals(values.keySet(), actual.keySet(), "read in " + back);
            values.forEach((id, value) -> assertValue(value, actual.get(id), id + " read in " + back));
        }
        for (ContentFormat back : formats(sample.type())) {
            Object one = ((LwM2mResourceInstance) peer
                    .send(ResponseCode.CONTENT, new ReadRequest(back, 3442, 0, resource, 3)).getContent()).getValue();
            assertValue(sample.second(), one, "instance 3 read in " + back);
        }
        peer.send(ResponseCode.CHANGED, new WriteRequest(Mode.REPLACE, format, "/3442/0/" + resource,
                LwM2mMultipleResource.newResource(resource, Map.of(7, sample.second()), sample.type())));
        assertEquals(Set.of(7), readMultiple(format, "/3442/0/" + resource).keySet(),
                "Replace takes away the other instances");
    }

    @ParameterizedTest(name = "whole instance in {0}")
    @MethodSource("wholes")
    @DisplayName("Object instances")
    void instance(ContentFormat format) throws InterruptedException {
        Map<Integer, LwM2mResource> resources = new LinkedHashMap<>();
        for (Sample s : SAMPLES) {
            resources.put(s.resource(), LwM2mSingleResource.newResource(s.resource(), s.first(), s.type()));
            int multiple = s.resource() + 1000;
            resources.put(multiple, LwM2mMultipleResource.newResource(multiple,
                    Map.of(1, s.first(), 2, s.second()), s.type()));
        }
        peer.send(ResponseCode.CHANGED, new WriteRequest(Mode.REPLACE, format, 3442, 0, resources.values()));
        for (ContentFormat back : MULTI) {
            Map<Integer, LwM2mResource> actual = readInstance(back, "/3442/0").getResources();
            for (Sample s : SAMPLES) {
                String what = s.type() + " read in " + back;
                assertNotNull(actual.get(s.resource()), what);
                assertValue(s.first(), actual.get(s.resource()).getValue(), what);
                assertNotNull(actual.get(s.resource() + 1000), what);
                assertValue(s.second(), actual.get(s.resource() + 1000).getValue(2), what);
            }
        }
    }

    static Stream<ContentFormat> wholes() {
        return MULTI.stream();
    }

    @Test
    @DisplayName("Unsigned integers keep all 64 bits, where Leshan can read them")
    void unsigned() throws InterruptedException {
        for (ContentFormat format : List.of(ContentFormat.TEXT, ContentFormat.SENML_CBOR, ContentFormat.CBOR)) {
            peer.send(ResponseCode.CHANGED, new WriteRequest(format, 3442, 0, 125, ULong.MAX));
            assertEquals(ULong.MAX, read(format, "/3442/0/125"));
        }
    }

    @Test
    @DisplayName("What does not fit is refused: 4.06 to read, 4.15 for the format and 4.00 for the value written")
    void refused() throws InterruptedException {
        peer.send(ResponseCode.NOT_ACCEPTABLE, new ReadRequest(ContentFormat.TEXT, "/3/0"));
        peer.send(ResponseCode.NOT_ACCEPTABLE, new ReadRequest(ContentFormat.fromCode(30000), "/3/0"));
        peer.send(ResponseCode.NOT_ACCEPTABLE, new ReadRequest(ContentFormat.OPAQUE, "/3/0/0"));
        assertEquals(CoAP.ResponseCode.UNSUPPORTED_CONTENT_FORMAT, put(30000, "1"));
        for (String text : List.of("one", "", "1.5", "9223372036854775808", "1 "))
            assertEquals(CoAP.ResponseCode.BAD_REQUEST, put(ContentFormat.TEXT_CODE, text), "'" + text + "'");
    }

    /** Writes the integer of the test object in a way that Leshan itself would not. */
    private CoAP.ResponseCode put(int format, String text) throws InterruptedException {
        Request put = new Request(CoAP.Code.PUT);
        put.getOptions().setUriPath("3442/0/120").setContentFormat(format);
        put.setPayload(text);
        return peer.sendRaw(put).getCode();
    }
}
