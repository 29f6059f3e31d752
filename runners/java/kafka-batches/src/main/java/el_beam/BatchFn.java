package el_beam;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;
import org.apache.beam.sdk.io.kafka.KafkaRecord;
import org.apache.beam.sdk.transforms.DoFn;
import org.apache.beam.sdk.transforms.windowing.GlobalWindow;
import org.apache.kafka.common.TopicPartition;
import org.joda.time.Duration;
import org.joda.time.Instant;

/**
 * Gathers the records of a bundle by partition, and gives them on as {@link PartitionBatch}es. A
 * batch leaves when it is full; all leave when the oldest record has waited long enough, and at the
 * bundle's end. So nothing outlives a bundle: what a checkpoint says was read has left before it.
 */
final class BatchFn extends DoFn<KafkaRecord<byte[], byte[]>, byte[]> {
  static final int RECORDS = 500;
  static final int BYTES = 256 * 1024;
  static final long NANOSECONDS = 20_000_000; // after the first record

  /** No batch can be late with it, whatever time other elements have. */
  static final Instant TIME = GlobalWindow.TIMESTAMP_MIN_VALUE;

  private transient Map<TopicPartition, PartitionBatch> batches;
  private transient TopicPartition last; // records of a partition come in runs
  private transient PartitionBatch batch; // of `last`
  private transient long first; // when the oldest record came

  @StartBundle
  public void startBundle() {
    batches = new LinkedHashMap<>();
    last = null;
  }

  @ProcessElement
  public void process(
      @Element KafkaRecord<byte[], byte[]> record, OutputReceiver<byte[]> receiver) {
    take(record, System.nanoTime(), bytes -> receiver.outputWithTimestamp(bytes, TIME));
  }

  @FinishBundle
  public void finishBundle(FinishBundleContext context) {
    giveAll(bytes -> context.output(bytes, TIME, GlobalWindow.INSTANCE));
  }

  /** Beam refuses times before an element's own without it, and has no other way to ask for them. */
  @Override
  @SuppressWarnings("deprecation")
  public Duration getAllowedTimestampSkew() {
    return Duration.millis(Long.MAX_VALUE);
  }

  void take(KafkaRecord<byte[], byte[]> record, long now, Consumer<byte[]> out) {
    if (batches.isEmpty()) {
      first = now;
    }
    PartitionBatch batch = batchOf(record.getTopic(), record.getPartition());
    batch.add(record.getOffset(), record.getTimestamp(), record.getKV().getValue());
    if (now - first >= NANOSECONDS) {
      giveAll(out);
    } else if (batch.count() >= RECORDS || batch.size() >= BYTES) {
      batches.remove(last);
      last = null;
      out.accept(batch.encoded());
    }
  }

  private PartitionBatch batchOf(String topic, int partition) {
    if (last == null || last.partition() != partition || !last.topic().equals(topic)) {
      last = new TopicPartition(topic, partition);
      batch = batches.computeIfAbsent(last, place -> new PartitionBatch(topic, partition));
    }
    return batch;
  }

  void giveAll(Consumer<byte[]> out) {
    batches.values().forEach(each -> out.accept(each.encoded()));
    batches.clear();
    last = null;
  }
}
