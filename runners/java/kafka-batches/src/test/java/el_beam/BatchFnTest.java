package el_beam;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.apache.beam.sdk.io.kafka.KafkaRecord;
import org.apache.beam.sdk.io.kafka.KafkaTimestampType;
import org.apache.beam.sdk.options.PipelineOptions;
import org.apache.beam.sdk.options.PipelineOptionsFactory;
import org.apache.beam.sdk.transforms.DoFn.OutputReceiver;
import org.apache.beam.sdk.transforms.windowing.BoundedWindow;
import org.apache.beam.sdk.transforms.windowing.GlobalWindow;
import org.apache.beam.sdk.values.OutputBuilder;
import org.apache.beam.sdk.values.TupleTag;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.joda.time.Instant;
import org.junit.Before;
import org.junit.Test;

public final class BatchFnTest {
  private static final long LATER = BatchFn.NANOSECONDS;

  private final BatchFn fn = new BatchFn();
  private final List<String> out = new ArrayList<>(); // as topic/partition first-last
  private final List<byte[]> bytes = new ArrayList<>();

  @Before
  public void startBundle() {
    fn.startBundle();
  }

  /** The bytes that Python's tests open: tests/unit/transforms/read/test_kafka_batch.py. */
  @Test
  public void theBytesAreThoseThatPythonOpens() throws Exception {
    Headers headers = new RecordHeaders().add("h", new byte[] {1});
    take(0, record("été", 7, 1L << 40, 1_552_176_000_123L, "a\n".getBytes("UTF-8"), headers));
    take(0, record("été", 7, (1L << 40) + 2, -1, null, null));
    take(0, record("été", 7, (1L << 40) + 3, 0, new byte[] {(byte) 0xff, 0, '\n', '\n'}, null));
    take(LATER, record("été", 7, Long.MAX_VALUE, Long.MAX_VALUE, new byte[0], null));
    try (InputStream golden = getClass().getResourceAsStream("/batch.bin")) {
      assertArrayEquals(golden.readAllBytes(), bytes.get(0));
    }
  }

  @Test
  public void aBatchLeavesWhenItHasEnoughRecords() {
    for (int offset = 0; offset < 2 * BatchFn.RECORDS + 1; offset++) {
      take(0, "a", 0, offset);
    }
    assertEquals(List.of("a/0 0-499", "a/0 500-999"), out);
    end();
    assertEquals("a/0 1000-1000", out.get(2));
  }

  @Test
  public void aBatchLeavesWhenItHasEnoughBytes() {
    byte[] half = new byte[BatchFn.BYTES / 2];
    take(0, record("a", 0, 0, 0, half, null));
    take(0, "b", 0, 9);
    take(0, record("a", 0, 1, 0, half, null));
    assertEquals(List.of("a/0 0-1"), out);
    take(0, record("a", 0, 2, 0, new byte[4 * BatchFn.BYTES], null));
    assertEquals(List.of("a/0 0-1", "a/0 2-2"), out);
    end();
    assertEquals(List.of("a/0 0-1", "a/0 2-2", "b/0 9-9"), out);
  }

  @Test
  public void allLeaveWhenTheOldestHasWaited() {
    take(5, "a", 0, 1);
    take(5, "a", 1, 1);
    take(5 + LATER - 1, "b", 0, 1);
    assertEquals(List.of(), out);
    take(5 + LATER, "a", 0, 2);
    assertEquals(List.of("a/0 1-2", "a/1 1-1", "b/0 1-1"), out);
    take(6 + LATER, "a", 0, 3);
    assertEquals(3, out.size());
  }

  @Test
  public void partitionsAreKeptApartAndInOrder() {
    for (int offset = 0; offset < 6; offset++) {
      take(0, "a", offset % 2, offset);
      take(0, "b", 0, offset);
    }
    end();
    assertEquals(List.of("a/0 0-4", "b/0 0-5", "a/1 1-5"), out);
  }

  @Test
  public void aBundleBeginsWithoutWhatTheOneBeforeHad() {
    take(0, "a", 0, 1);
    fn.startBundle(); // that bundle has failed
    take(0, "a", 0, 2);
    end();
    assertEquals(List.of("a/0 2-2"), out);
    fn.startBundle();
    end();
    assertEquals(1, out.size());
  }

  /** Elements with another time than the earliest were taken for late once. */
  @Test
  @SuppressWarnings("deprecation")
  public void allHasTheEarliestTimeInTheGlobalWindow() {
    List<Instant> times = new ArrayList<>();
    OutputReceiver<byte[]> receiver =
        new OutputReceiver<>() {
          @Override
          public void outputWithTimestamp(byte[] batch, Instant time) {
            times.add(time);
          }

          @Override
          public OutputBuilder<byte[]> builder(byte[] batch) {
            throw new AssertionError("it has the time of a record");
          }
        };
    for (int offset = 0; offset < BatchFn.RECORDS + 1; offset++) {
      fn.process(record("a", 0, offset, 0, null, null), receiver);
    }
    assertTrue(times.size() > 0); // more than one where 20 ms are over
    fn.process(record("a", 0, BatchFn.RECORDS + 1, 0, null, null), receiver);
    fn.finishBundle(
        fn.new FinishBundleContext() {
          @Override
          public PipelineOptions getPipelineOptions() {
            return PipelineOptionsFactory.create();
          }

          @Override
          public void output(byte[] batch, Instant time, BoundedWindow window) {
            assertEquals(GlobalWindow.INSTANCE, window);
            times.add(time);
          }

          @Override
          public <T> void output(TupleTag<T> tag, T batch, Instant time, BoundedWindow window) {
            throw new AssertionError("there is one output");
          }
        });
    assertTrue(times.size() > 1);
    assertEquals(Set.of(GlobalWindow.TIMESTAMP_MIN_VALUE), Set.copyOf(times));
    assertEquals(Long.MAX_VALUE, fn.getAllowedTimestampSkew().getMillis());
  }

  private void take(long now, String topic, int partition, long offset) {
    take(now, record(topic, partition, offset, 0, new byte[] {'x'}, null));
  }

  private void take(long now, KafkaRecord<byte[], byte[]> record) {
    fn.take(record, now, this::note);
  }

  private void end() {
    fn.giveAll(this::note);
  }

  private void note(byte[] batch) {
    bytes.add(batch);
    ByteBuffer all = ByteBuffer.wrap(batch);
    int partition = all.getInt();
    int count = all.getInt();
    byte[] topic = new byte[all.getInt()];
    all.get(topic);
    long first = all.getLong();
    long last = first;
    for (int i = 1; i < count; i++) {
      last = all.getLong();
    }
    String name = new String(topic, StandardCharsets.UTF_8);
    out.add(String.format("%s/%d %d-%d", name, partition, first, last));
  }

  private static KafkaRecord<byte[], byte[]> record(
      String topic, int partition, long offset, long time, byte[] value, Headers headers) {
    KafkaTimestampType type = KafkaTimestampType.CREATE_TIME;
    return new KafkaRecord<>(topic, partition, offset, time, type, headers, null, value);
  }
}
